# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module `notify`, run by Ansible: what arrives, what the play sees, and that no secret is seen anywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ansible_collections.baileys.resilience.plugins.module_utils.reporting import status
from ansible_collections.baileys.resilience.plugins.modules.notify import arguments
from tests.support.stub_servers import (
    CHAT_ID,
    HANG,
    SENTRY_KEY,
    TOKEN,
    SentryStub,
    TelegramStub,
    refuse,
    refused_address,
    sentry_stub,
    telegram_stub,
)

COLLECTIONS = next(
    path for path in sys.path if (Path(path) / "ansible_collections" / "baileys" / "resilience").is_dir()
)
PASSWORD = "n0t-in-any-l0g<|>'%\"?&"
SECRETS = (TOKEN, TOKEN.partition(":")[2], SENTRY_KEY, "n0t-in-any-l0g")
REPORT = {
    "job": "backup",
    "subject": "app",
    "level": "info",
    "title": "backup made and verified",
    "facts": {"Size": "353.2 kB"},
    "measurements": {"archive_bytes": 353187},
    "duration": 1.1,
}
# A module that dies as a program error makes it die: with a stack trace that shows what it worked on.
CRASH = "raise KeyError('rows of postgresql://app:%s@db/app')\n" % "n0t-in-any-l0g"


class Played:
    """A play's end: its exit status, everything it printed, and the result of the task `notify`."""

    def __init__(self, process: subprocess.CompletedProcess[str], result: dict[str, Any], seconds: float) -> None:
        self.code = process.returncode
        self.output = process.stdout + process.stderr
        self.result = result
        self.seconds = seconds


def play(
    tmp_path: Path,
    options: dict[str, Any],
    *arguments: str,
    before: tuple[dict[str, Any], ...] = (),
    environment: dict[str, str] | None = None,
    interpreter: str = sys.executable,
) -> Played:
    """Run a play of the tasks `before` and `notify` with these options, at -vvvv, and check it shows no secret."""
    library = tmp_path / "library"
    library.mkdir(exist_ok=True)
    (library / "crash.py").write_text("#!/usr/bin/python\n" + CRASH, encoding="utf-8")
    result_file = tmp_path / "result.json"
    told = {
        "name": "Tell",
        "baileys.resilience.notify": dict(
            {"job": "backup", "host": "db1", "state_directory": str(tmp_path / "state")}, **options
        ),
        "register": "told",
    }
    keep = {
        "name": "Keep the result",
        "ansible.builtin.copy": {"content": "{{ told | to_json }}", "dest": str(result_file), "mode": "0600"},
        "check_mode": False,
        "no_log": True,
    }
    tasks = [*before, {"name": "Report", "block": [told], "always": [keep]}]
    playbook = tmp_path / "play.json"
    variables = {"ansible_python_interpreter": interpreter, "password": PASSWORD}
    content = [{"hosts": "localhost", "gather_facts": False, "vars": variables, "tasks": tasks}]
    playbook.write_text(json.dumps(content), encoding="utf-8")
    started = time.monotonic()
    process = subprocess.run(
        [
            str(Path(sys.executable).with_name("ansible-playbook")),
            "-vvvv",
            "-i",
            "localhost,",
            "-c",
            "local",
            str(playbook),
            *arguments,
        ],
        env={
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("ANSIBLE_", "TELEGRAM_", "SENTRY_"))
            },
            "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS,
            "ANSIBLE_LIBRARY": str(library),
            "ANSIBLE_HOME": str(tmp_path / "ansible"),
            "ANSIBLE_REMOTE_TMP": str(tmp_path / "remote"),
            "ANSIBLE_NOCOLOR": "1",
            "NO_PROXY": "*",
            **(environment or {}),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    seconds = time.monotonic() - started
    result = json.loads(result_file.read_text(encoding="utf-8")) if result_file.exists() else {}
    played = Played(process, result, seconds)
    shown = played.output + json.dumps(result)
    assert [secret for secret in SECRETS if secret in shown] == [], shown
    return played


def channels(bot: TelegramStub, ingest: SentryStub) -> dict[str, Any]:
    return {
        "telegram_token": TOKEN,
        "telegram_chat_id": CHAT_ID,
        "telegram_api_url": bot.url,
        "sentry_dsn": ingest.dsn,
    }


LOOP = (
    {
        "name": "Work on each source; some fail without a report of their own",
        "ansible.builtin.command": {
            "argv": ["sh", "-c", "echo login {{ item.login_password | quote }} >&2; exit {{ item.code }}"]
        },
        "loop": [
            {"name": "good", "login_password": "{{ password }}", "code": 0},
            {"name": "bad", "login_password": "{{ password }}", "code": 3},
        ],
        "loop_control": {"label": "{{ item.name }}"},
        "register": "run",
        "no_log": True,
        "ignore_errors": True,
    },
    {
        "name": "Crash",
        "crash": {},
        "loop": ["crashed"],
        "register": "crash",
        "ignore_errors": True,
        "no_log": True,
    },
    {
        "name": "Reach nobody",
        "ansible.builtin.ping": None,
        "delegate_to": "nowhere",
        "vars": {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1},
        "loop": ["away"],
        "register": "reach",
        "ignore_unreachable": True,
    },
)


