# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bring up the code at the tag, and the ``.env`` it reads."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

from ..processes.dependencies import plan_dependencies, provide_dependencies
from ..processes.dotenv import write_env_file
from ..processes.in_place import Head, checkout_in_place, read_head, restore_checkout
from ..processes.pm2_spec import AppSpec
from ..processes.release import Commit, verify_tag
from ..processes.worktree import prepare_worktree, remove_worktree
from ..system.env_file import read_env_file
from .request import CHECKOUT, WORKTREE, EmergencyRequest, Service, moved


def emergency_spec(original: AppSpec, service: Service) -> AppSpec:
    """How PM2 starts the code at the tag: as the service is started today, from the other directory.

    The settings are passed in the environment as well. dotenv overrides nothing that PM2 has captured, so a flag that
    stood there when the app was first started would win over the file.
    """
    here, there = service.checkout, service.code_directory
    environment = {
        name: service.emergency_env_file if value == service.own_env_file else value
        for name, value in original.env.items()
    }
    return dataclasses.replace(
        original,
        script=moved(original.script, here, there),
        cwd=moved(original.cwd, here, there) if original.cwd else original.cwd,
        env={**environment, **service.emergency_settings},
    )


def examine(service: Service) -> tuple[Commit, list[str]]:
    """The commit behind the tag, and what bringing it up would do. Raises ResilienceError for what would refuse it."""
    commit = verify_tag(service.checkout, service.tag)
    if service.release == WORKTREE:
        how = prepare_worktree(service.checkout, commit, service.code_directory, dry_run=True).how
        words = {"made": "a new worktree", "moved": "the worktree that is there", "there": "the worktree that is ready"}
        code = f"{words[how]} at {service.code_directory}; {service.checkout} and its other apps stay as they are"
    else:
        checkout_in_place(service.checkout, commit, dry_run=True)
        code = f"checked out in {service.checkout}, for every app that is started from it afterwards"
    packages = plan_dependencies(service.checkout, commit, service.code_directory)
    return commit, [
        f"Code: {service.tag} ({commit.sha[:12]}, {commit.subject}), {code}",
        f"Packages: {packages.how} ({packages.reason})",
    ]


def prepare(service: Service, commit: Commit) -> list[str]:
    """The code in a worktree of its own, with its packages and its ``.env``; returns warnings.

    Nothing of it touches the service, so it is done while that still runs. A checkout in place has to wait.
    """
    if service.release == CHECKOUT:
        return list(commit.warnings)
    prepare_worktree(service.checkout, commit, service.code_directory)
    provide_dependencies(service.checkout, service.code_directory, service.npm_program, service.npm_timeout)
    if service.emergency_env_file == service.own_env_file:
        alone = "lies outside the checkout, so it is left as it is; the service gets its settings from PM2 alone"
        return [*commit.warnings, f"{service.own_env_file} {alone}"]
    base = service.own_env_file if os.path.exists(service.own_env_file) else None
    write_env_file(service.emergency_env_file, service.emergency_settings, base=base, create=True)
    return list(commit.warnings)


def standing(service: Service) -> dict[str, Any] | None:
    """What a checkout in place is about to change, for the way back; None for a worktree, which changes nothing."""
    if service.release == WORKTREE:
        return None
    values = read_env_file(service.own_env_file) if os.path.exists(service.own_env_file) else {}
    return {
        "head": dataclasses.asdict(read_head(service.checkout)),
        "settings": {name: values.get(name) for name in service.emergency_settings},
    }


def check_out(service: Service) -> None:
    """The code at the tag in the place of what is checked out."""
    commit = verify_tag(service.checkout, service.tag)
    checkout_in_place(service.checkout, commit)
    provide_dependencies(service.checkout, service.checkout, service.npm_program, service.npm_timeout)
    write_env_file(service.own_env_file, service.emergency_settings, create=True)


def check_out_again(service: Service, previous: Mapping[str, Any]) -> None:
    """What was checked out before, with the settings of before."""
    restore_checkout(service.checkout, Head(**previous["head"]))
    provide_dependencies(service.checkout, service.checkout, service.npm_program, service.npm_timeout)
    old: Mapping[str, str | None] = previous["settings"]
    if not os.path.exists(service.own_env_file) and not any(old.values()):
        return
    write_env_file(
        service.own_env_file,
        {name: value for name, value in old.items() if value is not None},
        [name for name, value in old.items() if value is None],
    )


def remove(request: EmergencyRequest) -> None:
    """The worktree is removed; a checkout in place has none."""
    if request.service.release == WORKTREE:
        remove_worktree(request.service.checkout, request.service.code_directory)
