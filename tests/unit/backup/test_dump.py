# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How pg_dump is asked, and what its end means."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.baileys.resilience.plugins.module_utils.backup.dump import (
    Dumped,
    DumpPlan,
    dump_arguments,
    plan_dump,
    run_dump,
)
from ansible_collections.baileys.resilience.plugins.module_utils.backup.naming import COMPRESSIONS
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.client import ClientTools
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.settings import ConnectionSettings
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.version import Version
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ProgramFailedError, SettingsError
from tests.support.fake_clients import fake_clients
from tests.support.fake_server import fake_snapshot

NEWEST = Version(18, 4)
ALL = 'echo "could not connect" >&2; exit 1'
NO_ZSTD = 'case "$*" in *zstd*|*lz4*) echo "this build does not support compression with zstd" >&2;; esac; exit 1'
SCRIPT = "COPY public.t (id) FROM stdin;\n1\n2\n\\.\n-- PostgreSQL database dump complete\n"
SETTINGS = ConnectionSettings({"host": "db.example", "user": "app"}, "top§secret")

Make = Callable[..., ClientTools]


@pytest.fixture
def client(tmp_path: Path) -> Make:
    def make(pg_dump: str, version: Version = NEWEST, pg_restore: str = "exec cat") -> ClientTools:
        directory = fake_clients(tmp_path / "bin", str(version), pg_dump=pg_dump, pg_restore=pg_restore)
        return ClientTools(str(directory), version)

    return make


class TestPlanning:
    @pytest.mark.parametrize(
        ("archive_format", "compression", "level", "planned"),
        [
            ("custom", "auto", None, ("zstd", 1)),
            ("custom", "auto", 5, ("zstd", 5)),
            ("directory", "auto", None, ("zstd", 1)),
            # The classic .sql.gz, which every host can read.
            ("plain", "auto", None, ("gzip", None)),
            ("plain", "zstd", None, ("zstd", 1)),
            ("custom", "gzip", None, ("gzip", None)),
            ("custom", "gzip", 9, ("gzip", 9)),
            ("custom", "lz4", None, ("lz4", None)),
            ("custom", "none", None, ("none", None)),
        ],
    )
    def test_with_a_client_that_can_do_everything(
        self, client: Make, archive_format: str, compression: str, level: int | None, planned: tuple[str, int | None]
    ) -> None:
        plan = plan_dump(client(ALL), archive_format, compression, level, 1)
        assert plan == (DumpPlan(archive_format, *planned, jobs=1), ())

    def test_without_zstd_gzip_is_taken_and_said(self, client: Make, tmp_path: Path) -> None:
        plan, (warning,) = plan_dump(client(NO_ZSTD), "custom", "auto", None, 1)
        assert plan == DumpPlan("custom", "gzip", None)
        assert (
            warning == f"The client 18.4 in {tmp_path}/bin was built without zstd; gzip is used, several times slower."
        )

    def test_what_was_asked_for_by_name_is_refused_instead(self, client: Make, tmp_path: Path) -> None:
        with pytest.raises(
            SettingsError, match=rf"^The client 18\.4 in {tmp_path}/bin cannot compress with lz4$"
        ) as caught:
            plan_dump(client(NO_ZSTD), "custom", "lz4", None, 1)
        assert (caught.value.stage, "compression=auto" in (caught.value.remedy or "")) == ("version", True)

    @pytest.mark.parametrize("archive_format", ["custom", "plain"])
    def test_jobs_need_a_directory(self, client: Make, archive_format: str) -> None:
        with pytest.raises(SettingsError, match=r"^jobs=2 needs format=directory$"):
            plan_dump(client(ALL), archive_format, "gzip", None, 2)
        assert plan_dump(client(ALL), "directory", "gzip", None, 2)[0].jobs == 2

    def test_a_level_of_nothing(self, client: Make) -> None:
        with pytest.raises(SettingsError, match="compression_level was given with compression=none"):
            plan_dump(client(ALL), "custom", "none", 0, 1)