def test_a_loop_with_every_kind_of_failure_is_reported_whole_and_without_secrets(tmp_path: Path) -> None:
    results = "{{ run.results + crash.results + reach.results }}"
    with telegram_stub() as bot, sentry_stub() as ingest:
        options = {"results": results, "reports": [REPORT], "monitor_schedule": "0 3 * * *", **channels(bot, ingest)}
        played = play(tmp_path, options, before=LOOP)
        sent = json.dumps(bot.messages) + json.dumps([payload for _header, payload in ingest.items])
        (check_in,) = ingest.of_type("check_in")
        events = ingest.of_type("event")
        (message,) = bot.messages
    assert played.code == 0, played.output
    assert played.result["changed"] is False
    assert played.result["sent"] == {"telegram": 1, "sentry": 6}
    assert played.result["delivery_warnings"] == []
    assert played.result["level"] == "fatal"
    found = {report["subject"]: (report["level"], report["title"]) for report in played.result["reports"]}
    assert found["app"] == ("info", "backup made and verified")
    assert found["bad"] == ("fatal", "non-zero return code")
    assert found["crashed"][0] == "fatal"
    assert "rows of postgresql://app:***@db/app" in found["crashed"][1]
    assert found["away"][0] == "fatal"
    assert found["away"][1].startswith("host unreachable: ")
    assert "good" not in found
    assert "Traceback" not in sent
    assert "n0t-in-any-l0g" not in sent
    assert check_in["status"] == "error"
    assert {event["tags"]["source"]: event["level"] for event in events} == {
        name: level for name, (level, _) in found.items()
    }
    assert message["text"].startswith("<b>backup on db1: 3 failed, 1 ok</b>")
    # Kept on this host: what happened on it.
    assert sorted(status.read(str(tmp_path / "state"), "backup")) == ["app", "bad", "crashed"]


def test_check_mode_tells_what_it_would_send_and_sends_nothing(tmp_path: Path) -> None:
    with telegram_stub() as bot, sentry_stub() as ingest:
        played = play(tmp_path, {"reports": [REPORT], **channels(bot, ingest)}, "--check")
        assert bot.received == ingest.received == []
    assert played.code == 0, played.output
    assert played.result["msg"] == "Would report: 1 info; channels: telegram, sentry"
    assert played.result["messages"] == ["backup on db1: 1 ok\n🟢 app: backup made and verified\nSize: 353.2 kB"]
    assert played.result["sent"] == {}
    assert not (tmp_path / "state").exists()


def test_dead_endpoints_are_warnings_in_bounded_time(tmp_path: Path) -> None:
    with telegram_stub(HANG) as bot:
        options = {
            "reports": [REPORT],
            "telegram_token": TOKEN,
            "telegram_chat_id": CHAT_ID,
            "telegram_api_url": bot.url,
            "sentry_dsn": f"http://{SENTRY_KEY}@{refused_address()}/1",
            "timeout": 2,
        }
        played = play(tmp_path, options)
    assert played.code == 0, played.output
    assert played.result["sent"] == {"telegram": 0, "sentry": 0}
    assert played.result["seconds"] < 2.6
    assert "[WARNING]: Telegram: message 1 of 1 was not delivered" in played.output.replace("\n", " ")
    assert [warning.split(":")[0] for warning in played.result["delivery_warnings"]] == ["Telegram", "Sentry"]
    assert status.read(str(tmp_path / "state"), "backup")["app"].level == "info"


def test_strict_fails_when_something_is_not_delivered(tmp_path: Path) -> None:
    with telegram_stub(refuse(403, "Forbidden: bot was kicked")) as bot, sentry_stub() as ingest:
        played = play(tmp_path, {"reports": [REPORT], "strict": True, **channels(bot, ingest)})
    assert played.code == 2
    assert "bot was kicked" in played.result["msg"]
    assert played.result["stage"] == "report"


def test_tokens_from_the_environment_and_no_channel_at_all(tmp_path: Path) -> None:
    with telegram_stub() as bot, sentry_stub() as ingest:
        environment = {"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_CHAT_ID": CHAT_ID, "SENTRY_DSN": ingest.dsn}
        played = play(tmp_path, {"reports": [REPORT], "telegram_api_url": bot.url}, environment=environment)
    assert played.result["sent"] == {"telegram": 1, "sentry": 2}
    played = play(tmp_path, {"reports": [REPORT]})
    assert played.code == 0, played.output
    assert played.result["msg"] == "Reported: 1 info; channels: none"


def test_without_the_libraries_it_says_which(tmp_path: Path) -> None:
    bare = tmp_path / "python"
    # No site-packages: what a target has on its first day.
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n', encoding="utf-8")
    bare.chmod(0o755)
    with telegram_stub() as bot, sentry_stub() as ingest:
        played = play(tmp_path, {"reports": [REPORT], **channels(bot, ingest)}, interpreter=str(bare))
    assert played.code == 0, played.output
    telegram, sentry = played.result["delivery_warnings"]
    assert "apt install python3-requests" in telegram
    assert "pip install 'sentry-sdk>=2.44'" in sentry


def test_settings_that_cannot_work_fail_at_once(tmp_path: Path) -> None:
    played = play(tmp_path, {"job": "../x"})
    assert played.code == 2
    assert "job is '../x'" in played.result["msg"]


def test_nothing_of_the_results_or_the_tokens_is_logged() -> None:
    # With no_log, Ansible keeps an option out of syslog and of the arguments it prints.
    options = arguments()
    assert [
        name for name in ("results", "reports", "telegram_token", "sentry_dsn") if not options[name].get("no_log")
    ] == []
