# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a drill: it says all that the result says, and nothing in the result can break it."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.drill.drill_page import drill_page
from tests.support import drills
from tests.support.read_page import Reader, read_page

VERDICTS = ("proven", "suspect", "unjudged")
PLANTED = "<script>alert('\"&\x01\u202e')</script>"
# Words the page chooses by, and a time: planted into, they would be others. They are planted too, further down.
KEPT = {"verdict", "outcome", "kind"}


def words(reader: Reader) -> str:
    """What is to be read, white space as one space."""
    return re.sub(r"\s+", " ", reader.text)


def planted(value: Any, key: str = "", kept: frozenset[str] = frozenset(KEPT)) -> Any:
    """The same result with a script at the end of every text, and as every key that is free."""
    if isinstance(value, dict):
        return {name: planted(item, name, kept) for name, item in value.items()}
    if isinstance(value, list):
        return [planted(item, key, kept) for item in value]
    return value + PLANTED if isinstance(value, str) and key not in kept else value


@pytest.mark.parametrize("kept", [frozenset(KEPT), frozenset()], ids=["known words", "unknown words"])
@pytest.mark.parametrize("verdict", VERDICTS)
def test_every_text_of_the_result_is_escaped(verdict: str, kept: frozenset[str]) -> None:
    drill = planted(getattr(drills, verdict)(), kept=kept)
    page = drill_page(drill)
    reader = read_page(page)
    assert "<script" not in page
    # As text it is there many times, with what cannot be seen spelled out.
    assert reader.text.count("<script>alert('\"&\\x01\\u202e')</script>") > 5
    assert "\x01" not in page
    assert "\u202e" not in page


@pytest.mark.parametrize(
    ("verdict", "word"), [("proven", "Proven"), ("suspect", "Suspect"), ("unjudged", "Not judged")]
)
def test_the_verdict_comes_first_and_says_of_what(verdict: str, word: str) -> None:
    reader = read_page(drill_page(getattr(drills, verdict)()))
    body = words(reader)
    body = body[body.index("Restore drill,") :]
    assert body.startswith("Restore drill, 22 November 2026, 03:00 UTCapp" + word)
    for told in ("backup-2026-11-21T030000Z.dump", "21 November 2026, 03:00 UTC (1 d 0 h before the drill)"):
        assert 0 < body.index(told) < 700
    assert "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" in body
    assert [given.get("class") for given in reader.named("div") if "verdict" in given.get("class", "")] == [
        "verdict " + {"proven": "good", "suspect": "bad", "unjudged": "unsure"}[verdict]
    ]


def test_a_proven_drill_says_what_was_proven() -> None:
    body = words(read_page(drill_page(drills.proven())))
    assert "6 tables, 2,459,446 rows, 41 schema entries, 3 sequences and 2 large objects" in body
    assert "1 check of yours held" in body
    assert "Problems" not in body
    assert (
        "contents of materialised view public.key_totals (12 rows after its refresh)a dump holds its definition" in body
    )
    assert "It noticed each." in body
    assert "40 of 41 entries came back with the same definition." in body
    assert "Written differently by the server, equal in meaning (1)" in body


def test_a_suspect_drill_says_what_is_wrong_and_where() -> None:
    drill = drills.suspect()
    reader = read_page(drill_page(drill))
    body = words(reader)
    for problem in drill["problems"]:
        assert problem in body
    assert "8 problems" in body
    assert "Missing after the restore (1)INDEX public whatsapp_keys_updated_at_idx" in body
    assert "There after the restore, but not in the archive (1)TABLE public leftover" in body
    assert "Changed (1)POLICY public whatsapp_auth tenant_isolation" in body
    assert "<del>(company_id" in drill_page(drill)
    assert "<ins>true</ins>" in drill_page(drill)
    assert "3 sequences: 1 problemsequence public.messages_id_seq is at 1" in body
    assert "2 large objects (81.9 kB): 1 problemlarge object 16501" in body
    assert "It did not notice 1 damage." in body
    assert "did not hold" in body
    assert "icu, lz4, zstd" in body


NOT_REACHED = ("Tables", "Schema", "Sequences", "Not covered", "Against a target", "Self test")


def test_what_could_not_be_judged_accuses_nobody() -> None:
    body = words(read_page(drill_page(drills.unjudged())))
    assert "No PostgreSQL 18 server is installed here" in body
    assert "Install postgresql-18, or name a staging server." in body
    assert "This says nothing against the archive" in body
    for heading in (*NOT_REACHED, "Problems", "Where it was restored"):
        assert heading not in body


def test_an_archive_that_is_damaged_claims_nothing_of_what_was_not_reached() -> None:
    drill = {**drills.suspect(), **drills.nothing_compared()}
    drill["problems"] = ["its SHA-256 is not the one it was made with"]
    body = words(read_page(drill_page(drill)))
    assert "It does not come back: 1 problem, listed below." in body
    assert "its SHA-256 is not the one it was made with" in body
    for heading in NOT_REACHED:
        assert heading not in body


def test_a_proof_with_a_reservation_says_so_at_once() -> None:
    drill = drills.proven()
    assert "But" not in words(read_page(drill_page(drill)))
    drill["rto"]["met"] = False
    drill["self_test"][0]["caught"] = False
    body = words(read_page(drill_page(drill)))
    assert body.index("But the self test planted damage that the drill did not notice") < body.index("Recovery time")
    assert body.index("But it took longer than the target allows") < body.index("Recovery time")


