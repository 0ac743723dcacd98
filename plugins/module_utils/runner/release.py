# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Releases of the runner: each a virtual environment and the collection, side by side; one of them is in use.

    <directory>/releases/<id>/venv            ansible-core and what it needs, pinned
    <directory>/releases/<id>/collections     the collection
    <directory>/releases/<id>/complete.json   made last: a release without it is half, and counts for nothing
    <directory>/current                       symbolic link to the one in use

A release is named after all that it is made of, so it is never changed: an upgrade builds another beside it, and the
link is moved when that has passed its own check.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..system.commands import Account, run
from ..system.errors import ProgramFailedError, ResilienceError
from ..system.files import explain_os_error, fsync_directory, remove_tree_or_file
from ..system.lock import exclusive_lock
from .python import (
    PackageSource,
    PythonProgram,
    compile_files,
    inspect_python,
    install_packages,
    last_lines,
    make_environment,
    require_environments,
)

CURRENT_NAME, COMPLETE_NAME, IN_USE_NAME = "current", "complete.json", "in-use"
SELF_CHECK = "ansible_collections.baileys.resilience.console.self_check"
SELF_CHECK_SECONDS = 120.0
LOCK_SECONDS = 900.0
# Part of a release's name: raise it when the way it is built changes.
_LAYOUT = "1"
_ID_LENGTH = 12


@dataclass(frozen=True)
class ReleaseRequest:
    """What the host shall run. ``collection_archive`` is a file; None to learn whether it is needed at all."""

    directory: str
    collection_digest: str
    collection_archive: str | None
    requirements: str
    python: str | None = None
    packages: PackageSource = field(default_factory=PackageSource)
    account: Account | None = None
    home: str = "/root"
    configuration: str | None = None
    keep: int = 2


