# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a lock file of npm asks for, and whether a directory's node_modules is just that.

Comparing two lock files would say nothing of an installation that failed or was made by hand. npm writes down what it
has installed, once it has, in ``node_modules/.package-lock.json``; that is compared with what is asked for.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from ..system.errors import ResilienceError
from ..system.files import explain_os_error

STAGE = "dependencies"
# npm reads the first it finds.
NPM_LOCKS = ("npm-shrinkwrap.json", "package-lock.json")
_HIDDEN_LOCK = os.path.join("node_modules", ".package-lock.json")
_MODULES = "node_modules"

Packages = dict[str, dict[str, Any]]


def packages_of(text: str, name: str) -> Packages:
    """The packages a lock file lists, by their place. Raises ResilienceError when it is none that npm 7 or newer wrote."""
    try:
        packages = json.loads(text)["packages"]
        # The empty name is the application itself.
        return {place: dict(entry) for place, entry in packages.items() if place}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ResilienceError(
            f"{name} is no lock file that npm 7 or newer wrote",
            stage=STAGE,
            remedy="Write it anew with a current npm (npm install --package-lock-only) and tag the commit that has it.",
        ) from error


def asked_for(read: Callable[[str], str | None], where: str) -> tuple[str, Packages]:
    """Name and packages of the lock file among the files that ``read`` gives (None: there is no such file).

    Raises ResilienceError when the code ``where`` needs packages and has no lock file.
    """
    for name in NPM_LOCKS:
        text = read(name)
        if text is not None:
            return name, packages_of(text, f"{name} of {where}")
    text = read("package.json")
    if text is None or not json.loads(text).get("dependencies"):
        return "package.json", {}
    raise ResilienceError(
        f"{where} has a package.json and no package-lock.json, so nothing says which packages it needs",
        stage=STAGE,
        remedy="Tag a commit with the lock file that npm writes (npm install --package-lock-only).",
    )


def installed_packages(directory: str) -> Packages | None:
    """What npm has installed in ``directory``; None where an installation is missing, incomplete or not npm's."""
    path = os.path.join(directory, _HIDDEN_LOCK)
    try:
        with open(path, encoding="utf-8") as stream:
            packages = packages_of(stream.read(), path)
    except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError, ResilienceError):
        return None
    except OSError as error:
        raise explain_os_error(error, path, "read").at_stage(STAGE) from error
    if all(os.path.lexists(os.path.join(directory, place)) for place in packages):
        return packages
    return None


def satisfies(installed: Packages | None, asked: Packages) -> bool:
    """Whether what is installed is what is asked for, packages that npm may leave out aside."""
    if installed is None:
        return False
    missing = asked.keys() - installed.keys()
    return all(_same(entry, asked.get(place)) for place, entry in installed.items()) and all(
        _may_be_left_out(asked[place]) for place in missing
    )


def _same(one: dict[str, Any], other: dict[str, Any] | None) -> bool:
    return other is not None and all(one.get(key) == other.get(key) for key in ("version", "integrity", "link"))


def _may_be_left_out(entry: dict[str, Any]) -> bool:
    # Development packages by choice (--omit=dev), optional ones that are for another platform.
    return any(entry.get(key) for key in ("dev", "optional", "devOptional", "peer"))


def module_directories(packages: Packages) -> tuple[str, ...]:
    """The directories that hold the packages: those of workspaces with packages of their own, and last node_modules.

    It holds npm's list of all: whoever moves them moves what makes them count last.
    """
    places = (place.partition(_MODULES + "/") for place in packages)
    return (*sorted({before + _MODULES for before, found, _after in places if found and before}), _MODULES)
