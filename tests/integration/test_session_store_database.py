# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The generated session store in a real database: its rows, its size and its peculiarities."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import psycopg2
import pytest

from demo import session_store
from tests.support.databases import create_role, run_sql

REPOSITORY = Path(__file__).resolve().parents[2]
MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)
MEGABYTE = 1024 * 1024
CONTENT = "SELECT md5(string_agg(k::text, '|' ORDER BY company_id, key_type, key_id)) FROM public.whatsapp_keys k"


@pytest.fixture
def store(server18, make_session_store):
    return make_session_store(server18)


def test_small_store_has_the_size_of_the_real_one(store):
    assert store.execute("SELECT count(*) FROM public.whatsapp_auth") == [(1,)]
    types = dict(store.execute("SELECT key_type, count(*) FROM public.whatsapp_keys GROUP BY 1"))
    assert types == session_store.expected_key_types()
    ((size,),) = store.execute("SELECT pg_total_relation_size('public.whatsapp_keys')")
    assert 2.0 * MEGABYTE < size < 2.6 * MEGABYTE


def test_ages_are_those_expected(store):
    rows = store.execute(
        "SELECT key_type, CASE WHEN age < interval '1 day' THEN '<1d' WHEN age < interval '7 days' THEN '1-7d'"
        " WHEN age < interval '14 days' THEN '7-14d' WHEN age < interval '30 days' THEN '14-30d' ELSE '>30d' END,"
        " count(*) FROM (SELECT key_type, now() - updated_at AS age FROM public.whatsapp_keys) k GROUP BY 1, 2"
    )
    found: dict[str, Counter[str]] = {}
    for key_type, bucket, count in rows:
        found.setdefault(key_type, Counter())[bucket] = count
    assert found == session_store.expected_ages()


def test_several_companies_are_loaded_whole(server18, make_database):
    database = make_database(server18)
    made = session_store.populate(database.parameters(), companies=3)
    assert (made.companies, made.keys) == (3, 4941)
    counts = "SELECT (SELECT count(*) FROM public.whatsapp_auth), (SELECT count(*) FROM public.whatsapp_keys)"
    assert database.execute(counts) == [tuple(session_store.expected_counts(3).values())]
    orphans = "SELECT count(*) FROM public.whatsapp_keys WHERE company_id NOT IN (SELECT company_id FROM whatsapp_auth)"
    assert database.execute(orphans) == [(0,)]


def test_same_seed_and_moment_give_the_same_content_on_any_server(server18, server16, make_database):
    digests = []
    for server, seed in ((server18, 7), (server16, 7), (server18, 8)):
        database = make_database(server)
        session_store.populate(database.parameters(), seed=seed, now=MOMENT)
        digests += database.execute(CONTENT)
    assert digests[0] == digests[1]
    assert digests[0] != digests[2]


def test_command_line_says_what_it_made(server18, make_database):
    database = make_database(server18)
    parameters = database.parameters()
    done = subprocess.run(
        [sys.executable, "-m", "demo.session_store", "--companies", "2", "--dsn", f"dbname={database.name}"],
        cwd=REPOSITORY,
        env={
            **os.environ,
            "PGHOST": parameters["host"],
            "PGPORT": str(parameters["port"]),
            "PGUSER": database.user,
            "PGPASSWORD": database.password,
        },
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("2 companies, 3,294 keys in ")
    assert database.execute("SELECT count(*) FROM public.whatsapp_keys") == [(3294,)]


def test_second_load_fails_and_changes_nothing(store):
    before = store.execute(CONTENT)
    with pytest.raises(psycopg2.errors.DuplicateTable):
        session_store.populate(store.parameters(), seed=8)
    assert store.execute(CONTENT) == before


def test_update_sets_the_time_and_a_copy_keeps_it(store):
    old = "SELECT count(*) FROM public.whatsapp_keys WHERE updated_at < now() - interval '30 days'"
    ((before,),) = store.execute(old)
    store.execute("UPDATE public.whatsapp_keys SET value = value WHERE updated_at < now() - interval '30 days'")
    assert before > 300
    assert store.execute(old) == [(0,)]


def test_row_security_stands_in_the_way_of_everybody_but_the_owner(store):
    server = store.server
    other = create_role(server)
    try:
        store.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {other}")
        as_other = store.parameters(user=other)
        assert run_sql(as_other, "SELECT count(*) FROM public.whatsapp_keys") == [(1647,)]
        with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="row-level security"):
            run_sql({**as_other, "options": "-c row_security=off"}, "SELECT count(*) FROM public.whatsapp_keys")
    finally:
        store.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {other}")
        run_sql(server.parameters(), f"DROP ROLE {other}")


def test_loading_holds_no_more_than_a_company_in_memory(server18, make_database):
    """The memory of loading must not grow with the number of companies."""
    program = (
        "import resource, sys; from demo import session_store;"
        "session_store.populate(sys.argv[1], companies=int(sys.argv[2]));"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    peaks = []
    for companies in (1, 12):
        database = make_database(server18)
        command = [sys.executable, "-c", program, server18.dsn(dbname=database.name), str(companies)]
        peaks.append(int(subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True).stdout))
    # Twelve companies are 17 MB of text.
    assert peaks[1] - peaks[0] < 8 * 1024