@dataclass(frozen=True)
class ReleaseOutcome:
    """``release`` is in use now, unless ``needs_collection``: then nothing was done, and the archive is asked for."""

    release: str
    previous: str | None
    removed: tuple[str, ...] = ()
    needs_collection: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether another release came into use, or an old one went."""
        return self.release != self.previous or bool(self.removed)


def bring_up(request: ReleaseRequest, dry_run: bool = False) -> ReleaseOutcome:
    """Bring the release that was asked for into use. Raises ResilienceError; then the one before is still in use."""
    python = inspect_python(request.python)
    release = release_id(request, python)
    if dry_run:
        previous = current_release(request.directory)
        return ReleaseOutcome(release, previous, _removable(request, release))
    releases = os.path.join(request.directory, "releases")
    _make_public_directory(releases)
    with exclusive_lock(os.path.join(request.directory, ".lock"), LOCK_SECONDS):
        previous = current_release(request.directory)
        path = os.path.join(releases, release)
        if not _is_complete(path) and request.collection_archive is None:
            return ReleaseOutcome(release, previous, needs_collection=True)
        with _umask(0o022):
            if not _is_complete(path):
                _build(request, python, path)
            warnings = _check(request, path, previous) if release != previous else ()
            _switch(request.directory, release)
        removed = _removable(request, release)
        for name in removed:
            remove_tree_or_file(os.path.join(releases, name))
    return ReleaseOutcome(release, previous, removed, warnings=warnings)


def release_id(request: ReleaseRequest, python: PythonProgram) -> str:
    """The name of the release: a digest over all that it is made of."""
    parts = (_LAYOUT, request.collection_digest, request.requirements, python.name, python.path)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:_ID_LENGTH]


def current_release(directory: str) -> str | None:
    """The release in use, if there is one and it is whole."""
    try:
        release = os.path.basename(os.readlink(os.path.join(directory, CURRENT_NAME)))
    except OSError:
        return None
    return release if _is_complete(os.path.join(directory, "releases", release)) else None


def _is_complete(path: str) -> bool:
    # The interpreter is a link to that of the system, which an upgrade of the system may have taken away.
    python = os.path.join(path, "venv", "bin", "python")
    return os.path.isfile(os.path.join(path, COMPLETE_NAME)) and os.access(python, os.X_OK)


def _build(request: ReleaseRequest, python: PythonProgram, path: str) -> None:
    require_environments(python)
    # What a killed run left half.
    remove_tree_or_file(path)
    try:
        _make_public_directory(path)
        collections = os.path.join(path, "collections")
        _unpack(request, os.path.join(collections, "ansible_collections", "baileys", "resilience"))
        environment = os.path.join(path, "venv")
        make_environment(python, environment)
        requirements = os.path.join(path, "requirements.txt")
        _write(requirements, request.requirements)
        install_packages(environment, requirements, request.packages)
        site_packages = os.path.join(environment, "lib", "python{}.{}".format(*python.version), "site-packages")
        # The collection's programs find the collection, and so does Ansible.
        _write(os.path.join(site_packages, "baileys_resilience.pth"), collections + "\n")
        compile_files(environment, collections)
        _write(os.path.join(path, IN_USE_NAME), "Locked by every job that runs from this release.\n")
    except BaseException:
        remove_tree_or_file(path)
        raise


def _unpack(request: ReleaseRequest, target: str) -> None:
    archive_path = str(request.collection_archive)
    try:
        os.makedirs(target)
        with tarfile.open(archive_path) as archive:
            for member in archive:
                source = archive.extractfile(member)
                path = os.path.normpath(os.path.join(target, member.name))
                if source is None or not path.startswith(target + os.sep):
                    raise ResilienceError(
                        f"The archive of the collection holds {member.name}, which is not a file in it"
                    )
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with source, open(path, "wb") as stream:
                    stream.write(source.read())
    except (tarfile.TarError, EOFError) as error:
        raise ResilienceError(f"The archive of the collection arrived damaged: {error}", stage="unpack") from error
    except OSError as error:
        raise explain_os_error(error, target, "unpack the collection to").at_stage("unpack") from error


def _check(request: ReleaseRequest, path: str, previous: str | None) -> tuple[str, ...]:
    """Let the release check itself; returns its warnings. One that fails is removed, unless it has passed before."""
    python = os.path.join(path, "venv", "bin", "python")
    environment = {"PATH": os.defpath, "HOME": request.home, "LANG": "C.UTF-8"}
    if request.configuration is not None:
        environment["ANSIBLE_CONFIG"] = request.configuration
    checked = run([python, "-I", "-m", SELF_CHECK], environment, timeout=SELF_CHECK_SECONDS, account=request.account)
    if checked.rc != 0:
        if not _is_complete(path):
            remove_tree_or_file(path)
        raise ProgramFailedError(
            "The new release did not pass its self check and was not taken into use: {}".format(
                "; ".join(_said(checked.stderr, "problem")) or last_lines(checked)
            ),
            stage="self check",
            rc=checked.rc,
            remedy=f"The release {previous} is still in use." if previous else "No release is in use.",
        )
    _write(os.path.join(path, COMPLETE_NAME), json.dumps({"collection": request.collection_digest}) + "\n")
    return _said(checked.stdout, "warning")


def _said(output: str, kind: str) -> tuple[str, ...]:
    """What the self check found of one kind, a line each."""
    return tuple(line[len(kind) + 2 :] for line in output.splitlines() if line.startswith(f"{kind}: "))


def _switch(directory: str, release: str) -> None:
    current = os.path.join(directory, CURRENT_NAME)
    target = os.path.join("releases", release)
    unfinished = current + ".new"
    try:
        with contextlib.suppress(FileNotFoundError):
            if os.readlink(current) == target:
                return
        remove_tree_or_file(unfinished)
        os.symlink(target, unfinished)
        os.replace(unfinished, current)
        fsync_directory(directory)
    except OSError as error:
        raise explain_os_error(error, current, "switch the link") from error


def _removable(request: ReleaseRequest, in_use: str) -> tuple[str, ...]:
    """Releases beyond those to keep, the oldest first; none that a job still runs from."""
    releases = os.path.join(request.directory, "releases")
    try:
        others = [name for name in os.listdir(releases) if name != in_use]
    except FileNotFoundError:
        return ()
    others.sort(key=lambda name: _completed_at(os.path.join(releases, name)))
    surplus = others[: max(0, len(others) + 1 - max(1, request.keep))]
    return tuple(name for name in surplus if not _is_in_use(os.path.join(releases, name)))


def _completed_at(path: str) -> float:
    # A half one is the oldest of all.
    try:
        return os.stat(os.path.join(path, COMPLETE_NAME)).st_mtime
    except OSError:
        return 0.0


def _is_in_use(path: str) -> bool:
    try:
        descriptor = os.open(os.path.join(path, IN_USE_NAME), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _make_public_directory(path: str) -> None:
    # Not private: the service user runs from it. Nobody but root writes there.
    try:
        with _umask(0o022):
            os.makedirs(path, 0o755, exist_ok=True)
    except OSError as error:
        raise explain_os_error(error, path, "create the directory") from error


def _write(path: str, text: str) -> None:
    try:
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise explain_os_error(error, path, "write") from error


@contextlib.contextmanager
def _umask(mask: int) -> Iterator[None]:
    previous = os.umask(mask)
    try:
        yield
    finally:
        os.umask(previous)
