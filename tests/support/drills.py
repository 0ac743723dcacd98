# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of drills as pages are made of: one proven, one suspect, one that could not be judged."""

from __future__ import annotations

import copy
from typing import Any

LONGEST_NAME = "a_table_whose_name_is_exactly_as_long_as_PostgreSQL_lets_it_be_"


def table(name: str, expected: int, size: int, outcome: str = "equal", **more: Any) -> dict[str, Any]:
    """One table of a drill; `more` replaces what it would say."""
    found = None if outcome == "missing" else expected
    return {
        "schema": "public",
        "table": name,
        "rows_expected": expected,
        "rows": found,
        "bytes": size,
        "outcome": outcome,
        "detail": None,
        **more,
    }


def run(day: int, seconds: float, verdict: str = "proven") -> dict[str, Any]:
    """One entry of a history."""
    return {
        "at": "2026-10-%02dT03:00:00Z" % day if day < 32 else "2026-11-%02dT03:00:00Z" % (day - 31),
        "duration_seconds": seconds,
        "content_bytes": 1_020_000_000 + day * 4_000_000,
        "verdict": verdict,
    }


def proven() -> dict[str, Any]:
    """A drill in which everything held."""
    tables = [
        table("whatsapp_keys", 1_647_000, 914_300_112),
        table("messages", 812_331, 190_220_981, "reordered"),
        table("whatsapp_auth", 100, 88_200),
        table(LONGEST_NAME, 12, 4_096),
        table("Grüße & <Tags>", 3, 120, schema='Quoted "schema"'),
        table("audit_empty", 0, 0),
    ]
    return {
        "drill_version": 1,
        "source": "app",
        "at": "2026-11-22T03:00:00Z",
        "verdict": "proven",
        "problems": [],
        "obstacle": None,
        "archive": {
            "archive": "/var/backups/postgresql/app/daily/backup-2026-11-21T030000Z.dump",
            "tier": "daily",
            "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "size_bytes": 591_200_331,
            "content_bytes": 1_104_613_509,
            "rows": 2_459_446,
            "snapshot_at": "2026-11-21T03:00:01Z",
            "age_seconds": 86_399,
            "database": "whatsapp",
            "server_version": "18.0",
            "client_version": "18.6",
            "format": "custom",
            "compression": "zstd:1",
        },
        "target": {
            "kind": "scratch",
            "server_version": "18.6",
            "directory": "/usr/lib/postgresql/18/bin",
            "origin": "system package",
            "lacks": [],
        },
        "timings": [
            {"step": "check", "seconds": 1.12},
            {"step": "start", "seconds": 0.18},
            {"step": "restore", "seconds": 11.61},
            {"step": "compare", "seconds": 6.02},
            {"step": "checks", "seconds": 0.04},
            {"step": "remove", "seconds": 0.09},
        ],
        "duration_seconds": 19.1,
        "rto": {
            "target_seconds": 1800,
            "met": True,
            "forecast": [
                {"factor": 10, "seconds": 191.3, "met": True},
                {"factor": 100, "seconds": 1914.0, "met": False},
            ],
            "basis": "9 drills of different size",
        },
        "tables": tables,
        "schema": {
            "entries": 41,
            "equal": 40,
            "rewritten": [
                {
                    "entry": "CHECK CONSTRAINT public whatsapp_keys_type_check",
                    "archive": "CHECK (((key_type)::text = ANY ((ARRAY['pre-key'::character varying, "
                    "'session'::character varying])::text[])))",
                    "restored": "CHECK (((key_type)::text = ANY (ARRAY[('pre-key'::character varying)::text, "
                    "('session'::character varying)::text])))",
                }
            ],
            "missing": [],
            "unexpected": [],
            "changed": [],
        },
        "sequences": {"count": 3, "problems": []},
        "large_objects": {"count": 2, "bytes": 81_920, "problems": []},
        "checks": [
            {
                "name": "every key belongs to a company",
                "query": "SELECT count(*) FROM whatsapp_keys k\nLEFT JOIN whatsapp_auth a USING (company_id)\n"
                "WHERE a.company_id IS NULL",
                "expected": "0",
                "actual": "0",
                "held": True,
            }
        ],
        "not_covered": [
            {
                "what": "contents of materialised view public.key_totals (12 rows after its refresh)",
                "why": "a dump holds its definition only",
            },
            {"what": "planner statistics", "why": "the server makes them anew"},
        ],
        "history": [
            *(run(day, 17.2 + day % 4) for day in (4, 11, 18)),
            run(25, 41.0, "unjudged"),
            run(32, 18.4),
            run(39, 22.9, "suspect"),
            run(46, 18.8),
            {
                "at": "2026-11-22T03:00:00Z",
                "duration_seconds": 19.1,
                "content_bytes": 1_104_613_509,
                "verdict": "proven",
            },
        ],
        "self_test": [
            {"damage": "cut short", "caught": True, "how": "its size is not the one it was made with"},
            {"damage": "one flipped bit", "caught": True, "how": "its SHA-256 is not the one it was made with"},
            {"damage": "a table left out", "caught": True, "how": "table public.whatsapp_auth is missing"},
            {"damage": "one value changed", "caught": True, "how": "table public.whatsapp_auth has other contents"},
        ],
    }


