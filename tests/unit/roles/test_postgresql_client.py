# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of the role: as declared, as documented, and the key they name is that of the PostgreSQL project."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.baileys.resilience.plugins.module_utils.system.openpgp import (
    plain_fingerprint,
    read_public_key,
)
from tests.support import documents

ROOT = Path(__file__).resolve().parents[3]
ROLE = ROOT / "roles/postgresql_client"
# What the README says in words, as there is no value to quote.
IN_WORDS = {"postgresql_client_suite", "postgresql_client_key_file"}


def loaded(name: str) -> Any:
    return yaml.safe_load((ROLE / name).read_text(encoding="utf-8"))


def test_the_defaults_are_those_of_the_argument_specification() -> None:
    options = loaded("meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    assert {name: option["default"] for name, option in options.items()} == loaded("defaults/main.yml")


def test_the_defaults_are_those_of_the_readme() -> None:
    rows = documents.read(ROLE / "README.md").rows("Variables")
    described = {documents.literals(name)[0]: default for name, default, _meaning in rows}
    defaults = loaded("defaults/main.yml")
    assert list(described) == list(defaults)
    for name, value in defaults.items():
        if name not in IN_WORDS:
            text = json.dumps(value) if isinstance(value, (bool, list)) else str(value)
            assert described[name] == f"`{text}`"


def test_the_fingerprint_is_that_of_the_key_of_the_postgresql_project() -> None:
    key = read_public_key((ROOT / "tests/unit/system/pgdg.asc").read_bytes())
    assert key.fingerprint == plain_fingerprint(loaded("defaults/main.yml")["postgresql_client_key_fingerprint"])
