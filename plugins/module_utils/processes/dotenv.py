# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Change a ``.env`` file as a whole or not at all; owner, mode and access lists stay what they were."""

from __future__ import annotations

import contextlib
import glob
import os
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ..system.env_file import parse_env
from ..system.errors import ResilienceError, SettingsError
from ..system.files import create_private, explain_os_error, fsync_directory
from .dotenv_text import STAGE, edit_env_text


@dataclass(frozen=True)
class EnvChange:
    """What became, or in a dry run would become, of a ``.env`` file. Names only; no value is in here."""

    path: str
    added: tuple[str, ...]
    modified: tuple[str, ...]
    removed: tuple[str, ...]
    created: bool
    changed: bool
    warnings: tuple[str, ...] = ()

    @property
    def diff(self) -> str:
        """One line a name, without values."""
        lines = [f"+ {name} (added)" for name in self.added]
        lines += [f"~ {name} (value changed)" for name in self.modified]
        lines += [f"- {name} (removed)" for name in self.removed]
        return "".join(line + "\n" for line in [self.path, *lines]) if self.changed else ""


@dataclass(frozen=True)
class _EnvFile:
    """A file as it was read. ``path`` is the file itself where a symbolic link leads to it."""

    path: str
    data: bytes
    status: os.stat_result | None

    @property
    def text(self) -> str:
        try:
            return self.data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise SettingsError(
                "%s is not UTF-8 text (byte %d)" % (self.path, error.start), stage=STAGE, remedy="Save it as UTF-8."
            ) from error


def write_env_file(
    path: str,
    set_: Mapping[str, str],
    unset: Collection[str] = (),
    base: str | None = None,
    create: bool = False,
    dry_run: bool = False,
) -> EnvChange:
    """Set and unset variables of the file at ``path``. A missing one is made (0600) if ``create``, else refused.

    With ``base`` the file becomes a copy of that one with these changes, with its owner and mode.
    Raises SettingsError when dotenv could not read it back, ResilienceError when the file cannot be written.
    """
    old = _read(path)
    model = old if base is None else _read(base)
    if model.status is None and (base is not None or not create):
        raise ResilienceError(
            f"There is no file {model.path}", stage=STAGE, remedy="Correct the path, or say that it is to be created."
        )
    text = edit_env_text(model.text, set_, unset)
    change = _compare(old, model, text)
    if change.changed and not dry_run:
        try:
            _remove_left_over(old.path)
            _replace(old, model, text.encode("utf-8"))
        except OSError as error:
            raise explain_os_error(error, old.path, "write").at_stage(STAGE) from error
    return change


def _read(path: str) -> _EnvFile:
    path = os.path.realpath(path)
    try:
        with open(path, "rb") as stream:
            status = os.fstat(stream.fileno())
            return _EnvFile(path, stream.read(), status)
    except FileNotFoundError:
        return _EnvFile(path, b"", None)
    except OSError as error:
        raise explain_os_error(error, path, "read").at_stage(STAGE) from error


def _compare(old: _EnvFile, model: _EnvFile, text: str) -> EnvChange:
    before, after = parse_env(old.text), parse_env(text)
    open_to_all = model.status is not None and model.status.st_mode & stat.S_IROTH
    warning = f"{old.path} can be read by every user of this host. Close it: chmod o= {old.path}"
    return EnvChange(
        path=old.path,
        added=tuple(name for name in after if name not in before),
        modified=tuple(name for name in after if name in before and after[name] != before[name]),
        removed=tuple(name for name in before if name not in after),
        created=old.status is None,
        changed=old.status is None or text != old.text or _owner_and_mode(old) != _owner_and_mode(model),
        warnings=(warning,) if open_to_all else (),
    )


def _owner_and_mode(file: _EnvFile) -> tuple[int, int, int] | None:
    return file.status and (file.status.st_uid, file.status.st_gid, stat.S_IMODE(file.status.st_mode))


def _replace(old: _EnvFile, model: _EnvFile, data: bytes) -> None:
    partial = "%s.%d.partial" % (old.path, os.getpid())
    descriptor = create_private(partial)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            _dress(stream.fileno(), model)
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        _refuse_changed_meanwhile(old)
        os.replace(partial, old.path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(partial)
        raise
    fsync_directory(os.path.dirname(old.path))


def _dress(descriptor: int, model: _EnvFile) -> None:
    """Give the new file owner, attributes (access lists among them) and mode of the old, before anything is in it."""
    if model.status is None:
        return
    made = os.fstat(descriptor)
    owner = (model.status.st_uid, model.status.st_gid)
    if owner != (made.st_uid, made.st_gid):
        try:
            os.fchown(descriptor, *owner)
        except PermissionError as error:
            raise ResilienceError(
                "%s belongs to user %d and group %d, and a new file of user %d cannot be given to them"
                % (model.path, *owner, made.st_uid),
                stage=STAGE,
                remedy="Run as root or as the owner of the file.",
            ) from error
    for name in os.listxattr(model.path):
        # Which of them may be set is for the file system and the rights of this process to say.
        with contextlib.suppress(OSError):
            os.setxattr(descriptor, name, os.getxattr(model.path, name))
    os.fchmod(descriptor, stat.S_IMODE(model.status.st_mode))


def _refuse_changed_meanwhile(old: _EnvFile) -> None:
    now = _read(old.path)
    if (now.status is None) != (old.status is None) or now.data != old.data:
        raise ResilienceError(
            f"{old.path} was changed by somebody else in this very moment; it is left as they made it",
            stage=STAGE,
            remedy="Run again.",
        )


def _remove_left_over(path: str) -> None:
    """What a killed run may have left beside the file; that of a running one stays."""
    for name in glob.glob(glob.escape(path) + ".*.partial"):
        process = name[len(path) + 1 : -len(".partial")]
        if process.isdigit() and (int(process) == os.getpid() or not os.path.isdir(f"/proc/{process}")):
            os.unlink(name)
