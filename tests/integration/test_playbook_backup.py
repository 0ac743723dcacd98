# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""backup.yml on several hosts with several databases each: what fails is named and stops nothing else."""

from __future__ import annotations

import json

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.backups import tree_state
from tests.support.databases import fresh_database
from tests.support.playbooks import Surroundings, Unsafe
from tests.support.stub_servers import CHAT_ID, TOKEN, sentry_stub, telegram_stub

BY_PATH, BY_NAME = "playbooks/backup.yml", "baileys.resilience.backup"


@pytest.fixture(scope="module")
def databases(server18):
    with fresh_database(server18) as one, fresh_database(server18) as other:
        one.execute("CREATE TABLE t AS SELECT generate_series(1, 7) n")
        other.execute("CREATE TABLE t AS SELECT generate_series(1, 9) n")
        yield one, other


def login_to(database, **more):
    return {
        "login_host": "localhost",
        "login_port": database.server.port,
        "login_user": database.user,
        "login_password": Unsafe(database.password),
        "database": database.name,
        **more,
    }


@pytest.fixture
def make_site(databases, bin_full18, tmp_path):
    """Two hosts with a root and a state directory of their own; `sources(host, name)` gives more keys of a source."""

    def make(sources, **variables):
        site = Surroundings(tmp_path)
        hosts = {}
        for host, names in sources.items():
            entries = [
                {"name": name, "backup_root": str(tmp_path / host / name), **given} for name, given in names.items()
            ]
            hosts[host] = {"backup_sources": entries, "backup_state_directory": str(tmp_path / host / "state")}
        site.write_hosts(hosts, backup_client_directory=str(bin_full18), backup_min_size=1, **variables)
        return site

    return make


def manifests(directory):
    return {
        str(path.relative_to(directory)).split("/daily/")[0]: json.loads(path.read_text())
        for path in directory.glob("*/*/daily/*.manifest.json")
    }


def status(directory, job="backup"):
    return json.loads((directory / "state" / "status" / f"{job}.json").read_text())["subjects"]


