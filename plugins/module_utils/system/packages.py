# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packages there or gone, with the source they come from: what differs is changed, and nothing else is looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Callable

from . import apt
from .apt_source import Source, in_place, read, try_out
from .openpgp import KeyFileError, PublicKey, read_public_key


@dataclass(frozen=True)
class Packages:
    """What was done, or would be. ``files`` are those of the source that were written or removed."""

    installed: dict[str, str]
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    before: str = ""
    after: str = ""

    @property
    def changed(self) -> bool:
        """Whether anything was, or would be, changed."""
        return bool(self.added or self.removed or self.files)


def present(
    packages: Sequence[str],
    source: Source | None,
    key: Callable[[], bytes],
    *,
    meanwhile: Mapping[str, str],
    dry_run: bool,
) -> Packages:
    """See that the packages are installed, and the source in place.

    ``meanwhile`` are files that are there only while packages are installed.
    ``key`` fetches the source's key; it is called only where the one in place is not the right one. Where all is as
    it should be, nothing is fetched at all. Raises AptError, KeyFileError, and what ``key`` raises; the host is then
    as it was.
    """
    there = apt.installed(packages)
    missing = [name for name in packages if name not in there]
    here = source.key() if source else None
    keyring_wrong = source is not None and here is None
    source_wrong = source is not None and read(source.path) != source.text()
    written = ([source.keyring] if source and keyring_wrong else []) + (
        [source.path] if source and source_wrong else []
    )
    outcome = Packages(
        installed=there,
        added=missing,
        files=written,
        before=_shown(source),
        after=source.text().decode() if source else "",
    )
    if dry_run or not outcome.changed:
        return outcome
    if source is None:
        _install(missing, meanwhile)
    else:
        right = here or checked_key(key(), source)
        try_out(source, right, missing)
        contents = {source.keyring: source.key_file(right), source.path: source.text()}
        with in_place({path: contents[path] for path in written}):
            _install(missing, meanwhile)
    return Packages(apt.installed(packages), missing, [], written, outcome.before, outcome.after)


def absent(packages: Sequence[str], source: Source | None, *, dry_run: bool) -> Packages:
    """Remove the packages, and the source with its key. Raises AptError when others would go with them."""
    there = apt.installed(packages)
    files = [path for path in (source.keyring, source.path) if read(path) is not None] if source else []
    outcome = Packages({}, removed=list(there), files=files, before=_shown(source))
    if dry_run or not outcome.changed:
        return outcome
    if there:
        apt.remove(list(there))
    with in_place(dict.fromkeys(files)):
        pass
    return outcome


def checked_key(data: bytes, source: Source) -> PublicKey:
    """The key in ``data`` if it is the one that ``source`` wants. Raises KeyFileError."""
    remedy = (
        "Nothing was changed. Get the key from whoever runs the repository, and compare its fingerprint with what they "
        "publish on another way."
    )
    try:
        key = read_public_key(data)
    except KeyFileError as error:
        raise KeyFileError(
            f"What was given as the key of {source.url} is refused: {error.message}", stage="key", remedy=remedy
        ) from error
    if key.fingerprint != source.fingerprint:
        raise KeyFileError(
            f"The key of {source.url} has the fingerprint {key.fingerprint}, and {source.fingerprint} is wanted",
            stage="key",
            remedy=remedy,
        )
    return key


def _install(packages: Sequence[str], meanwhile: Mapping[str, str]) -> None:
    if not packages:
        return
    apt.update()
    with in_place({path: text.encode() for path, text in meanwhile.items()}, stay=False):
        apt.install(packages)


def _shown(source: Source | None) -> str:
    return (read(source.path) or b"").decode("utf-8", "replace") if source else ""
