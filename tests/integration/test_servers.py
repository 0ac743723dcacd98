# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The servers every other test stands on: what they can do, and that they leave nothing behind."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psycopg2
import pytest

from demo import installations, postgres_server, server_processes
from demo.installations import ServerError, embedded_bin_directory
from demo.postgres_server import PostgresServer
from tests.conftest import server_for_tests
from tests.support import full_postgres
from tests.support.databases import UGLY_PASSWORD, fresh_database, run_sql

REPOSITORY = Path(__file__).resolve().parents[2]
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root hands a server to another account")
GONE_WITHIN_S = 15


def gone(pid: int) -> bool:
    """Tell whether a process has ended (a zombie has)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def wait_until(condition) -> bool:
    deadline = time.monotonic() + GONE_WITHIN_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def dump(server: PostgresServer, database: str, archive: Path, *options: str) -> None:
    command = [str(server.bin_directory / "pg_dump"), *options, f"--file={archive}"]
    subprocess.run([*command, f"--dbname={server.dsn(dbname=database)}"], check=True, capture_output=True)


# What they can do.


@pytest.mark.parametrize(
    ("name", "version"), [("server18", "18."), ("embedded18", "18.4"), ("server16", "16.14"), ("tls_server", "18.")]
)
def test_server_is_what_it_says(request, name, version):
    server = request.getfixturevalue(name)
    assert server.version.startswith(version)
    ((told, encoding, zone),) = run_sql(
        server.parameters(),
        "SELECT current_setting('server_version'), current_setting('server_encoding'), current_setting('TimeZone')",
    )
    assert told.startswith(server.version)
    assert (encoding, zone) == ("UTF8", "UTC")


@pytest.mark.parametrize("compression", ["zstd:1", "lz4:1", "gzip:1", "none"])
def test_full_server_dumps_and_restores_with_every_codec(server18, make_session_store, tmp_path, compression):
    source = make_session_store(server18)
    archive = tmp_path / "archive"
    dump(server18, source.name, archive, "--format=custom", f"--compress={compression}")
    with fresh_database(server18) as target:
        command = [str(server18.bin_directory / "pg_restore"), "--no-owner", "--single-transaction"]
        subprocess.run([*command, f"--dbname={server18.dsn(dbname=target.name)}", str(archive)], check=True)
        count = "SELECT count(*), sum(length(value::text)) FROM public.whatsapp_keys"
        assert target.execute(count, superuser=True) == source.execute(count)


def test_full_server_has_icu_and_lz4_columns(start_server, bin_full18):
    server = start_server(bin_full18, settings={"default_toast_compression": "lz4"})
    assert run_sql(server.parameters(), "SHOW default_toast_compression") == [("lz4",)]
    with fresh_database(server, template="template0", database_options="LOCALE_PROVIDER icu ICU_LOCALE 'de-AT'") as db:
        query = "SELECT datlocprovider, datlocale FROM pg_database WHERE datname = current_database()"
        assert db.execute(query) == [("i", "de-AT")]
        assert db.execute("SELECT 'ä' < 'z' COLLATE \"und-x-icu\"") == [(True,)]


def test_client_16_is_too_old_for_server_18(server18, bin_embedded16):
    command = [str(bin_embedded16 / "pg_dump"), f"--dbname={server18.dsn()}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "server version mismatch" in done.stderr


def test_tls_with_the_right_certificate(tls_server, certificates, make_database):
    database = make_database(tls_server)
    connection = database.connect(sslmode="verify-full", sslrootcert=str(certificates.ca))
    assert connection.info.ssl_in_use
    connection.close()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("expired", "certificate verify failed"),
        ("wrong_ca", "certificate verify failed"),
        ("wrong_name", "does not match host name"),
    ],
)
def test_tls_with_a_wrong_certificate(start_server, bin_full18, certificates, wrong, words):
    server = start_server(bin_full18, tls=getattr(certificates, wrong), auth="trust")
    with pytest.raises(psycopg2.OperationalError, match=words):
        psycopg2.connect(**server.parameters(host="localhost", sslmode="verify-full", sslrootcert=str(certificates.ca)))
    # Encrypted all the same, for a client that does not look.
    connection = psycopg2.connect(**server.parameters(host="localhost", sslmode="require"))
    assert connection.info.ssl_in_use
    connection.close()


# Who may come in.


def test_roles_need_their_password(embedded18, make_database):
    database = make_database(embedded18)
    assert database.password == UGLY_PASSWORD
    assert database.execute("SELECT current_user::text") == [(database.user,)]
    for wrong in ("", UGLY_PASSWORD[:-1]):
        with pytest.raises(psycopg2.OperationalError):
            database.connect(password=wrong)
    with pytest.raises(psycopg2.OperationalError):
        database.connect(host=str(embedded18.socket_directory), password="wrong")


def test_superuser_comes_in_by_the_private_socket_only(embedded18):
    assert stat.S_IMODE(embedded18.directory.stat().st_mode) == 0o700
    assert run_sql(embedded18.parameters(), "SELECT usesuper FROM pg_user WHERE usename = current_user") == [(True,)]
    with pytest.raises(psycopg2.OperationalError, match="password"):
        psycopg2.connect(**embedded18.parameters(host="localhost"))


def test_owner_of_a_fresh_database_is_a_plain_role(embedded18, make_session_store):
    database = make_session_store(embedded18)
    ((superuser, create_db, create_role, replication),) = database.execute(
        "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication FROM pg_roles WHERE rolname = current_user"
    )
    assert not any((superuser, create_db, create_role, replication))
    owners = "SELECT DISTINCT tableowner::text FROM pg_tables WHERE schemaname = 'public'"
    assert database.execute(owners) == [(database.user,)]


def test_fresh_database_goes_with_its_role_even_in_use(embedded18):
    with fresh_database(embedded18) as database:
        in_use = database.connect()
    remaining = "SELECT (SELECT count(*) FROM pg_database WHERE datname = {0}), (SELECT count(*) FROM pg_roles WHERE rolname = {1})"
    query = remaining.format(f"'{database.name}'", f"'{database.user}'")
    assert run_sql(embedded18.parameters(), query) == [(0, 0)]
    in_use.close()


# Their life.


def test_nothing_stays_after_close(bin_embedded18):
    with server_for_tests(bin_embedded18) as server:
        pid, janitor, directory = server.pid, server._janitor.pid, server.directory
        assert directory.is_dir()
        assert not gone(pid)
        assert not gone(janitor)
    assert gone(pid)
    assert gone(janitor)
    assert not directory.exists()
    with pytest.raises(ServerError, match="not running"):
        _ = server.pid


OWNER_PROGRAM = """
    import json, sys, time
    from pathlib import Path
    from demo.postgres_server import PostgresServer
    server = PostgresServer(Path(sys.argv[1]), durable=False, directory=Path(sys.argv[2]) if sys.argv[2:] else None)
    server.start()
    print(json.dumps([server.pid, str(server.directory), str(server.socket_directory)]), flush=True)
    time.sleep(600)
