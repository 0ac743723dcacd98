# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names, locales, settings and judgements of a restore: what needs no server to be right."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.baileys.resilience.plugins.module_utils.postgres import databases
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.databases import Locale, Rights, locale_of
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.properties import (
    Properties,
    as_dict,
    from_dict,
    list_items,
)
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.settings import ConnectionSettings
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.version import Version
from ansible_collections.baileys.resilience.plugins.module_utils.restore import judge, preflight
from ansible_collections.baileys.resilience.plugins.module_utils.restore.comparison import Comparison, TableComparison
from ansible_collections.baileys.resilience.plugins.module_utils.restore.entries import Difference, SchemaComparison
from ansible_collections.baileys.resilience.plugins.module_utils.restore.preflight import Obstacle
from ansible_collections.baileys.resilience.plugins.module_utils.restore.survey import RestoreRequest, check_settings
from ansible_collections.baileys.resilience.plugins.module_utils.restore.swap import Session, name_with
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError, SettingsError

STAMP = "20261122_031500"


@given(st.text(min_size=1, max_size=63).filter(lambda name: "\0" not in name and len(name.encode()) <= 63))
def test_every_name_fits_and_begins_alike(name: str) -> None:
    """The server would cut a longer one, and two databases would get the same name."""
    made = name_with(name, "restoring", STAMP + "b")
    assert len(made.encode()) <= 63
    assert made.startswith(name_with(name, "restoring", ""))
    assert made.endswith("_restoring_" + STAMP + "b")


def test_long_names_that_begin_alike_stay_apart() -> None:
    one, other = "x" * 60 + "one", "x" * 60 + "two"
    assert name_with(one, "before", STAMP) != name_with(other, "before", STAMP)
    assert name_with("app", "before", STAMP) == f"app_before_{STAMP}"


@pytest.mark.parametrize("name", ["n" * 64, "ä" * 32])
def test_a_name_that_the_server_would_cut_is_refused(name: str) -> None:
    """It would be another database, perhaps one that is there already."""

    def request(name: str) -> RestoreRequest:
        return RestoreRequest("app", ConnectionSettings({"host": "localhost", "dbname": name}), "/backups")

    check_settings(request(name[:-1] + ("" if name[0] == "n" else "a")))
    with pytest.raises(SettingsError, match="has 64 bytes, and PostgreSQL cuts names after 63"):
        check_settings(request(name))


def test_no_secret_of_a_database_gets_into_a_manifest() -> None:
    """Applications keep some in settings of their own."""
    settings = ((None, "app.jwt_secret", "sesame"), ("app", "search_path", "x"))
    known = Properties(-1, None, settings, None, "app")
    assert "sesame" not in str(as_dict(known))
    assert from_dict(as_dict(known)) == (replace(known, settings=settings[1:]), ["app.jwt_secret"])
    granted = replace(known, settings=(), grants=((None, "CONNECT", True),))
    assert from_dict(as_dict(granted)) == (granted, [])


@pytest.mark.parametrize(
    ("value", "items"),
    [
        ('"$user", public', ["$user", "public"]),
        ("public", ["public"]),
        ('"odd, name", "q""q",plain', ["odd, name", 'q"q', "plain"]),
        ('""', [""]),
        ("", [""]),
    ],
)
def test_settings_that_are_lists(value: str, items: list[str]) -> None:
    assert list_items(value) == items


@pytest.mark.parametrize(
    ("manifest", "locale"),
    [
        ({}, Locale("UTF8", "libc", "C", "C")),
        # As manifests were written before they held the rest.
        (
            {"encoding": "LATIN1", "collation": "de_DE", "locale_provider": "libc"},
            Locale("LATIN1", "libc", "de_DE", "de_DE"),
        ),
        (
            {
                "encoding": "UTF8",
                "collation": "C",
                "ctype": "C.UTF-8",
                "locale_provider": "icu",
                "locale": "de",
                "icu_rules": "&a < b",
            },
            Locale("UTF8", "icu", "C", "C.UTF-8", "de", "&a < b"),
        ),
        ({"collation": "C", "locale_provider": "builtin"}, Locale("UTF8", "builtin", "C", "C", "C.UTF-8")),
    ],
)
def test_locale_of_a_manifest(manifest: dict[str, Any], locale: Locale) -> None:
    assert locale_of(manifest) == locale


