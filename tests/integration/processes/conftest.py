# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real PM2 for the tests of this directory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2 import Pm2
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_actions import delete_app
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_processes import list_processes
from tests.support.modules_here import run_here
from tests.support.pm2 import pm2_home, write_script


@pytest.fixture(scope="module")
def shared_pm2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pm2]:
    with pm2_home(tmp_path_factory.mktemp("pm2") / "home") as pm2:
        yield pm2


@pytest.fixture
def pm2(shared_pm2: Pm2) -> Iterator[Pm2]:
    """A PM2 without apps, whose daemon may run already."""
    yield shared_pm2
    for name in {process.name for process in list_processes(shared_pm2)}:
        delete_app(shared_pm2, name)
    for name in ("dump.pm2", "dump.pm2.bak"):
        Path(shared_pm2.home, name).unlink(missing_ok=True)


@pytest.fixture
def own_pm2(tmp_path: Path) -> Iterator[Pm2]:
    """A PM2 of this test alone, to be broken."""
    with pm2_home(tmp_path / "pm2-home") as pm2:
        yield pm2


@pytest.fixture
def sleeper(tmp_path: Path) -> str:
    """A script that stays, and writes down each of its starts."""
    return write_script(tmp_path / "sleeper", ["#!/bin/sh", f"echo started >> {tmp_path}/starts", "exec sleep 600"])


class Telling:
    """A program that writes down what it was started with, and stays."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.script = str(directory / "telling.js")
        Path(self.script).write_text(
            """
            const fs = require('fs');
            const seen = {args: process.argv.slice(2), env: process.env, cwd: process.cwd(), execArgv: process.execArgv};
            const file = `${__dirname}/seen-${process.env.NODE_APP_INSTANCE}`;
            fs.writeFileSync(file + '.partial', JSON.stringify(seen));
            fs.renameSync(file + '.partial', file + '.json');
            setInterval(() => {}, 1000);
            """,
            encoding="utf-8",
        )

    def seen(self, instance: int = 0) -> dict[str, Any] | None:
        path = self.directory / f"seen-{instance}.json"
        return json.loads(path.read_text()) if path.exists() else None


@pytest.fixture
def telling(tmp_path: Path) -> Telling:
    return Telling(tmp_path)


class Module:
    """The module pm2_app on one PM2, with these options unless a call says otherwise."""

    def __init__(self, pm2: Pm2, **options: Any) -> None:
        self.options = {"pm2_home": pm2.home, "program": pm2.program, "settle_time": 0.3, "_ansible_diff": True}
        self.options.update(options)

    def given(self, options: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in {**self.options, **options}.items() if value is not None}

    def __call__(self, **options: Any) -> dict[str, Any]:
        result = run_here("pm2_app", self.given(options))
        assert not result.get("failed"), result
        return result

    def failing(self, **options: Any) -> dict[str, Any]:
        result = run_here("pm2_app", self.given(options))
        assert result.get("failed"), result
        return result
