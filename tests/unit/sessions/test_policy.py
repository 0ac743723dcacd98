# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which keys may go by age, and where the number of days comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.sessions.layout import KEY_TYPES
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.policy import (
    EFFECTS,
    SAFE_TYPES,
    Policy,
    retention_from,
)
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import SettingsError


class TestPolicy:
    def test_the_default_lets_only_safe_types_go(self) -> None:
        days = {key_type: Policy().days(key_type) for key_type in KEY_TYPES}
        assert {key_type: number for key_type, number in days.items() if number is not None} == {
            "device-list": 30,
            "sender-key-memory": 30,
            "tctoken": 30,
        }

    def test_a_token_is_kept_as_long_as_it_may_be_valid(self) -> None:
        policy = Policy(retention_days=7)
        assert [policy.days(key_type) for key_type in SAFE_TYPES] == [7, 7, 28]

    def test_two_types_by_choice(self) -> None:
        policy = Policy(session_days=180, sender_key_days=365)
        assert (policy.days("session"), policy.days("sender-key")) == (180, 365)
        assert policy.days("pre-key") is None

    def test_everything_by_age(self) -> None:
        assert {Policy("everything_by_age", 45).days(key_type) for key_type in KEY_TYPES} == {45}

    @pytest.mark.parametrize("mode", ["safe", "everything_by_age"])
    def test_an_unknown_type_and_the_credentials_stay(self, mode: str) -> None:
        assert Policy(mode).days("new-type") is None
        assert Policy(mode).days("creds") is None
        assert "not a type that is known here" in Policy(mode).words("new-type")

    def test_every_type_has_a_rule_and_an_effect(self) -> None:
        assert set(EFFECTS) == set(KEY_TYPES)
        for policy in (Policy(), Policy(session_days=180, sender_key_days=180), Policy("everything_by_age")):
            for key_type in KEY_TYPES:
                stays = policy.days(key_type) is None
                assert policy.words(key_type).startswith("stays, whatever its age" if stays else "goes when older than")

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"mode": "all"}, "policy is all"),
            ({"retention_days": 0}, "retention is 0 days"),
            ({"retention_days": -1}, "retention is -1 days"),
            ({"retention_days": 36501}, "retention is 36501 days"),
            ({"session_days": 179}, "session_days is 179"),
            ({"sender_key_days": 30}, "sender_key_days is 30"),
            ({"sender_key_days": 99999}, "sender_key_days is 99999"),
            ({"mode": "everything_by_age", "session_days": 180}, "session_days is given with policy everything_by_age"),
        ],
    )
    def test_refused(self, options: dict[str, Any], words: str) -> None:
        with pytest.raises(SettingsError) as caught:
            Policy(**options)
        assert words in caught.value.message
        assert caught.value.remedy


class TestRetention:
    @pytest.fixture
    def env_file(self, tmp_path: Path) -> str:
        path = tmp_path / ".env"
        path.write_text("POSTGRES_HOST=db\nDB_CLEANUP_RETENTION_DAYS=45\n")
        return str(path)

    def test_the_option_comes_first(self, env_file: str) -> None:
        assert retention_from(60, env_file, {"DB_CLEANUP_RETENTION_DAYS": "90"}) == 60

    def test_then_the_env_file(self, env_file: str) -> None:
        assert retention_from(None, env_file, {"DB_CLEANUP_RETENTION_DAYS": "90"}) == 45

    def test_then_the_environment(self, tmp_path: Path) -> None:
        (tmp_path / ".env").write_text("POSTGRES_HOST=db\n")
        assert retention_from(None, str(tmp_path / ".env"), {"DB_CLEANUP_RETENTION_DAYS": " 90 "}) == 90
        assert retention_from(None, None, {"DB_CLEANUP_RETENTION_DAYS": "90"}) == 90

    def test_then_a_month(self) -> None:
        assert retention_from(None, None, {}) == 30
        assert retention_from(None, None, {"DB_CLEANUP_RETENTION_DAYS": ""}) == 30

    @pytest.mark.parametrize("text", ["30d", "-1", "1.5", "thirty", "٣٠", "9" * 5000])
    def test_what_is_no_number(self, text: str) -> None:
        with pytest.raises(SettingsError) as caught:
            retention_from(None, None, {"DB_CLEANUP_RETENTION_DAYS": text})
        assert "DB_CLEANUP_RETENTION_DAYS in the environment" in caught.value.message
