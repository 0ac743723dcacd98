# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packages that are out of the way but not gone, so that the way back to them needs neither npm nor a registry.

They lie in the git directory of their work tree: on the same file system, and seen by neither git nor npm.
"""

from __future__ import annotations

import hashlib
import json
import os

from ..system.files import remove_tree_or_file
from .git import Checkout
from .installed import Packages, installed_packages, module_directories, satisfies

_ASIDE = "modules-aside"


def find_aside(git: Checkout, directory: str, asked: Packages) -> str | None:
    """Where packages lie that are what is asked for, if there are such."""
    return next((slot for slot in _slots(git, directory) if satisfies(installed_packages(slot), asked)), None)


def set_aside(git: Checkout, directory: str) -> str | None:
    """Move the packages of ``directory`` out of the way; returns where to. What is incomplete is removed (None)."""
    packages = installed_packages(directory)
    aside = _aside(git, directory)
    if packages is None or aside is None:
        remove_modules(directory)
        return None
    name = hashlib.sha256(json.dumps(packages, sort_keys=True).encode()).hexdigest()[:16]
    slot = os.path.join(aside, name)
    remove_tree_or_file(slot)
    for path in (aside, slot):
        os.makedirs(path, exist_ok=True)
        if git.account:
            # He is who removes the worktree one day.
            os.chown(path, git.account.uid, git.account.gid)
    _move(packages, directory, slot)
    return slot


def put_back(slot: str, directory: str) -> None:
    """Move packages that were set aside into ``directory``."""
    _move(installed_packages(slot) or {}, slot, directory)
    remove_tree_or_file(slot)


def forget_aside(git: Checkout, directory: str, but: str | None) -> None:
    """Remove what was set aside, except ``but``."""
    for slot in _slots(git, directory):
        if slot != but:
            remove_tree_or_file(slot)


def remove_modules(directory: str) -> None:
    """Remove node_modules, whole or not."""
    for place in module_directories(installed_packages(directory) or {}):
        remove_tree_or_file(os.path.join(directory, place))


def _move(packages: Packages, source: str, target: str) -> None:
    for place in module_directories(packages):
        path = os.path.join(target, place)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.rename(os.path.join(source, place), path)


def _slots(git: Checkout, directory: str) -> list[str]:
    aside = _aside(git, directory)
    if aside is None or not os.path.isdir(aside):
        return []
    return [os.path.join(aside, name) for name in sorted(os.listdir(aside))]


def _aside(git: Checkout, directory: str) -> str | None:
    if not os.path.isdir(directory):
        return None
    answer = git.run("rev-parse", "--git-dir", directory=directory)
    return os.path.join(directory, answer.stdout.strip(), _ASIDE) if answer.rc == 0 else None