@pytest.mark.parametrize(
    ("version", "encoding", "providers"),
    [
        (180000, "UTF8", [("libc", "xx"), ("builtin", "C"), ("libc", "C"), ("libc", "C")]),
        (160000, "UTF8", [("libc", "xx"), ("libc", "C"), ("libc", "C")]),
        (180000, "LATIN1", [("libc", "xx"), ("libc", "C")]),
    ],
)
def test_what_comes_nearest_to_a_collation(version: int, encoding: str, providers: list[tuple[str, str]]) -> None:
    """The encoding is never another one: bytes would mean other letters."""
    candidates = databases._locales_for(Locale(encoding, "libc", "xx", "xx"), version)
    assert [(candidate.provider, candidate.collation) for candidate in candidates] == providers
    assert {candidate.encoding for candidate in candidates} == {encoding}


def test_every_obstacle_is_named() -> None:
    preflight.refuse([])
    with pytest.raises(ResilienceError, match=r"^Nothing was touched: the one$"):
        preflight.refuse([Obstacle("the one", "Do this.")])
    with pytest.raises(ResilienceError) as caught:
        preflight.refuse(
            [Obstacle("the one", "Do this."), Obstacle("the other", "Do that."), Obstacle("more", "Do this.")]
        )
    assert caught.value.message == "Nothing was touched: 1) the one; 2) the other; 3) more"
    assert caught.value.remedy == "Do this. Do that."
    assert caught.value.stage == "preflight"


def test_sessions_that_stand_in_the_way() -> None:
    mine, theirs = Session(1, "app", "api", True), Session(2, "admin", "", False)

    def found(*sessions: Session, terminate: bool = False, prepared: int = 0) -> list[str]:
        return [one.message for one in preflight.session_obstacles(sessions, prepared, "app", terminate)]

    assert found() == []
    assert found(mine, terminate=True) == []
    assert len(found(mine)) == 1
    assert "1 of app (api)" in found(mine)[0]
    assert len(found(mine, theirs, terminate=True)) == 1
    assert "2 of admin" in found(mine, theirs, terminate=True)[0]
    assert len(found(mine, theirs, prepared=1)) == 3


class Found:
    """Of a survey what `judge` looks at."""

    def __init__(self, server: int = 18, can_make_another: bool = True, wrong: str | None = None) -> None:
        self.server = self
        self.version = Version(server, 0)
        self.manifest = {"server_version": "18.4"}
        self.can_make_another = can_make_another
        self.wrong = wrong
        self.role = Rights("app", False, can_make_another)


def judged(found: Found, outcome: str = "equal", **schema: Any) -> tuple[tuple[str, ...], list[str]]:
    table = TableComparison(("public", "t"), outcome, 1, 1, 2)
    comparison = Comparison((table,), SchemaComparison(1, **schema), 0, (), 0, 0, ())
    return judge.judge(found, comparison)  # type: ignore[arg-type]  # of a survey only what is looked at


def test_what_was_altered_is_a_failure() -> None:
    problems, doubts = judged(Found(), changed=(Difference("VIEW public v", "a", "b"),), missing=("INDEX public i",))
    assert len(problems) == 2
    assert doubts == []
    assert judged(Found()) == ((), [])
    assert len(judged(Found(), "changed")[0]) == 1


def test_what_may_only_be_spelled_otherwise_is_a_warning() -> None:
    changed = (Difference("VIEW public v", "a", "b"),)
    doubts = ["VIEW public v reads otherwise than in the archive"]
    assert judged(Found(can_make_another=False), changed=changed) == ((), doubts)
    assert judged(Found(server=19), changed=changed) == ((), doubts)
    # A lost index is lost on any server, and so is a row.
    assert len(judged(Found(server=19), missing=("INDEX public i",))[0]) == 1
    assert len(judged(Found(server=19, can_make_another=False), "changed")[0]) == 1
    # The versions only call these otherwise.
    assert judged(Found(server=19), missing=("BLOB 1",), unexpected=("BLOB METADATA 1",)) == ((), [])


def test_another_order_is_told_only_by_a_whole_archive() -> None:
    assert judged(Found(), "reordered") == ((), [])
    assert len(judged(Found(wrong="its SHA-256 is not the one it was made with"), "reordered")[0]) == 1
