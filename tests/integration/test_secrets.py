# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No secret is seen by anybody: arguments, environments, output at its loudest, manifests, messages, leftovers.

The tokens below stand in the middle of the passwords. They have no character that any encoding would change but
base64, which is looked for as well: whatever way a password is quoted or escaped, its token stays what it is.
"""

from __future__ import annotations

import base64
import secrets
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.client_wrappers import wrap_clients
from tests.support.databases import UGLY_PASSWORD, create_role, fresh_database, run_sql
from tests.support.playbooks import Surroundings, Unsafe
from tests.support.stub_servers import CHAT_ID, SENTRY_KEY, TOKEN, sentry_stub, telegram_stub
from tests.support.watch import ProcessWatch, files_holding, holds

# All that a .env can hold between two backticks.
ENV_PASSWORD = UGLY_PASSWORD.replace("`", "")
PROGRAMS = {"pg_dump", "pg_restore", "pg_isready", "setpriv", "gzip"}


class Run:
    """One run of backup.yml at its loudest: sources that go well and sources that fail, each with its own token."""

    def __init__(self, directory: Path, tokens, database, bin_full18, bin_embedded16) -> None:
        self.tokens = tokens
        self.env_password = f"{ENV_PASSWORD}{tokens['file']}{ENV_PASSWORD}"
        self.roots = directory / "roots"
        self.state = directory / "state"
        server = database.server
        secret_file = directory / "app.env"
        second = create_role(server, password=self.env_password, options=f"IN ROLE {database.user}")
        secret_file.write_text(
            f"POSTGRES_HOST=localhost\nPOSTGRES_PORT={server.port}\nPOSTGRES_DATABASE={database.name}\n"
            f"POSTGRES_USER={second}\nPOSTGRES_PASSWORD=`{self.env_password}`\n"
        )
        failing = 'echo "pg_dump: error: $* in $(env | sort)" >&2; exit 1'
        failing_client = wrap_clients(directory / "failing", bin_full18, {"pg_dump": failing})
        login = {
            "login_host": "localhost",
            "login_port": server.port,
            "login_user": database.user,
            "login_password": Unsafe(database.password),
            "database": database.name,
        }
        env = {"env_file": str(secret_file)}
        wrong = Unsafe(f"{ENV_PASSWORD}{self.tokens['wrong']}")
        self.sources = {
            "custom": login,
            "plain": {**login, "format": "plain"},
            "directory": {**login, "format": "directory", "jobs": 2},
            "by-file": env,
            "by-file-directory": {**env, "format": "directory"},
            "wrong-password": {**login, "login_password": wrong},
            "wrong-database": {**login, "database": "not there"},
            "wrong-port": {**env, "login_port": 1},
            "wrong-option": {**login, "format": "unheard of"},
            "old-client": {**env, "client_directory": str(bin_embedded16)},
            "failing": {**login, "client_directory": str(failing_client)},
            "failing-file": {**env, "client_directory": str(failing_client)},
        }
        self.surroundings = Surroundings(directory)
        with telegram_stub() as self.telegram, sentry_stub() as self.sentry:
            self.surroundings.write_hosts(
                {"db": {}},
                backup_sources=[
                    {"name": name, "backup_root": str(self.roots / name), **given}
                    for name, given in self.sources.items()
                ],
                backup_client_directory=str(bin_full18),
                backup_state_directory=str(self.state),
                telegram_token=TOKEN,
                telegram_chat_id=CHAT_ID,
                telegram_api_url=self.telegram.url,
                sentry_dsn=self.sentry.dsn,
            )
            extra = {"APP_SECRET": self.tokens["surroundings"]}
            secret = [self.tokens["inventory"], self.tokens["file"], self.tokens["wrong"], *CHANNELS]
            with ProcessWatch(*secret, self.tokens["surroundings"]) as self.watch:
                self.played = self.surroundings.play("playbooks/backup.yml", "-vvvv", "--diff", **extra)
        self.secrets = secret
        self.messages = b"".join(received.body for stub in (self.telegram, self.sentry) for received in stub.received)
        run_sql(server.parameters(), f"DROP OWNED BY {second}")
        run_sql(server.parameters(), f"DROP ROLE {second}")


# The half of the bot's token that is secret, and the key in the DSN.
CHANNELS = (TOKEN.split(":")[1], SENTRY_KEY)


@pytest.fixture(scope="module")
def run(server18, bin_full18, bin_embedded16, tmp_path_factory):
    tokens = {name: f"zq{secrets.token_hex(8)}" for name in ("inventory", "file", "surroundings", "wrong")}
    directory = tmp_path_factory.mktemp("secrets")
    with fresh_database(server18, password=f"{UGLY_PASSWORD}{tokens['inventory']}{UGLY_PASSWORD}") as database:
        database.execute("CREATE TABLE t AS SELECT repeat(md5(g::text), 100) FROM generate_series(1, 20000) g")
        yield Run(directory, tokens, database, bin_full18, bin_embedded16)


def test_the_run_did_what_it_is_about(run):
    """Half of the sources went well and half failed, each for its own reason; and it was watched."""
    made = {path.parent.parent.name for path in run.roots.glob("*/daily/*.manifest.json")}
    assert made == {"custom", "plain", "directory", "by-file", "by-file-directory"}
    assert run.played.rc == 2, run.played
    for words in (
        "password authentication failed",
        'database \\"not there\\" does not exist',
        "Connection refused",
        "value of format must be one of",
        "pg_dump refuses a server newer than itself",
        "pg_dump failed with exit status 1",
    ):
        assert words in run.played.output, words
    assert run.watch.programs >= PROGRAMS - {"setpriv"}
    assert run.watch.rounds > 100
    # At -vvvv the arguments of every module are shown.
    assert run.played.output.count('"login_password": "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"') >= 5


def test_nothing_in_arguments_and_environments(run):
    allowed = run.tokens["surroundings"]
    assert [found for found in run.watch.found if not found.startswith(allowed)] == []


def test_the_programs_get_an_environment_of_their_own(run):
    """What Ansible was started with is there for the modules, and for nothing that they start."""
    seen = [found for found in run.watch.found if found.startswith(run.tokens["surroundings"])]
    assert [found for found in seen if "ansible-playbook" in found], "the watch sees environments"
    assert [found for found in seen if any(f"/{program}" in found for program in PROGRAMS)] == []


def test_nothing_in_the_output_at_its_loudest(run):
    assert holds(run.played.output.encode(), *run.secrets) == []
    # Nor any piece of the passwords that is longer than chance.
    for piece in ("w%o'r", "d\\ with spaces", "{{ jinja }}", "ünïcødé ✓"):
        assert piece not in run.played.output


def test_nothing_in_what_is_written(run):
    assert files_holding(run.roots, *run.secrets) == []
    assert files_holding(run.state, *run.secrets) == []
    assert {path.name for path in run.state.rglob("*") if path.is_file() and path.suffix != ".lock"} == {
        "backup.json",
        "backup.prom",
    }


def test_nothing_in_the_messages_to_the_team(run):
    # The bot's token is in the address and Sentry's key in a header, where they belong.
    assert len(run.telegram.received) >= 1
    assert len(run.sentry.received) >= 1
    assert holds(run.messages, *run.secrets) == []


def test_nothing_is_left_behind(run):
    assert list(run.surroundings.temporary.iterdir()) == []
    left = [path for path in run.surroundings.home.rglob("*") if path.is_file()]
    assert [path for path in left if "tmp" in path.parts[len(run.surroundings.home.parts) :]] == []
    assert files_holding(run.surroundings.home, *run.secrets) == []
    recent = time.time() - 600
    for path in Path("/tmp").iterdir():
        if path.name.startswith(("ansible", ".ansible")) and path.lstat().st_mtime > recent:
            assert files_holding(path, *run.secrets) == []


def test_the_watch_finds_what_it_looks_for():
    """Or else nothing above would mean anything."""
    for command, environment, place in (
        (["sleep", "0.4"], {"X": "a zqfindme b"}, "environment"),
        (["sh", "-c", "sleep 0.4", "zqfindme"], {}, "arguments"),
    ):
        with ProcessWatch("zqfindme") as watch:
            subprocess.run(command, env=environment, check=True)
        assert [found for found in watch.found if found.startswith(f"zqfindme in the {place} of b'{command[0]}")]
    text = "zqfindme-and-more"
    for shift in range(4):
        assert holds(base64.b64encode(b"-" * shift + text.encode() + b"--"), text) == [text]
    assert holds(b"something else", text) == []