def suspect() -> dict[str, Any]:
    """A drill that found something wrong in every part."""
    drill = proven()
    drill["verdict"] = "suspect"
    drill["problems"] = [
        "table public.whatsapp_keys has 1,646,999 rows, 1,647,000 expected",
        "table public.whatsapp_auth has other contents than the archive was made from",
        "table public.sessions_old is missing",
        "index public.whatsapp_keys_updated_at_idx is missing",
        "policy public.whatsapp_auth tenant_isolation is changed",
        "sequence public.messages_id_seq is at 1, 812,331 expected",
        "large object 16501 has other contents",
        "check 'every key belongs to a company' gave 4, 0 expected",
    ]
    drill["tables"][0].update(rows=1_646_999, outcome="changed", detail="1 row fewer")
    drill["tables"][2].update(outcome="changed", detail="the same number of rows, other contents")
    drill["tables"].append(table("sessions_old", 41, 9_000, "missing"))
    drill["tables"].append(table("leftover", 0, 0, "unexpected", rows_expected=None, rows=7))
    drill["schema"].update(
        equal=37,
        missing=["INDEX public whatsapp_keys_updated_at_idx"],
        unexpected=["TABLE public leftover"],
        changed=[
            {
                "entry": "POLICY public whatsapp_auth tenant_isolation",
                "archive": "CREATE POLICY tenant_isolation ON public.whatsapp_auth\n"
                "    USING ((company_id = current_setting('app.company'::text)));",
                "restored": "CREATE POLICY tenant_isolation ON public.whatsapp_auth\n    USING (true);",
            }
        ],
    )
    drill["sequences"]["problems"] = ["sequence public.messages_id_seq is at 1, 812,331 expected"]
    drill["large_objects"]["problems"] = ["large object 16501 has other contents"]
    drill["checks"][0].update(actual="4", held=False)
    drill["target"].update(origin="PyPI package", lacks=["icu", "lz4", "zstd"], server_version="18.4")
    drill["rto"].update(target_seconds=15, met=False)
    drill["history"][-1]["verdict"] = "suspect"
    drill["self_test"][3].update(caught=False, how="nothing was found")
    return drill


def nothing_compared() -> dict[str, Any]:
    """The parts of a drill that ended before it compared anything."""
    return {
        "tables": [],
        "schema": {"entries": 0, "equal": 0, "missing": [], "unexpected": [], "changed": [], "rewritten": []},
        "sequences": {"count": 0, "problems": []},
        "large_objects": {"count": 0, "bytes": 0, "problems": []},
        "checks": [],
        "not_covered": [],
        "self_test": None,
    }


def unjudged() -> dict[str, Any]:
    """A drill that could not be carried out."""
    return {
        **proven(),
        **nothing_compared(),
        "verdict": "unjudged",
        "obstacle": "No PostgreSQL 18 server is installed here",
        "remedy": "Install postgresql-18, or name a staging server.",
        "target": None,
        "timings": [{"step": "check", "seconds": 1.1}],
        "duration_seconds": 1.1,
    }


def with_tables(number: int, bad: int = 0) -> dict[str, Any]:
    """A drill of many tables, the first `bad` of them changed."""
    drill = suspect() if bad else proven()
    drill["tables"] = [
        table("%s%04d" % (LONGEST_NAME[:59], index), index, index * 8192, "changed" if index < bad else "equal")
        for index in range(number)
    ]
    return copy.deepcopy(drill)