"""


def start_owner(bin_directory: Path, *arguments: str, python: Path | None = None, **options):
    """Start a process that owns a server; return it and what it printed."""
    owner = subprocess.Popen(
        [str(python or sys.executable), "-c", textwrap.dedent(OWNER_PROGRAM), str(bin_directory), *arguments],
        stdout=subprocess.PIPE,
        cwd=REPOSITORY,
        **options,
    )
    assert owner.stdout
    return owner, json.loads(owner.stdout.readline())


def test_nothing_stays_after_the_owner_was_killed(bin_embedded18):
    owner, (pid, directory, _) = start_owner(bin_embedded18)
    assert not gone(pid)
    owner.send_signal(signal.SIGKILL)
    owner.communicate()
    assert wait_until(lambda: gone(pid) and not Path(directory).exists())


def test_only_the_server_goes_from_a_directory_that_was_given(bin_embedded18, public_directory):
    directory = public_directory / "kept"
    owner, (pid, told, _) = start_owner(bin_embedded18, str(directory))
    assert told == str(directory)
    owner.send_signal(signal.SIGKILL)
    owner.communicate()
    assert wait_until(lambda: gone(pid))
    with server_for_tests(bin_embedded18, directory=directory) as server:
        assert run_sql(server.parameters(), "SELECT 1") == [(1,)]


@ROOT_ONLY
def test_plain_user_runs_a_server_of_his_own(bin_embedded18):
    reachable = installations.reachable_by_everybody
    pythons = [Path(sys.executable), Path("/usr/bin/python3")]
    python = next((path for path in pythons if path.exists() and reachable(path)), None)
    if python is None or not reachable(bin_embedded18) or not reachable(REPOSITORY):
        pytest.skip("Python, PostgreSQL or this repository lies where no other account can reach it")
    nobody = installations.account_for_server()
    assert nobody
    account = {"user": nobody.uid, "group": nobody.gid, "extra_groups": []}
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}
    owner, (pid, directory, _) = start_owner(bin_embedded18, python=python, env=environment, **account)
    assert Path(f"/proc/{pid}").stat().st_uid == nobody.uid
    owner.send_signal(signal.SIGINT)
    owner.communicate()
    assert wait_until(lambda: gone(pid) and not Path(directory).exists())


@ROOT_ONLY
def test_root_runs_programs_that_only_root_can_reach(tmp_path, bin_embedded18):
    # As below /root: the server's account cannot even enter the directory.
    closed = tmp_path / "closed"
    copied = installations.copy_for_everybody(bin_embedded18, closed)
    closed.chmod(0o700)
    assert not installations.reachable_by_everybody(copied)
    with server_for_tests(copied) as server:
        assert Path(f"/proc/{server.pid}").stat().st_uid != 0
        program = Path(f"/proc/{server.pid}/exe").resolve()
        assert run_sql(server.parameters(), "SELECT 1") == [(1,)]
    assert not program.exists(), "the copy must go with the server"


@ROOT_ONLY
def test_directory_the_account_cannot_enter_is_refused(tmp_path, bin_embedded18):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(ServerError, match="cannot enter"):
        PostgresServer(bin_embedded18, directory=closed / "server")


@pytest.mark.parametrize("mode", ["smart", "fast", "immediate"])
def test_data_outlives_a_stop(start_server, bin_embedded18, mode):
    server = start_server(bin_embedded18)
    port = server.port
    run_sql(server.parameters(), "CREATE TABLE kept AS SELECT 42 AS answer")
    server.restart(mode)
    assert server.port == port
    assert run_sql(server.parameters(), "SELECT answer FROM kept") == [(42,)]


def test_server_that_died_by_itself_can_be_stopped_and_started(start_server, bin_embedded18):
    server = start_server(bin_embedded18)
    pid = server.pid
    os.kill(pid, signal.SIGQUIT)
    assert wait_until(lambda: gone(pid))
    server.restart()
    assert server.pid != pid
    assert run_sql(server.parameters(), "SELECT 1") == [(1,)]


def test_start_that_fails_says_why_and_leaves_nothing(bin_embedded18):
    server = server_for_tests(bin_embedded18, settings={"shared_buffers": "plenty"})
    with pytest.raises(ServerError, match='invalid value for parameter "shared_buffers": "plenty"'):
        server.__enter__()
    assert not server.directory.exists()


def test_taken_port_is_given_up_for_another(embedded18, start_server, bin_embedded18, monkeypatch):
    ports = iter([embedded18.port, server_processes.free_port()])
    monkeypatch.setattr(postgres_server, "free_port", lambda: next(ports))
    server = start_server(bin_embedded18)
    assert server.port != embedded18.port
    with pytest.raises(ServerError, match="Address already in use"):
        start_server(bin_embedded18, port=embedded18.port)


def test_settings_are_taken_as_they_are(start_server, bin_embedded18):
    name = "it's a \\ test"
    server = start_server(bin_embedded18, settings={"cluster_name": name, "max_connections": 5}, listen_addresses="")
    assert run_sql(server.parameters(), "SHOW cluster_name") == [(name,)]
    assert run_sql(server.parameters(), "SHOW max_connections") == [("5",)]
    with pytest.raises(psycopg2.OperationalError, match="refused"):
        psycopg2.connect(**server.parameters(host="127.0.0.1"))


def test_dsn_quotes_what_it_must(server18, make_database):
    database = make_database(server18)
    connection = psycopg2.connect(server18.dsn(**database.parameters()))
    assert connection.info.user == database.user
    connection.close()


def test_template_is_made_once_and_copied(bin_embedded18, public_directory):
    cache = public_directory / "templates"
    identifiers = []
    for options in ([], [], ["--wal-segsize=1"]):
        with server_for_tests(bin_embedded18, template_cache=cache, initdb_options=options) as server:
            query = "SELECT system_identifier, current_setting('wal_segment_size') FROM pg_control_system()"
            identifiers += run_sql(server.parameters(), query)
    assert identifiers[0] == identifiers[1]
    assert identifiers[0][0] != identifiers[2][0]
    assert [size for _, size in identifiers] == ["16MB", "16MB", "1MB"]
    assert len(list(cache.iterdir())) == 2


def test_socket_has_room_below_a_long_path(bin_embedded18, public_directory):
    directory = public_directory / ("long-" * 20)
    with server_for_tests(bin_embedded18, directory=directory) as server:
        assert run_sql(server.parameters(), "SELECT 1") == [(1,)]
        socket_directory = server.socket_directory
        assert not socket_directory.is_relative_to(directory)
    assert not socket_directory.exists()
    assert directory.exists()


# Where they come from.


def test_missing_programs_are_named(tmp_path):
    with pytest.raises(ServerError, match=f"no usable PostgreSQL in {tmp_path}"):
        PostgresServer(tmp_path)
    with pytest.raises(ServerError, match="no embedded PostgreSQL 9"):
        embedded_bin_directory(9)


def test_finished_tree_is_not_made_again(bin_full18, monkeypatch):
    def build(*_):
        pytest.fail("the tree was there already")

    monkeypatch.setattr(full_postgres, "_build", build)
    assert full_postgres.ensure(18).bin_directory == bin_full18


def test_moved_or_unfinished_tree_is_not_taken_for_finished(tmp_path):
    tree = full_postgres.Tree(tmp_path / "tree", 18)
    assert not tree.complete
    tree.root.mkdir()
    (tree.root / full_postgres.COMPLETE).write_text('{"root": "/elsewhere"}')
    assert not tree.complete
    (tree.root / full_postgres.COMPLETE).write_text("half of")
    assert not tree.complete


def test_tree_that_cannot_be_made_says_why_for_each_suite(tmp_path):
    tree = full_postgres.Tree(tmp_path / "tree", 18)
    with pytest.raises(full_postgres.FullPostgresError, match=r"(?s)forky: apt-get failed.*sid: apt-get failed"):
        full_postgres.ensure(18, tree=tree, mirror=f"file://{tmp_path}/nowhere")
    assert not tree.root.exists()
