# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module's documentation must hold.

ansible-test checks the form of what is there; whether it is there it asks of ansible-core's own modules
only: a module without RETURN passes.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml

MODULES = sorted((Path(__file__).resolve().parents[2] / "plugins" / "modules").glob("*.py"))
FRAGMENT = "baileys.resilience.attributes"


def documentation(module: Path) -> dict[str, Any]:
    """What the module assigns to DOCUMENTATION, EXAMPLES and RETURN, parsed."""
    found = {}
    for node in ast.parse(module.read_text()).body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and isinstance(node.value, ast.Constant)
        ):
            found[node.targets[0].id] = yaml.safe_load(str(node.value.value))
    return found


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_a_module_is_documented_in_full(module: Path) -> None:
    described = documentation(module)["DOCUMENTATION"]
    assert described["module"] == module.stem
    # The fragment describes the attributes; how far they are supported only the module can say.
    assert FRAGMENT in described["extends_documentation_fragment"]
    for attribute in ("check_mode", "diff_mode"):
        assert described["attributes"][attribute]["support"] in {"full", "partial", "none", "N/A"}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_a_module_shows_how_it_is_used(module: Path) -> None:
    examples = documentation(module)["EXAMPLES"]
    used = [task for task in examples if f"baileys.resilience.{module.stem}" in task]
    assert used, "no example calls the module by its full name"
    assert all(task.get("name") for task in examples)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_a_module_says_what_it_returns(module: Path) -> None:
    returned = documentation(module)["RETURN"]
    assert returned
    for name, value in returned.items():
        assert value.get("description"), name
        assert value.get("returned"), name
        assert value.get("type"), name