def metrics(directory, job="backup"):
    text = (directory / "state" / "metrics" / f"{job}.prom").read_text()
    return {
        (sample.name.removeprefix(f"baileys_resilience_{job}_"), sample.labels["source"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_one_source_that_fails_stops_no_other(make_site, databases, tmp_path):
    one, other = databases
    with telegram_stub() as telegram, sentry_stub() as sentry:
        site = make_site(
            {
                "alpha": {
                    "first": login_to(one),
                    "broken": {**login_to(one), "database": "not there"},
                    "last": login_to(other),
                },
                "beta": {"only": login_to(other, format="directory")},
            },
            telegram_token=TOKEN,
            telegram_chat_id=CHAT_ID,
            telegram_api_url=telegram.url,
            sentry_dsn=sentry.dsn,
        )
        played = site.play(BY_NAME)
        messages = [message["text"] for message in telegram.messages]
        events = sentry.of_type("event")
    assert played.rc == 2, played
    made = manifests(tmp_path)
    assert {name: manifest["rows"] for name, manifest in made.items()} == {
        "alpha/first": 7,
        "alpha/last": 9,
        "beta/only": 9,
    }
    # Named on the screen, in the recap, in the status file, to the team.
    assert "failed: [alpha] (item=broken)" in played.output
    assert 'database \\"not there\\" does not exist' in played.output
    assert "failed=1" in next(line for line in played.output.splitlines() if line.startswith("alpha"))
    assert "failed=0" in next(line for line in played.output.splitlines() if line.startswith("beta"))
    standing = status(tmp_path / "alpha")
    assert standing["broken"]["level"] == "fatal"
    assert "does not exist" in standing["broken"]["reason"]
    assert standing["broken"]["last_success"] is None
    assert standing["first"]["level"] == standing["last"]["level"] == "info"
    assert standing["first"]["last_success"] is not None
    numbers = metrics(tmp_path / "alpha")
    assert [numbers["last_run_success", name] for name in ("first", "broken", "last")] == [1, 0, 1]
    assert numbers["consecutive_failures", "broken"] == 1
    assert numbers["rows", "last"] == 9
    assert set(status(tmp_path / "beta")) == {"only"}
    about_alpha = next(text for text in messages if "alpha" in text)
    assert "broken" in about_alpha
    assert "does not exist" in about_alpha
    assert {(event["level"], event["tags"]["source"]) for event in events} == {
        ("info", "first"),
        ("fatal", "broken"),
        ("info", "last"),
        ("info", "only"),
    }


def test_five_sources_of_three_hosts_one_of_them_unreachable(make_site, databases, tmp_path):
    one, other = databases
    site = make_site(
        {
            "alpha": {"first": login_to(one), "second": login_to(other)},
            "beta": {"third": {**login_to(one), "login_port": 1}, "fourth": login_to(one)},
            "gamma": {"fifth": login_to(other)},
        }
    )
    played = site.play(BY_NAME)
    assert played.rc == 2, played
    assert set(manifests(tmp_path)) == {"alpha/first", "alpha/second", "beta/fourth", "gamma/fifth"}
    assert "failed: [beta] (item=third)" in played.output
    assert "localhost" in status(tmp_path / "beta")["third"]["reason"]
    assert played.output.count("failed: [") == 1


def test_a_host_that_is_unreachable_is_named_and_the_others_are_backed_up(make_site, databases, tmp_path):
    one, other = databases
    site = make_site(
        {
            "alpha": {"first": login_to(one), "second": login_to(other)},
            "beta": {"third": login_to(one), "fourth": login_to(one)},
            "gamma": {"fifth": login_to(other)},
        }
    )
    (tmp_path / "host_vars").mkdir()
    # Nothing listens there.
    gone = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    (tmp_path / "host_vars" / "gamma.yml").write_text(json.dumps(gone))
    played = site.play(BY_NAME)
    assert played.rc == 4, played
    assert set(manifests(tmp_path)) == {"alpha/first", "alpha/second", "beta/third", "beta/fourth"}
    assert "unreachable=1" in next(line for line in played.output.splitlines() if line.startswith("gamma "))


def test_a_host_without_sources_fails_and_the_other_goes_on(make_site, databases, tmp_path):
    one, _other = databases
    site = make_site({"alpha": {}, "beta": {"only": login_to(one)}})
    played = site.play(BY_PATH)
    assert played.rc == 2, played
    assert "alpha has no databases to back up: set backup_sources" in played.output
    assert set(manifests(tmp_path)) == {"beta/only"}


def test_two_sources_of_one_name_are_refused(make_site, databases, tmp_path):
    one, _other = databases
    site = make_site({"alpha": {"only": login_to(one)}})
    entry = {"name": "only", "backup_root": str(tmp_path / "elsewhere")}
    both = json.dumps({"backup_sources": [entry, entry]})
    played = site.play(BY_PATH, "-e", both)
    assert played.rc == 2, played
    assert "a name of its own" in played.output
    assert manifests(tmp_path) == {}


@pytest.mark.parametrize("chosen", ['{"backup_only": ["last"]}', "backup_only=last"])
def test_only_the_named_ones(make_site, databases, chosen, tmp_path):
    """On the host that has them; the other one has nothing to do then."""
    one, other = databases
    site = make_site({"alpha": {"first": login_to(one), "last": login_to(other)}, "beta": {"only": login_to(one)}})
    played = site.play(BY_NAME, "-e", chosen)
    assert played.rc == 0, played
    assert set(manifests(tmp_path)) == {"alpha/last"}


@pytest.mark.parametrize("chosen", ['{"backup_only": ["last", "misspelt"]}', "backup_only=las"])
def test_a_name_that_is_none_is_refused(make_site, databases, chosen, tmp_path):
    one, other = databases
    site = make_site({"alpha": {"first": login_to(one)}, "beta": {"last": login_to(other)}})
    played = site.play(BY_PATH, "-e", chosen)
    assert played.rc == 2, played
    wrong = "misspelt" if "misspelt" in chosen else "las"
    assert f"backup_only names {wrong}, but there are only the sources first, last." in played.output
    assert manifests(tmp_path) == {}


def test_check_mode_of_the_whole_playbook_makes_nothing(make_site, databases, tmp_path):
    one, other = databases
    with telegram_stub() as telegram:
        site = make_site(
            {"alpha": {"first": login_to(one)}, "beta": {"only": login_to(other, format="plain")}},
            telegram_token=TOKEN,
            telegram_chat_id=CHAT_ID,
            telegram_api_url=telegram.url,
        )
        played = site.play(BY_NAME, "--check", "--diff")
        assert telegram.received == []
    assert played.rc == 0, played
    assert played.output.count("made; kept: daily: day ") == 2
    assert played.output.count("made; kept: monthly: month ") == 2
    assert not (tmp_path / "alpha").exists()
    assert not (tmp_path / "beta").exists()
    # Then the same for real, twice; and again a look, which leaves every byte and every time as it is.
    for _ in range(2):
        assert site.play(BY_NAME).rc == 0
    before = tree_state(tmp_path / "alpha")
    played = site.play(BY_PATH, "--check", "--diff")
    assert played.rc == 0, played
    assert tree_state(tmp_path / "alpha") == before
    assert played.output.count("removed: daily: beyond 7, or an older one of the same day") == 2


def test_a_tier_and_settings_for_all(make_site, databases, tmp_path):
    one, other = databases
    site = make_site(
        {"alpha": {"first": login_to(one), "last": login_to(other, format="directory")}},
        backup_format="plain",
        backup_compression="gzip",
        backup_keep_hourly=5,
    )
    played = site.play(BY_PATH, "-e", "backup_tier=hourly", "--diff")
    assert played.rc == 0, played
    names = sorted(path.name[25:] for path in tmp_path.glob("alpha/*/hourly/*") if "manifest" not in path.name)
    assert names == [".dir", ".sql.gz"]
    assert "hour" in played.output
    assert "1 of 5" in played.output
