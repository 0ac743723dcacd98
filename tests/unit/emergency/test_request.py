# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the code at the tag stands and what it is told."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.emergency.code import emergency_spec
from ansible_collections.baileys.resilience.plugins.module_utils.emergency.request import Service, moved
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_spec import AppSpec
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import SettingsError
from tests.unit.emergency.requests import SERVICE

ORIGINAL = AppSpec(
    name="whatsapp",
    script="/opt/whatsapp/dist/server.js",
    cwd="/opt/whatsapp",
    interpreter="node",
    args=("--config", "/opt/whatsapp/config.json"),
    env={
        "USE_DATABASE_AUTH_STATE": "true",
        "DOTENV_CONFIG_PATH": "/opt/whatsapp/.env",
        "NODE_ENV": "production",
        "OTHER": "/opt/whatsapp/.env.example",
    },
    out_log="/var/log/whatsapp.log",
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/opt/app", "/opt/new"),
        ("/opt/app/", "/opt/new"),
        ("/opt/app/dist/a.js", "/opt/new/dist/a.js"),
        ("/opt/app/../app/a.js", "/opt/new/a.js"),
        ("/opt/application/a.js", "/opt/application/a.js"),
        ("/opt/..app/a.js", "/opt/..app/a.js"),
        ("/etc/app.env", "/etc/app.env"),
        ("/opt", "/opt"),
        ("/opt/app/..hidden", "/opt/new/..hidden"),
    ],
)
def test_what_is_below_one_directory_is_moved_below_the_other(path: str, expected: str) -> None:
    assert moved(path, "/opt/app", "/opt/new") == expected


def test_the_service_is_started_as_before_from_the_other_directory() -> None:
    service = dataclasses.replace(SERVICE, sessions_variable="AUTH_FILES_DIRECTORY")
    spec = emergency_spec(ORIGINAL, service)
    assert spec.script == "/opt/whatsapp-emergency/dist/server.js"
    assert spec.cwd == "/opt/whatsapp-emergency"
    assert spec.env == {
        "USE_DATABASE_AUTH_STATE": "false",
        "USE_REPOSITORY_PATTERN": "false",
        "USE_LEGACY_SUPABASE": "false",
        "AUTH_FILES_DIRECTORY": "/var/lib/whatsapp/sessions",
        "DOTENV_CONFIG_PATH": "/opt/whatsapp-emergency/.env",
        "NODE_ENV": "production",
        "OTHER": "/opt/whatsapp/.env.example",
    }
    same = {"script", "cwd", "env"}
    for item in dataclasses.fields(AppSpec):
        if item.name not in same:
            assert getattr(spec, item.name) == getattr(ORIGINAL, item.name), item.name


def test_in_place_nothing_but_the_settings_changes() -> None:
    spec = emergency_spec(ORIGINAL, dataclasses.replace(SERVICE, release="checkout"))
    assert (spec.script, spec.cwd) == (ORIGINAL.script, ORIGINAL.cwd)
    assert spec.env["USE_DATABASE_AUTH_STATE"] == "false"
    assert spec.env["DOTENV_CONFIG_PATH"] == "/opt/whatsapp/.env"


def test_the_env_file_of_the_code_at_the_tag_is_the_copy_in_its_own_directory() -> None:
    assert SERVICE.emergency_env_file == "/opt/whatsapp-emergency/.env"
    outside = dataclasses.replace(SERVICE, env_file="/etc/whatsapp.env")
    assert outside.emergency_env_file == "/etc/whatsapp.env"
    named = dataclasses.replace(SERVICE, env_file="/opt/whatsapp/config/.env", release_directory="/srv/emergency/")
    assert named.emergency_env_file == "/srv/emergency/config/.env"


@pytest.mark.parametrize("wrong", [{"checkout": "whatsapp"}, {"sessions_directory": "sessions"}, {"release": "copy"}])
def test_a_setting_that_would_lead_elsewhere_is_refused(wrong: dict[str, str]) -> None:
    given: dict[str, Any] = {
        "app": "whatsapp",
        "checkout": "/opt/whatsapp",
        "sessions_directory": "/srv/sessions",
        **wrong,
    }
    with pytest.raises(SettingsError):
        Service(**given)
