# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's own inventory: what the controller knows of this host, texts as they are, nothing of other hosts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import playbook_variables
from tests.support.databases import UGLY_PASSWORD
from tests.support.playbooks import ROOT, Surroundings, Unsafe

ROLE_VARIABLES = ROOT / "roles" / "runner" / "vars" / "main.yml"
INTERNAL = {"backup_hosts", "backup_only", "emergency_confirm"}


@pytest.fixture
def surroundings(tmp_path: Path) -> Surroundings:
    return Surroundings(tmp_path)


def settings_of(surroundings: Surroundings, *arguments: str) -> dict[str, Any]:
    """What the host reads of its variables after they went through the role's expressions and back."""
    own = surroundings.directory / "own.yml"
    content = "{{ {'all': {'hosts': {inventory_hostname: runner_settings}}} | baileys.resilience.unsafe_yaml }}"
    write = {"ansible.builtin.copy": {"content": content, "dest": str(own), "mode": "0600"}, "no_log": True}
    played, _ = surroundings.play_tasks([write], "--limit", "app", *arguments, vars_files=[str(ROLE_VARIABLES)])
    assert played.rc == 0, played
    assert UGLY_PASSWORD not in played.output
    surroundings.inventory.write_text(own.read_text())
    name = "vars | dict2items | selectattr('key', 'match', '(backup|telegram|sentry|cleanup|emergency)_') | items2dict"
    task = {"ansible.builtin.set_fact": {"found": "{{ %s }}" % name}}
    _, results = surroundings.play_tasks([task], "-e", "ansible_connection=local")
    found: dict[str, Any] = results["r0"]["ansible_facts"]["found"]
    return found


def test_everything_of_this_host_comes_back_as_it_was(surroundings: Surroundings) -> None:
    source = {
        "name": "app",
        "login_password": Unsafe(UGLY_PASSWORD),
        "min_rows": 1000,
        "connect_params": {"connect_timeout": 3},
        "drill_checks": [{"name": "n", "query": "select 1", "expected": None}],
        "session_layout": {},
        "max_shrink_percent": 12.5,
        "prune": True,
    }
    # A value that stands behind a variable, as one of a vault does.
    other = {"name": "behind", "login_password": "{{ vault_password }}"}
    surroundings.write_hosts(
        {
            "app": {"backup_sources": [source, other], "vault_password": Unsafe(UGLY_PASSWORD)},
            "other": {"backup_sources": [{"name": "theirs", "login_password": "of the other host"}]},
        },
        telegram_token=Unsafe("{{ 1 + 1 }}"),
        cleanup_dry_run=False,
        ansible_become=False,
        application_secret="none of the settings",
    )
    found = settings_of(surroundings)
    text = surroundings.inventory.read_text()
    assert found["backup_sources"] == [dict(source), {"name": "behind", "login_password": UGLY_PASSWORD}]
    assert found["telegram_token"] == "{{ 1 + 1 }}"
    assert found["cleanup_dry_run"] is False
    for absent in ("of the other host", "none of the settings", "ansible_become", "vault_password"):
        assert absent not in text


def test_what_is_about_one_run_does_not_stay(surroundings: Surroundings) -> None:
    surroundings.write_hosts({"app": {"backup_sources": [{"name": "app"}], "backup_directories_owner": "x"}})
    extra = [word for name in sorted(INTERNAL - {"backup_hosts"}) for word in ("-e", f"{name}=app")]
    found = settings_of(surroundings, *extra)
    assert set(found) == {"backup_sources"}


def test_an_env_file_keeps_its_secret_to_itself(surroundings: Surroundings, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"POSTGRES_PASSWORD={UGLY_PASSWORD}\n")
    surroundings.write_hosts({"app": {"backup_sources": [{"name": "app", "env_file": str(tmp_path / ".env")}]}})
    assert settings_of(surroundings)["backup_sources"] == [{"name": "app", "env_file": str(tmp_path / ".env")}]
    assert "POSTGRES_PASSWORD" not in surroundings.inventory.read_text()


def test_every_variable_that_a_playbook_reads_is_taken_along() -> None:
    pattern = yaml.safe_load(ROLE_VARIABLES.read_text())["runner_settings_pattern"]
    names = re.search(r"\[(.*)\]", pattern, re.DOTALL)
    assert names is not None
    excluded = "|".join(re.findall(r"'(\w+)'", names[1]))
    start, _, end = pattern.partition("{{")
    regular = re.compile(start + excluded + end.rpartition("}}")[2].strip())
    read = {
        name
        for name in playbook_variables.variables()
        if not name.startswith(("runner_", "postgresql_client_", "pm2_jobs_", "site_"))
    }
    assert {name for name in read if not regular.match(name)} == INTERNAL
