# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which clients are installed, which fits the server, what a build can do, and whether a server answers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.baileys.resilience.plugins.module_utils.postgres import client
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.client import (
    ACCEPTING,
    NO_RESPONSE,
    REJECTING,
    ClientTools,
    choose_client,
    find_clients,
    ping,
    supports_compression,
)
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.settings import ConnectionSettings
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.version import Version
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import (
    IncompatibleVersionError,
    MissingDependencyError,
)
from tests.support.fake_clients import fake_clients

VERSIONS = st.builds(Version, st.integers(13, 20), st.integers(0, 12))


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory in which the usual places of clients are, and an empty PATH."""
    monkeypatch.setattr(client, "INSTALLED_PATTERNS", (f"{tmp_path}/lib/*/bin", f"{tmp_path}/pgsql-*/bin"))
    # What the scripts run, without a client that this machine may have beside it.
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("sh", "env", "sleep", "setpriv"):
        path = shutil.which(name)
        if path:
            (programs / name).symlink_to(path)
    monkeypatch.setenv("PATH", str(programs))
    return tmp_path


def found(directory: str | None = None) -> list[tuple[str, str]]:
    return [(tools.directory, str(tools.version)) for tools in find_clients(directory)]


class TestFinding:
    def test_every_one_newest_first(self, installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        fake_clients(installed / "lib" / "16" / "bin", "16.14 (Debian 16.14-1)")
        fake_clients(installed / "lib" / "18" / "bin", "18.4")
        fake_clients(installed / "pgsql-17" / "bin", "17.10")
        fake_clients(installed / "own" / "bin", "18.10")
        monkeypatch.setenv("PATH", f"::{installed}/own/bin:{installed}/programs:")
        assert found() == [
            (f"{installed}/own/bin", "18.10"),
            (f"{installed}/lib/18/bin", "18.4"),
            (f"{installed}/pgsql-17/bin", "17.10"),
            (f"{installed}/lib/16/bin", "16.14"),
        ]

    def test_only_the_one_that_was_named(self, installed: Path) -> None:
        fake_clients(installed / "lib" / "18" / "bin", "18.4")
        fake_clients(installed / "own", "16.14")
        assert found(str(installed / "own")) == [(f"{installed}/own", "16.14")]

    def test_one_directory_by_two_names_counts_once(self, installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        fake_clients(installed / "lib" / "18" / "bin", "18.4")
        (installed / "link").symlink_to("lib/18/bin")
        monkeypatch.setenv("PATH", f"{installed}/link:{installed}/lib/18/bin:{installed}/programs")
        assert found() == [(f"{installed}/lib/18/bin", "18.4")]

    def test_debians_wrapper_is_passed_over(self, installed: Path) -> None:
        fake_clients(installed / "lib" / "18" / "bin", "18.4")
        wrapper = installed / "usr" / "share" / "pg_wrapper"
        fake_clients(wrapper.parent, "16.10").joinpath("pg_dump").rename(wrapper)
        (installed / "lib" / "99" / "bin").mkdir(parents=True)
        (installed / "lib" / "99" / "bin" / "pg_dump").symlink_to(wrapper)
        assert found() == [(f"{installed}/lib/18/bin", "18.4")]

    @pytest.mark.parametrize(
        ("script", "why"),
        [
            ("exit 1", "--version failed: exit status 1"),
            ("echo 'cannot open libpq.so.5' >&2; exit 127", "--version failed: cannot open libpq.so.5"),
            ("echo nothing of the kind", "No version in 'nothing of the kind'"),
            ("exec sleep 600", "did not end within 2 s"),
        ],
        ids=["fails", "lacks a library", "states none", "hangs"],
    )
    def test_one_that_does_not_work_is_passed_over(
        self, installed: Path, script: str, why: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(client, "PROGRAM_SECONDS", 2.0)
        broken = installed / "lib" / "19" / "bin"
        fake_clients(broken).joinpath("pg_dump").write_text(f"#!/bin/sh\n{script}\n")
        # Alone, it is what is wrong; beside another, it is not missed.
        with pytest.raises(MissingDependencyError, match=r"^No pg_dump here runs: ") as caught:
            found()
        assert why in caught.value.message
        assert str(broken) in caught.value.message
        fake_clients(installed / "lib" / "18" / "bin", "18.4")
        assert found() == [(f"{installed}/lib/18/bin", "18.4")]

    def test_a_file_nobody_may_run_is_passed_over(self, installed: Path) -> None:
        fake_clients(installed / "lib" / "18" / "bin").joinpath("pg_dump").chmod(0o644)
        with pytest.raises(MissingDependencyError, match=r"^No pg_dump found in "):
            found()

    def test_none_at_all(self, installed: Path) -> None:
        with pytest.raises(MissingDependencyError) as caught:
            found()
        assert caught.value.message == f"No pg_dump found in {installed}/lib/*/bin, {installed}/pgsql-*/bin or PATH"
        assert caught.value.stage == "version"
        assert "postgresql-client-18" in (caught.value.remedy or "")

    def test_none_where_it_was_named(self, installed: Path) -> None:
        fake_clients(installed / "lib" / "18" / "bin")
        with pytest.raises(MissingDependencyError, match=f"^No pg_dump found in {installed}/own$"):
            found(f"{installed}/own")

    def test_the_usual_places(self) -> None:
        # Debian and Ubuntu, the PostgreSQL project's RPMs, its sources.
        assert {"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin"} == set(
            client.INSTALLED_PATTERNS
        )


class TestChoosing:
    @given(versions=st.lists(VERSIONS, min_size=1, max_size=8), server=VERSIONS)
    def test_the_servers_major_or_the_nearest_newer(self, versions: list[Version], server: Version) -> None:
        clients = [ClientTools(f"/{number}", version) for number, version in enumerate(versions)]
        clients.sort(key=lambda tools: tools.version, reverse=True)
        good_enough = [version for version in versions if version.major >= server.major]
        if not good_enough:
            with pytest.raises(IncompatibleVersionError) as caught:
                choose_client(clients, server)
            assert f"The server is PostgreSQL {server}, but the newest client here is {max(versions)}" in str(
                caught.value
            )
            assert f"postgresql-client-{server.major}." in (caught.value.remedy or "")
            assert caught.value.stage == "version"
            return
        chosen = choose_client(clients, server).version
        # Never older; no other good one is nearer; and of its major the newest minor.
        assert chosen.major >= server.major
        assert not [version for version in good_enough if version.major < chosen.major]
        assert not [version for version in versions if version.major == chosen.major and version.minor > chosen.minor]

    def test_the_incident(self) -> None:
        with pytest.raises(IncompatibleVersionError) as caught:
            choose_client([ClientTools("/usr/lib/postgresql/16/bin", Version(16, 10))], Version(18, 0))
        assert caught.value.message == (
            "The server is PostgreSQL 18.0, but the newest client here is 16.10 (/usr/lib/postgresql/16/bin): "
            "pg_dump refuses a server newer than itself"
        )
        assert "apt-get install -y postgresql-client-18." in (caught.value.remedy or "")


class TestPrograms:
    def test_beside_pg_dump(self, tmp_path: Path) -> None:
        tools = ClientTools(str(fake_clients(tmp_path / "bin", pg_restore="exit 0")), Version(18, 4))
        assert tools.program("pg_restore") == f"{tmp_path}/bin/pg_restore"

    def test_one_that_is_missing(self, tmp_path: Path) -> None:
        tools = ClientTools(str(fake_clients(tmp_path / "bin")), Version(17, 4))
        with pytest.raises(
            MissingDependencyError, match=f"^There is no pg_restore beside pg_dump in {tmp_path}/bin$"
        ) as caught:
            tools.program("pg_restore")
        assert "postgresql-client-17." in (caught.value.remedy or "")


class TestCompression:
    # What pg_dump 18 says with and without the library, and what it says to a name it does not know.
    WITHOUT = 'echo "pg_dump: error: invalid compression specification: this build does not support compression with $*" >&2; exit 1'
    UNKNOWN = 'echo "pg_dump: error: unrecognized compression algorithm: \\"x\\"" >&2; exit 1'
    WITH = 'echo "pg_dump: error: connection to server on socket failed" >&2; exit 1'

    @pytest.mark.parametrize("algorithm", ["zstd", "lz4", "gzip"])
    def test_one_the_build_has(self, tmp_path: Path, algorithm: str) -> None:
        tools = ClientTools(str(fake_clients(tmp_path / "bin", pg_dump=self.WITH)), Version(18, 4))
        assert supports_compression(tools, algorithm)

    @pytest.mark.parametrize("algorithm", ["zstd", "lz4"])
    def test_one_the_build_lacks(self, tmp_path: Path, algorithm: str) -> None:
        tools = ClientTools(str(fake_clients(tmp_path / "bin", pg_dump=self.WITHOUT)), Version(18, 4))
        assert not supports_compression(tools, algorithm)

    def test_the_probe_reaches_no_server(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PGHOST", "db.example")
        script = f'echo "$* PGHOST=$PGHOST" >"{tmp_path}/asked"; exit 1'
        supports_compression(ClientTools(str(fake_clients(tmp_path / "bin", pg_dump=script)), Version(18, 4)), "zstd")
        asked = (tmp_path / "asked").read_text()
        assert asked == "--format=custom --compress=zstd --host=/dev/null/none PGHOST=\n"

    def test_none_needs_no_question(self) -> None:
        assert supports_compression(ClientTools("/nowhere", Version(18, 4)), "none")

    @pytest.mark.parametrize(
        ("algorithm", "expected"), [("gzip", True), ("zstd", False), ("lz4", False), ("none", True)]
    )
    def test_before_version_16_there_is_gzip_only(self, algorithm: str, expected: bool) -> None:
        assert supports_compression(ClientTools("/nowhere", Version(15, 9)), algorithm) is expected


class TestPing:
    @pytest.mark.parametrize("status", [ACCEPTING, REJECTING, NO_RESPONSE, 3])
    def test_its_status_is_the_answer(self, tmp_path: Path, status: int) -> None:
        directory = fake_clients(tmp_path / "bin", pg_isready=f"exit {status}")
        assert ping([ClientTools(str(directory), Version(18, 4))], ConnectionSettings({})) == status

    def test_the_first_that_has_it_is_asked(self, tmp_path: Path) -> None:
        without = ClientTools(str(fake_clients(tmp_path / "a")), Version(18, 4))
        having = ClientTools(str(fake_clients(tmp_path / "b", pg_isready="exit 1")), Version(16, 4))
        assert ping([without, having], ConnectionSettings({})) == REJECTING
        assert ping([without], ConnectionSettings({})) is None
        assert ping([], ConnectionSettings({})) is None

    def test_it_learns_where_and_nothing_else(self, tmp_path: Path) -> None:
        script = f'{{ echo "$*"; env; }} >"{tmp_path}/asked"'
        directory = fake_clients(tmp_path / "bin", pg_isready=script)
        parameters = {"host": "db.example", "hostaddr": "192.0.2.1", "port": "6000", "user": "app", "dbname": "store"}
        ping([ClientTools(str(directory), Version(18, 4))], ConnectionSettings(parameters, "secret"))
        arguments, *environment = (tmp_path / "asked").read_text().splitlines()
        assert arguments == f"--quiet --timeout={client.PING_SECONDS}"
        assert {line for line in environment if line.startswith("PG")} == {
            "PGHOST=db.example",
            "PGHOSTADDR=192.0.2.1",
            "PGPORT=6000",
            "PGSSLMODE=prefer",
        }

    def test_one_that_hangs_in_spite_of_its_timeout_is_no_response(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(client, "PROGRAM_SECONDS", 0.5)
        directory = fake_clients(tmp_path / "bin", pg_isready="exec sleep 600")
        assert ping([ClientTools(str(directory), Version(18, 4))], ConnectionSettings({})) == NO_RESPONSE
