# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make a finished archive visible: all of it at once, or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

from ..system.errors import ResilienceError
from ..system.files import explain_os_error, fsync_directory, private_directory, remove_tree_or_file
from .describe import Manifest, manifest_path, write_manifest
from .naming import PARTIAL_SUFFIX


def publish(partial: str, path: str, manifest: Manifest, links: Sequence[str]) -> list[str]:
    """Give the verified archive its name, and hard links in longer tiers; returns the links made.

    The manifest comes first: a reader that sees an archive always sees its manifest. If this process dies
    in between, a manifest without an archive is left, which is no archive to any reader and is cleared by
    the next run. Raises ResilienceError, with neither left behind.
    """
    made: list[str] = []
    try:
        try:
            _publish_one(partial, path, manifest)
            for link in links:
                _link(path, link, manifest)
                made.append(link)
        except OSError as error:
            raise explain_os_error(error, path, "publish") from error
    except ResilienceError as error:
        for published in [path, *links]:
            with contextlib.suppress(ResilienceError):
                withdraw(published)
                if published != path:
                    remove_tree_or_file(published + PARTIAL_SUFFIX)
        raise error.at_stage("publish") from error
    return made


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
    write_manifest(path, manifest)
    os.rename(partial, path)
    fsync_directory(os.path.dirname(path))


def _link(path: str, link: str, manifest: Manifest) -> None:
    """The same bytes under a second name, costing no space; a directory is linked file by file."""
    private_directory(os.path.dirname(link))
    partial = link + PARTIAL_SUFFIX
    if os.path.isdir(path):
        private_directory(partial)
        for name in os.listdir(path):
            os.link(os.path.join(path, name), os.path.join(partial, name))
    else:
        os.link(path, partial)
    _publish_one(partial, link, manifest)