class TestArguments:
    @given(
        version=st.integers(15, 20).map(lambda major: Version(major, 1)),
        archive_format=st.sampled_from(["custom", "plain", "directory"]),
        compression=st.sampled_from(COMPRESSIONS),
        level=st.none() | st.integers(0, 9),
        lock_timeout=st.floats(0, 1e6),
    )
    def test_every_one_is_a_whole_word(
        self, version: Version, archive_format: str, compression: str, level: int | None, lock_timeout: float
    ) -> None:
        plan = DumpPlan(archive_format, compression, level, jobs=3)
        arguments = dump_arguments(plan, ClientTools("/bin", version), fake_snapshot(), lock_timeout)
        assert all(argument.startswith("--") and " " not in argument for argument in arguments)
        assert {f"--format={archive_format}", "--snapshot=00000003-1", "--encoding=UTF8", "--no-password"} <= set(
            arguments
        )
        assert ("--jobs=3" in arguments) is (archive_format == "directory")
        # 0 would mean to wait for ever.
        (wait,) = [argument for argument in arguments if argument.startswith("--lock-wait-timeout=")]
        assert int(wait.partition("=")[2]) == max(1, round(lock_timeout * 1000))

    @pytest.mark.parametrize(
        ("major", "compression", "level", "argument"),
        [
            (18, "zstd", 1, "zstd:1"),
            (18, "lz4", None, "lz4"),
            (18, "none", None, "none"),
            (16, "gzip", 6, "gzip:6"),
            (15, "gzip", None, "6"),
            (15, "gzip", 9, "9"),
            (15, "none", None, "0"),
        ],
    )
    def test_compression_as_each_version_takes_it(
        self, major: int, compression: str, level: int | None, argument: str
    ) -> None:
        plan = DumpPlan("custom", compression, level)
        arguments = dump_arguments(plan, ClientTools("/bin", Version(major, 1)), fake_snapshot(), 1)
        assert f"--compress={argument}" in arguments


class TestRunning:
    def dump(
        self, tools: ClientTools, target: Path, archive_format: str = "custom", stall_timeout: float = 60
    ) -> Dumped:
        lock = os.open(target.parent / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        try:
            return run_dump(
                DumpPlan(archive_format, "zstd", 1),
                tools,
                SETTINGS,
                fake_snapshot(),
                str(target),
                lock_timeout=5,
                stall_timeout=stall_timeout,
                lock_descriptor=lock,
            )
        finally:
            os.close(lock)

    def test_its_output_is_the_archive(self, client: Make, tmp_path: Path) -> None:
        dumped = self.dump(client(f"printf '%s' '{SCRIPT}'; echo 'pg_dump: warning: odd' >&2"), tmp_path / "archive")
        assert (tmp_path / "archive").read_text() == SCRIPT
        assert dumped.decoded.contents.rows == 2
        assert dumped.messages == "pg_dump: warning: odd"
        assert "--format=custom" in dumped.arguments

    def test_it_is_told_where_and_gets_the_password_by_file_only(self, client: Make, tmp_path: Path) -> None:
        script = (
            f"{{ tr '\\0' '\\n' </proc/$$/cmdline; env; }} >'{tmp_path}/seen'; cat \"$PGPASSFILE\" >'{tmp_path}/password'; "
            f"printf '%s' '{SCRIPT}'"
        )
        self.dump(client(script), tmp_path / "archive")
        seen = (tmp_path / "seen").read_text()
        assert "PGHOST=db.example\n" in seen
        assert "--snapshot=00000003-1\n" in seen
        assert "secret" not in seen
        assert (tmp_path / "password").read_text() == "*:*:*:*:top§secret\n"

    def test_a_directory_is_made_by_itself_in_private(self, client: Make, tmp_path: Path) -> None:
        make = 'for last; do :; done; target="${last#--file=}"; mkdir "$target"; '
        make += f"printf '%s' '{SCRIPT}' >\"$target/toc.dat\"; echo note >&2"
        tools = client(make, pg_restore='for last; do :; done; exec cat "$last/toc.dat"')
        previous = os.umask(0)
        try:
            dumped = self.dump(tools, tmp_path / "archive.dir", "directory")
            assert os.umask(0) == 0
        finally:
            os.umask(previous)
        assert dumped.messages == "note"
        assert dumped.decoded.files.keys() == {"toc.dat"}
        assert stat.S_IMODE((tmp_path / "archive.dir").stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / "archive.dir" / "toc.dat").stat().st_mode) == 0o600

    @pytest.mark.parametrize("archive_format", ["custom", "directory"])
    def test_one_that_goes_silent_is_stopped(self, client: Make, tmp_path: Path, archive_format: str) -> None:
        script = f"echo $$ >'{tmp_path}/pid'; exec sleep 600"
        with pytest.raises(ProgramFailedError, match=r"pg_dump gave no data for 0\.5 s"):
            self.dump(client(script), tmp_path / "archive", archive_format, stall_timeout=0.5)
        assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()

    @pytest.mark.parametrize("archive_format", ["custom", "directory"])
    def test_one_that_fails_half_way(self, client: Make, tmp_path: Path, archive_format: str) -> None:
        script = "printf 'COPY public.t (id) FROM stdin;\\n1\\n'; echo 'pg_dump: error: ouch' >&2; exit 1"
        with pytest.raises(ProgramFailedError) as caught:
            self.dump(client(script), tmp_path / "archive", archive_format)
        # The decoder fails too, for want of the rest; that is not the cause.
        assert caught.value.message == "pg_dump failed with exit status 1: pg_dump: error: ouch"
        assert (caught.value.stage, caught.value.rc, caught.value.stderr) == ("dump", 1, "pg_dump: error: ouch")
        assert "secret" not in str(caught.value.cmd)


