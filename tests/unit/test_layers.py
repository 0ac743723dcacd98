# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arrows between the parts of the collection point down only.

modules → ansible_module → emergency → drill → restore → backup → postgres → system; beside backup stand sessions, health,
offsite and processes; and reporting, which rests on system alone, is for anybody to use.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COLLECTION = "ansible_collections.baileys.resilience"
UTILS = f"{COLLECTION}.plugins.module_utils"

# What each part may import besides itself. Parts of one level do not know each other; above all, `backup`
# knows nothing of `sessions`: a database without WhatsApp in it is served just as well.
_FEATURES = {"backup", "sessions", "health", "offsite", "processes", "runner"}
_ALL_FEATURES = _FEATURES | {"restore", "drill", "emergency"}
_BELOW_FEATURES = {"postgres", "reporting", "system"}
ALLOWED: dict[str, set[str]] = {
    "system": set(),
    "reporting": {"system"},
    "postgres": {"reporting", "system"},
    **dict.fromkeys(_FEATURES, _BELOW_FEATURES),
    # What is made of backups: a restore, and the drill, which is one more way to restore.
    "restore": {"backup"} | _BELOW_FEATURES,
    "drill": {"backup", "restore"} | _BELOW_FEATURES,
    # What a person does when the database is gone: it takes from everything else.
    "emergency": (_ALL_FEATURES - {"emergency"}) | _BELOW_FEATURES,
    "ansible_module": _ALL_FEATURES | _BELOW_FEATURES,
    # What two modules share of the seam.
    "emergency_module": {"ansible_module"} | _ALL_FEATURES | _BELOW_FEATURES,
    "modules": {"ansible_module", "emergency_module"} | _ALL_FEATURES | _BELOW_FEATURES,
    # What runs on the controller, around a module.
    "action": {"plugin_utils", "system"},
    "plugin_utils": {"reporting", "system"},
    # One reading of cron: what PM2 refuses, a timer is not given either.
    "filter": {"processes", "reporting", "system"},
    "doc_fragments": set(),
}
# The only parts that know they are run by Ansible. Everything else is the core.
KNOW_ANSIBLE = {"ansible_module", "modules", "action", "plugin_utils", "filter", "doc_fragments"}


def part_of(module: str) -> str | None:
    """The part a dotted name belongs to; None if it is not below `plugins`."""
    below = module.removeprefix(f"{COLLECTION}.plugins.")
    if below == module:
        return None
    names = below.split(".")
    return names[1] if names[0] == "module_utils" and len(names) > 1 else names[0]


def imported_names(tree: ast.AST, package: list[str]) -> Iterator[tuple[int, str]]:
    """Line and absolute dotted name of everything imported, at whatever depth of the file.

    `from a import b` counts as a.b: whether b is a module cannot be seen, and need not be.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # One dot is the package itself, every further dot one package up.
            base = package[: len(package) - node.level + 1] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{start}.{alias.name}") for alias in node.names)


def violations(plugins: Path) -> list[str]:
    """One line for every import below `plugins` that the rules forbid."""
    found = []
    for path in sorted(plugins.rglob("*.py")):
        package = [*COLLECTION.split("."), "plugins", *path.relative_to(plugins).parent.parts]
        part = part_of(".".join([*package, path.stem]))
        where = path.relative_to(plugins.parent)
        if part not in ALLOWED:
            found.append(f"{where}: {part} is not among the parts of the collection; give it a place in ALLOWED")
            continue
        for line, name in imported_names(ast.parse(path.read_text()), package):
            problem = forbidden(part, name)
            if problem:
                found.append(f"{where}:{line}: {problem}")
    return found


def forbidden(part: str, name: str) -> str | None:
    """Why `part` may not import `name`, if it may not."""
    if name.split(".")[0] == "ansible" and part not in KNOW_ANSIBLE:
        return f"{part} belongs to the core, which knows nothing of Ansible, and imports {name}"
    target = part_of(name)
    if target is not None and target != part and target not in ALLOWED[part]:
        return f"{part} must not import {target} ({name})"
    if target == part == "modules":
        return f"a module imports another ({name})"
    return None


def test_arrows_point_down() -> None:
    plugins = ROOT / "plugins"
    assert len(list(plugins.rglob("*.py"))) > 10, "the collection was not found"
    assert violations(plugins) == []


@pytest.mark.parametrize(
    ("path", "line", "problem"),
    [
        ("module_utils/backup/a.py", f"from {UTILS}.sessions import keys", "backup must not import sessions"),
        ("module_utils/backup/a.py", f"from {UTILS} import sessions", "backup must not import sessions"),
        ("module_utils/backup/a.py", f"import {UTILS}.sessions.keys", "backup must not import sessions"),
        ("module_utils/backup/a.py", "from ..sessions import keys", "backup must not import sessions"),
        ("module_utils/backup/a.py", "from .. import sessions", "backup must not import sessions"),
        ("module_utils/backup/deep/a.py", "from ...sessions import keys", "backup must not import sessions"),
        ("module_utils/backup/a.py", "def f():\n    from ..sessions import keys", "backup must not import sessions"),
        ("module_utils/backup/a.py", "try:\n    import ansible.errors\nexcept ImportError:\n    pass", "the core"),
        ("module_utils/system/a.py", "from ansible.module_utils.basic import AnsibleModule", "the core"),
        ("module_utils/reporting/a.py", "from ansible import module_utils", "the core"),
        ("module_utils/system/a.py", "from ..reporting import redact", "system must not import reporting"),
        ("module_utils/system/a.py", "from ..postgres import client", "system must not import postgres"),
        ("module_utils/postgres/a.py", "from ..backup import make", "postgres must not import backup"),
        ("module_utils/reporting/a.py", "from ..postgres import client", "reporting must not import postgres"),
        ("module_utils/backup/a.py", "from ..ansible_module import run", "backup must not import ansible_module"),
        ("module_utils/postgres/a.py", "from ...modules import pg_backup", "postgres must not import modules"),
        ("modules/a.py", f"from {COLLECTION}.plugins.modules import pg_backup", "a module imports another"),
        ("module_utils/other/a.py", "", "other is not among the parts"),
    ],
)
def test_a_planted_violation_is_found(tmp_path: Path, path: str, line: str, problem: str) -> None:
    planted = tmp_path / "plugins" / path
    planted.parent.mkdir(parents=True)
    planted.write_text(line)
    (found,) = violations(tmp_path / "plugins")
    assert path in found
    assert problem in found


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("modules/a.py", f"from {UTILS}.ansible_module import run"),
        ("modules/a.py", "from ansible.module_utils.basic import AnsibleModule"),
        ("module_utils/ansible_module.py", "from .backup import make"),
        ("module_utils/backup/a.py", "from . import describe"),
        ("module_utils/backup/a.py", "from ..postgres import client"),
        ("module_utils/backup/a.py", "from ..reporting.redact import redact"),
        ("module_utils/postgres/a.py", "import psycopg2"),
        ("module_utils/reporting/a.py", f"from {UTILS}.system.errors import ResilienceError"),
    ],
)
def test_an_arrow_down_is_allowed(tmp_path: Path, path: str, line: str) -> None:
    allowed = tmp_path / "plugins" / path
    allowed.parent.mkdir(parents=True)
    allowed.write_text(line)
    assert violations(tmp_path / "plugins") == []
