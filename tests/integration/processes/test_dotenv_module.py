# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module dotenv by the real ansible-playbook: what it answers, shows and hides."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from ansible_collections.baileys.resilience.plugins.module_utils.system.env_file import read_env_file
from tests.support.databases import UGLY_PASSWORD
from tests.support.dotenv_oracle import dotenv
from tests.support.playbooks import Surroundings, Unsafe, run_module
from tests.support.watch import forms_of

PASSWORD = UGLY_PASSWORD.replace("`", "")


def test_a_playbook_changes_a_file_and_shows_no_value(tmp_path: Path) -> None:
    surroundings = Surroundings(tmp_path)
    surroundings.write_hosts({"app1": {}})
    env = tmp_path / ".env"
    env.write_text("POSTGRES_DATABASE=whatsapp\nUSE_DATABASE_AUTH_STATE=false\nPOSTGRES_URL=old-secret\n")
    env.chmod(0o600)
    before = env.read_bytes()
    given: dict[str, Any] = {
        "path": str(env),
        # "app" is part of every path and "1" of every number: neither may be blotted out for being a value.
        "set": {
            "POSTGRES_DATABASE": "env",
            "USE_DATABASE_AUTH_STATE": True,
            "PORT": 1,
            "POSTGRES_PASSWORD": Unsafe(PASSWORD),
        },
        "unset": ["POSTGRES_URL"],
    }
    task = {"baileys.resilience.dotenv": given}
    read = {"ansible.builtin.slurp": {"src": str(env)}, "no_log": True}
    planning = {**task, "check_mode": True}
    played, results = surroundings.play_tasks([planning, read, task, task], "--diff", "-vvvv")
    assert results["r1"]["content"] == base64.b64encode(before).decode(), "check mode wrote"
    assert results["r2"] == results["r0"] | {"size": env.stat().st_size}
    assert results["r2"]["changed"]
    assert results["r2"]["path"] == str(env)
    assert results["r2"]["added"] == ["PORT", "POSTGRES_PASSWORD"]
    assert results["r2"]["modified"] == ["POSTGRES_DATABASE", "USE_DATABASE_AUTH_STATE"]
    assert results["r2"]["removed"] == ["POSTGRES_URL"]
    assert not results["r3"]["changed"]
    assert f"{env}\n+ PORT (added)\n" in played.output
    for secret in (PASSWORD, "old-secret"):
        assert not any(form in played.output.encode() for form in forms_of(secret))
    expected = {
        "POSTGRES_DATABASE": "env",
        "USE_DATABASE_AUTH_STATE": "true",
        "PORT": "1",
        "POSTGRES_PASSWORD": PASSWORD,
    }
    with dotenv() as ask:
        assert ask(env.read_text(encoding="utf-8")) == expected
    assert env.stat().st_mode & 0o777 == 0o600


def test_what_is_no_text_is_refused_and_named(tmp_path: Path) -> None:
    env = tmp_path / ".env"
    env.write_text("A=1\n")
    for value, what in (
        (None, "empty (null)"),
        (["s3cret"], "a list or a dict"),
        ({"a": "s3cret"}, "a list or a dict"),
    ):
        result = run_module("dotenv", {"path": str(env), "set": {"A": value}})
        assert result["failed"]
        assert result["msg"].startswith(f"The value of A is {what}, and an environment variable is a text.")
        assert "s3cret" not in str(result)
    assert env.read_text() == "A=1\n"


def test_a_value_that_dotenv_cannot_read_is_in_no_answer(tmp_path: Path) -> None:
    env = tmp_path / ".env"
    env.write_text("A=1\n")
    result = run_module("dotenv", {"path": str(env), "set": {"A": UGLY_PASSWORD}, "_ansible_diff": True})
    assert result["failed"]
    assert result["stage"] == "dotenv"
    assert result["remedy"] == "Give a value without one of them."
    assert not any(form in str(result).encode() for form in forms_of(UGLY_PASSWORD))
    assert read_env_file(str(env)) == {"A": "1"}


def test_a_new_file_is_made_only_if_asked_and_open_ones_are_warned_about(tmp_path: Path) -> None:
    env = tmp_path / ".env"
    arguments = {"path": str(env), "set": {"A": "1"}}
    assert run_module("dotenv", arguments)["msg"] == (
        f"There is no file {env}. Correct the path, or say that it is to be created."
    )
    made = run_module("dotenv", {**arguments, "create": True}, umask=0)
    assert made["created"]
    assert env.stat().st_mode & 0o777 == 0o600
    env.chmod(0o644)
    (warning,) = run_module("dotenv", {**arguments, "set": {"A": "2"}})["warnings"]
    assert "can be read by every user of this host" in str(warning)