def test_a_check_that_did_not_hold_says_why() -> None:
    drill = drills.suspect()
    drill["checks"][0]["problem"] = "4 is not 0"
    assert "did not hold: 4 is not 0" in words(read_page(drill_page(drill)))


@pytest.mark.parametrize("verdict", VERDICTS)
def test_empty_parts_leave_no_trace(verdict: str) -> None:
    """Whatever a result may leave open is left open."""
    drill = getattr(drills, verdict)()
    for key, value in drill.items():
        if isinstance(value, list):
            drill[key] = []
        elif isinstance(value, dict) and key != "archive":
            drill[key] = None
    drill["archive"] = dict.fromkeys(drill["archive"])
    body = words(read_page(drill_page(drill)))
    for heading in ("Tables", "Schema", "Sequences", "Checks", "Self test", "Not covered", "The archive", "None"):
        assert heading not in body


def test_the_bad_tables_come_first_worst_at_the_top() -> None:
    body = words(read_page(drill_page(drills.suspect())))
    tables = body[body.index("4 of 8 tables did not come back") :]
    names = ("sessions_old", "whatsapp_auth", "whatsapp_keys", "leftover", "messages", "audit_empty")
    places = [tables.index(f"public.{name}") for name in names]
    assert places == sorted(places)
    assert "public.sessions_oldmissing41\u20139.0 kB" in tables
    assert "public.leftoverunexpected\u201370 B" in tables
    assert "public.whatsapp_keyschanged: 1 row fewer1,647,0001,646,999914.3 MB" in tables
    assert "public.messagesequal, in another order812,331" in tables


def test_five_thousand_tables() -> None:
    page = drill_page(drills.with_tables(5000, bad=300))
    reader = read_page(page)
    assert len(page.encode()) < 1_000_000
    shown = [int(number) for number in re.findall(r"(\d{4})(?:changed|equal)", words(reader))]
    # All the bad ones, and of the others the largest.
    assert shown == [*range(300), *range(4999, 4799, -1)]
    assert "4,500 more tables that came back equal, the smaller ones, are not shown. The JSON has them all." in words(
        reader
    )
    assert "300 of 5,000 tables did not come back as they were" in words(reader)


def test_every_table_bad_is_every_table_shown() -> None:
    drill = drills.with_tables(5000, bad=5000)
    drill["problems"] = ["table public.%d has other contents" % number for number in range(5000)]
    page = drill_page(drill)
    assert page.count("PostgreSQL_lets_it") == 5000
    assert "4,900 more stand in the parts below and in the JSON." in words(read_page(page))
    assert len(page.encode()) < 2_000_000


def test_many_texts_are_named_where_they_are_not_shown() -> None:
    drill = drills.suspect()
    drill["schema"]["changed"] = [
        {"entry": f"FUNCTION public f{number}()", "archive": "a", "restored": "b"} for number in range(80)
    ]
    page = drill_page(drill)
    body = words(read_page(page))
    assert "Changed (80)" in body
    assert all(f"FUNCTION public f{number}()" in body for number in range(80))
    # 50 of them, and the one that is rewritten.
    assert page.count("<figcaption>In the archive") == 51


def test_the_time_it_took_is_held_against_the_target() -> None:
    body = words(read_page(drill_page(drills.proven())))
    assert "19.1 s (target 30 min)" in body
    assert "Against a target of 30 min" in body
    assert "Measuredmet19.1 s1.1 GB" in body
    assert "Forecast at 10 times the sizemet3 min 11 s11.0 GB" in body
    assert "Forecast at 100 times the sizemissed31 min 54 s110.5 GB" in body
    assert "The forecast rests on 9 drills of different size." in body
    assert "Read and hash1.1 s6 %Start the server180 ms1 %Restore11.6 s61 %" in body
    assert "All drills" in body


def test_a_first_drill_has_a_history_of_one() -> None:
    drill = drills.proven()
    drill["history"] = drill["history"][-1:]
    reader = read_page(drill_page(drill))
    assert "The first drill" in words(reader)
    assert "All drills" not in words(reader)
    assert len([given for given in reader.named("circle") if "point" in given.get("class", "")]) == 2


def test_a_long_history_is_drawn_whole_and_told_in_part() -> None:
    drill = drills.proven()
    drill["history"] = [drills.run(1 + number % 60, 10.0 + number) for number in range(100)]
    body = words(read_page(drill_page(drill)))
    assert "The latest 12 of 100 drills" in body
    assert "100 from 10.0 s to 1 min 49 s, the last 1 min 49 s; target 30 min" in body


def test_a_staging_server_is_called_one() -> None:
    drill = drills.proven()
    drill["target"].update(kind="staging", directory="staging.example.org", origin="staging server")
    body = words(read_page(drill_page(drill)))
    assert "on the staging server, dropped afterwards" in body
    assert "Hoststaging.example.org" in body


def test_headings_go_down_one_step_at_a_time() -> None:
    reader = read_page(drill_page(drills.suspect()))
    levels = [int(tag[1]) for tag, _given in reader.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
