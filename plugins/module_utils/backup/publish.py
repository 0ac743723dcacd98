# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make a finished archive visible: all of it at once, or not at all."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Sequence
from typing import Callable

from ..system.errors import ResilienceError
from ..system.files import explain_os_error, fsync_directory, inherited_owner, private_directory, remove_tree_or_file
from .describe import Manifest, manifest_path, write_manifest
from .naming import PARTIAL_SUFFIX


def publish(partial: str, path: str, manifest: Manifest, links: Sequence[str]) -> tuple[list[str], list[str]]:
    """Give the verified archive its name, and hard links in longer tiers; returns the links made, and warnings.

    The manifest comes first: a reader that sees an archive always sees its manifest. If this process dies
    in between, a manifest without an archive is left, which is no archive to any reader and is cleared by
    the next run. A link that cannot be made (a tier on another file system) is a warning: the archive stands.
    Raises ResilienceError, with nothing of it left behind, when the archive itself cannot be published.
    """
    _whole_or_nothing(path, "publish", lambda: _publish_one(partial, path, manifest))
    made: list[str] = []
    warnings: list[str] = []
    for link in links:
        try:
            # Before anything may be withdrawn there: through a symbolic link that could be the archive itself.
            private_directory(os.path.dirname(link))
            _whole_or_nothing(link, "link the archive as", functools.partial(_link, path, link, manifest))
            made.append(link)
        except ResilienceError as error:
            warnings.append(f"The archive does not appear in a longer tier: {error.message}.")
    return made, warnings


def _whole_or_nothing(path: str, doing: str, action: Callable[[], None]) -> None:
    try:
        try:
            action()
        except OSError as error:
            raise explain_os_error(error, path, doing) from error
    except ResilienceError as error:
        with contextlib.suppress(ResilienceError):
            withdraw(path)
            if doing != "publish":
                remove_tree_or_file(path + PARTIAL_SUFFIX)
        raise error.at_stage("publish") from error


def withdraw(path: str) -> None:
    """Take an archive and its manifest away. Raises ResilienceError.

    The archive goes first: a manifest left alone is cleared by the next run, while an archive without one
    would turn foreign and stay for ever. A directory cannot vanish at once: renamed, it is no longer an
    archive to any reader.
    """
    doomed = path
    if os.path.isdir(path) and not os.path.islink(path):
        doomed = path + PARTIAL_SUFFIX
        try:
            os.rename(path, doomed)
        except OSError as error:
            raise explain_os_error(error, path, "remove") from error
    remove_tree_or_file(doomed)
    remove_tree_or_file(manifest_path(path))


def _publish_one(partial: str, path: str, manifest: Manifest) -> None:
    if os.path.isdir(partial):
        # pg_dump syncs its files; the directory's own names are ours to make durable.
        fsync_directory(partial)
        _leave_to_owner(partial)
    write_manifest(path, manifest)
    os.rename(partial, path)
    fsync_directory(os.path.dirname(path))


def _leave_to_owner(directory: str) -> None:
    """What pg_dump itself made as root goes to the owner of the tier."""
    owner = inherited_owner(directory)
    if owner is not None:
        for path in (*(os.path.join(directory, name) for name in os.listdir(directory)), directory):
            os.chown(path, *owner, follow_symlinks=False)


def _link(path: str, link: str, manifest: Manifest) -> None:
    """The same bytes under a second name, costing no space; a directory is linked file by file."""
    partial = link + PARTIAL_SUFFIX
    if os.path.isdir(path):
        private_directory(partial)
        for name in os.listdir(path):
            os.link(os.path.join(path, name), os.path.join(partial, name))
    else:
        os.link(path, partial)
    _publish_one(partial, link, manifest)
