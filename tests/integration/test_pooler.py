# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real PgBouncer in between: recognised and refused, and the application's sessions are left as they were."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.postgres.compatibility import check_versions
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.settings import resolve
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ConnectionFailedError

ROOT = Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def pgbouncer(server, database, directory: Path) -> Iterator[int]:
    """PgBouncer in transaction mode, made to ignore the settings it would refuse; gives its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    directory.chmod(0o755)
    users = directory / "users.txt"
    users.write_text('"{}" "{}"\n'.format(database.user, database.password.replace('"', '""')))
    (directory / "pgbouncer.ini").write_text(
        f"[databases]\n{database.name} = host=127.0.0.1 port={server.port}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = plain\n"
        f"auth_file = {users}\npool_mode = transaction\ndefault_pool_size = 1\n"
        "ignore_startup_parameters = options,extra_float_digits\n"
    )
    # It refuses to run as root.
    become = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
    program = shutil.which("pgbouncer", path=os.environ["PATH"] + ":/usr/sbin")
    assert program
    with subprocess.Popen([*become, program, "--quiet", str(directory / "pgbouncer.ini")]) as process:
        try:
            yield port
        finally:
            process.kill()


@pytest.fixture(scope="session")
def installed() -> None:
    """PgBouncer from Debian; as a plain user the line to type is printed and the test fails in CI only."""
    if shutil.which("pgbouncer", path=os.environ["PATH"] + ":/usr/sbin"):
        return
    done = subprocess.run(["sh", "scripts/debian_packages.sh", "pgbouncer"], cwd=ROOT, check=False)
    if done.returncode and not os.environ.get("CI"):
        pytest.skip("PgBouncer is not installed, and only root can install it")
    assert done.returncode == 0


def test_a_pooler_is_refused_and_nothing_of_ours_stays_in_it(
    installed, server18, bin_full18, make_database, public_directory
):
    # The file PgBouncer reads its users from cannot carry every character.
    database = make_database(server18, password="plain-but-secret")
    database.execute("CREATE TABLE sessions (id int); INSERT INTO sessions VALUES (1)")
    with pgbouncer(server18, database, public_directory) as port:
        through = database.parameters(host="127.0.0.1", port=port)
        application = connected(through)
        with contextlib.closing(application), application.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM sessions")
            application.rollback()
            settings = resolve({name: str(value) for name, value in through.items()}, environment={})
            with pytest.raises(
                ConnectionFailedError, match="a connection pooler answers, not the server itself"
            ) as caught:
                check_versions(settings, str(bin_full18))
            assert not caught.value.transient
            # The one server session behind the pooler is the application's too.
            cursor.execute("SELECT count(*) FROM sessions")
            assert cursor.fetchone() == (1,)
            cursor.execute("SHOW row_security")
            assert cursor.fetchone() == ("on",)


def connected(parameters):
    deadline = time.monotonic() + 10
    while True:
        try:
            return psycopg2.connect(**parameters)
        except psycopg2.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
