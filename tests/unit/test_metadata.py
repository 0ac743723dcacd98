# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the metadata says about the collection is so."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]


def python_requirements(path: Path) -> dict[str, str]:
    lines = [line.split("#")[0].strip() for line in path.read_text().splitlines()]
    return {wanted.name: str(wanted.specifier) for wanted in map(Requirement, filter(None, lines))}


@pytest.mark.parametrize(
    ("group", "signs"),
    [
        ("resilience", ["  - baileys.resilience.connection\n"]),
        # Either by itself, or from the fragment.
        ("archives", ["\n  backup_root:\n", "  - baileys.resilience.emergency\n"]),
    ],
)
def test_an_action_group_names_every_module_with_its_options_and_no_other(group: str, signs: list[str]) -> None:
    """One left out would silently ignore what `module_defaults` sets; one too many would refuse it."""
    groups = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["action_groups"]
    paths = sorted((ROOT / "plugins/modules").glob("*.py"))
    modules = [path.stem for path in paths if any(sign in path.read_text() for sign in signs)]
    assert len(modules) > 1
    assert groups[group] == modules


def test_the_execution_environment_installs_what_the_wheel_does() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    wheel = {
        wanted.name: str(wanted.specifier)
        for wanted in map(Requirement, [*project["dependencies"], *optional["telegram"], *optional["sentry"]])
        if wanted.name != "ansible-core"
    }
    described = yaml.safe_load((ROOT / "meta/execution-environment.yml").read_text())["dependencies"]
    assert (ROOT / described["system"]).is_file()
    assert python_requirements(ROOT / described["python"]) == wheel


def test_the_oldest_ansible_is_the_same_everywhere() -> None:
    runtime = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["requires_ansible"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (wheel,) = (wanted for wanted in map(Requirement, project["dependencies"]) if wanted.name == "ansible-core")
    assert runtime == ">=2.17.0"
    assert "2.16.99" not in wheel.specifier
    assert "2.17.0" in wheel.specifier


def test_nothing_is_ignored_or_skipped() -> None:
    """No ignore file of ansible-test, no list of rules that ansible-lint passes over."""
    assert list(ROOT.glob("tests/sanity/ignore*.txt")) == []
    assert not (ROOT / ".ansible-lint-ignore").exists()
    lint = yaml.safe_load((ROOT / ".ansible-lint").read_text())
    assert lint["profile"] == "production"
    assert lint["strict"] is True
    assert not {"skip_list", "warn_list", "mock_modules", "mock_roles"} & set(lint)