# Messages of pg_dump 18 as they are, what is shown of them, and a part of the remedy.
ENDS = [
    (
        "pg_dump: error: ERROR:  canceling statement due to lock timeout\npg_dump: detail: Query was: LOCK TABLE public.t",
        "pg_dump: error: ERROR:  canceling statement due to lock timeout pg_dump: detail: Query was: LOCK TABLE public.t",
        "table_lock_timeout",
    ),
    (
        'pg_dump: error: query failed: ERROR:  query would be affected by row-level security policy for table "t"\n',
        'pg_dump: error: query failed: ERROR:  query would be affected by row-level security policy for table "t"',
        "BYPASSRLS",
    ),
    ("pg_dump: error: query failed: ERROR:  permission denied for table t", None, "SELECT"),
    ("pg_dump: error: server closed the connection unexpectedly", None, "went away"),
    ("FATAL:  terminating connection due to administrator command", None, "went away"),
    ("pg_dump: error: could not write to file: No space left on device", None, "Free space"),
    (
        'pg_dump: error: connection to server failed: FATAL:  password authentication failed for user "a"',
        None,
        "login_password",
    ),
    ("pg_dump: warning: one\npg_dump: error: two\nthree\n", "pg_dump: error: two", "by hand"),
    ("one\n\ntwo\nthree\nfour\nfive", "one two three four", "by hand"),
    ("", "no message", "by hand"),
]


@pytest.mark.parametrize(("messages", "shown", "remedy"), ENDS)
def test_what_an_end_means(client: Make, tmp_path: Path, messages: str, shown: str | None, remedy: str) -> None:
    (tmp_path / "messages").write_text(messages)
    tools = client(f"cat '{tmp_path}/messages' >&2; exit 1")
    with pytest.raises(ProgramFailedError) as caught:
        TestRunning().dump(tools, tmp_path / "archive")
    assert caught.value.message == f"pg_dump failed with exit status 1: {shown or messages}"
    assert remedy in (caught.value.remedy or "")


def test_one_that_was_killed(client: Make, tmp_path: Path) -> None:
    with pytest.raises(ProgramFailedError, match=r"^pg_dump failed with killed by SIGKILL: no message$") as caught:
        TestRunning().dump(client("kill -9 $$"), tmp_path / "archive")
    assert caught.value.rc == -9
    assert "out of memory" in (caught.value.remedy or "")
