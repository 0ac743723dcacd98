# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every way to a server that answers: passwords, the application's .env, sockets, the PG* environment, limits."""

from __future__ import annotations

import pytest
from psycopg2 import sql

from ansible_collections.baileys.resilience.plugins.module_utils.postgres.settings import resolve
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError
from tests.support.backups import KINDS, back_up, settings_from, strays
from tests.support.databases import UGLY_PASSWORD, run_sql
from tests.support.playbooks import SYSTEM_PATH, run_module

PASSWORDS = [
    UGLY_PASSWORD,
    "<>|?%",
    'it\'s "quoted" \\ back\\\\slashed',
    " spaces around ",
    "colon:colon\\:colon",
    "ünïcødé ✓ 名前 \u00a0 \U0001f511",
    "tab\there",
    "#comment # $HOME ${HOME} $(id) `id`",
    "{{ 7 * 7 }}{% raw %}",
    "%s%d%(x)s{0}",
    "postgresql://u:p@h/d?x=y&z=1",
    "x" * 900,
    "\\",
    "*",
]


@pytest.fixture
def database(server18, make_database):
    database = make_database(server18)
    database.execute("CREATE TABLE t AS SELECT generate_series(1, 7)")
    return database


def set_password(database, password):
    statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(database.user), sql.Literal(password))
    run_sql(database.server.parameters(), statement)


def env_file(path, database, password=None, **more):
    """Write the application's .env as a person does, with quotes where the password asks for some."""
    variables = {
        "POSTGRES_HOST": "localhost",
        "POSTGRES_PORT": str(database.server.port),
        "POSTGRES_DATABASE": database.name,
        "POSTGRES_USER": database.user,
        **more,
    }
    lines = ["# the application", *(f"{name}={value}" for name, value in variables.items())]
    if password is not None:
        quote = next(mark for mark in ("'", "`", '"', "") if mark not in password or not mark)
        lines.append(f"export POSTGRES_PASSWORD={quote}{password}{quote} # not 'this' \"one\"")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("password", PASSWORDS)
def test_passwords_reach_driver_and_programs_alike(database, password, tmp_path):
    set_password(database, password)
    # More than one process of pg_dump reads the password.
    manifest = back_up(
        database, tmp_path, parameters=database.parameters(password=password), **KINDS["directory-none"]
    ).manifest
    assert manifest["rows"] == 7


@pytest.mark.parametrize("password", [word for word in PASSWORDS if not all(mark in word for mark in "'\"`")])
def test_passwords_of_the_applications_env_file(database, password, tmp_path):
    set_password(database, password)
    path = env_file(tmp_path / "app.env", database, password)
    settings = resolve({}, path, environment={})
    assert settings.password == password
    assert back_up(database, tmp_path / "root", settings=settings).manifest["rows"] == 7


def test_a_wrong_password_is_told_from_the_right_one(database, tmp_path):
    """What the tests above rest on: the server does look at the password."""
    with pytest.raises(ResilienceError, match="password authentication failed") as caught:
        back_up(database, tmp_path, parameters=database.parameters(password=database.password + " "))
    error = caught.value
    assert error.stage == "connect"
    assert "attempts" not in error.message, "nothing is gained by trying again"
    assert database.password not in f"{error.message}{error.remedy}"
    assert "login_password" in str(error.remedy)
    assert f'database "{database.name}" at localhost:{database.server.port} as {database.user}' in error.message


def test_a_missing_password_is_said(database, tmp_path):
    with pytest.raises(ResilienceError, match="no password supplied") as caught:
        back_up(database, tmp_path, parameters=dict(database.parameters(), password=""))
    assert "POSTGRES_PASSWORD" in str(caught.value.remedy)


def test_unix_socket(database, tmp_path):
    parameters = database.parameters(host=str(database.server.socket_directory))
    manifest = back_up(database, tmp_path, parameters=parameters, **KINDS["directory-none"]).manifest
    assert manifest["rows"] == 7
    assert manifest["host"] == str(database.server.socket_directory)


def test_options_of_the_module(database, tmp_path):
    """Each option by itself, in the order of precedence: option, env_file, PG* environment."""
    server = database.server
    places = {"backup_root": str(tmp_path / "root"), "state_directory": str(tmp_path / "state"), "min_size": 1}
    client = {"client_directory": str(server.bin_directory)}
    login = {
        "login_host": "localhost",
        "login_port": server.port,
        "login_user": database.user,
        "login_password": database.password,
        "login_db": database.name,
    }
    wrong_env = env_file(tmp_path / "wrong.env", database, "wrong", POSTGRES_PORT="1")
    # A .env holds no password with all three kinds of quotes and a `#`.
    set_password(database, PASSWORDS[2])
    login["login_password"] = PASSWORDS[2]
    right_env = env_file(tmp_path / "right.env", database, PASSWORDS[2])
    surroundings = {"PATH": SYSTEM_PATH, "PGHOST": "nowhere.invalid", "PGPORT": "1", "PGPASSWORD": "wrong"}
    accepted = [
        ({**login}, surroundings),
        ({**login, "env_file": wrong_env}, surroundings),
        ({"env_file": right_env}, surroundings),
        ({"env_file": right_env, "connect_params": {"application_name": "the nightly one"}}, surroundings),
        (
            {},
            {
                "PATH": SYSTEM_PATH,
                "PGHOST": "localhost",
                "PGPORT": str(server.port),
                "PGUSER": database.user,
                "PGPASSWORD": PASSWORDS[2],
                "PGDATABASE": database.name,
            },
        ),
        (
            {
                "login_unix_socket": str(server.socket_directory),
                "login_port": server.port,
                "login_user": database.user,
                "login_password": PASSWORDS[2],
                "db": database.name,
            },
            surroundings,
        ),
    ]
    for options, environment in accepted:
        result = run_module("pg_version_check", {**client, **options}, environment)
        assert result.get("compatible") is True, (options, result)
    result = run_module("pg_backup", {**client, **places, **login}, surroundings)
    assert result["manifest"]["rows"] == 7
    refused = {
        "both": {**login, "login_unix_socket": "/tmp"},
        "cannot be passed on": {**login, "connect_params": {"sslpassword": "x"}},
        "given by its own option": {**login, "connect_params": {"host": "x"}},
        "Connection refused": {"env_file": wrong_env},
    }
    for words, options in refused.items():
        result = run_module("pg_version_check", {**client, **options}, surroundings)
        assert result["failed"] is True
        assert words.lower() in result["msg"].lower(), result["msg"]


def test_a_missing_database_and_a_missing_role_are_named(database, tmp_path):
    for overrides, word in (
        ({"dbname": "not there"}, 'database "not there" does not exist'),
        ({"user": "nobody"}, "nobody"),
    ):
        with pytest.raises(ResilienceError, match=word) as caught:
            back_up(database, tmp_path, parameters=database.parameters(**overrides))
        assert "attempts" not in caught.value.message
        assert caught.value.remedy


def test_a_connection_limit_of_the_role(database, tmp_path):
    def limit(number):
        run_sql(database.server.parameters(), f"ALTER ROLE {database.user} CONNECTION LIMIT {number}")

    limit(1)
    with pytest.raises(ResilienceError, match="too many connections for role") as caught:
        back_up(database, tmp_path)
    assert caught.value.stage == "dump"
    assert "A backup takes two" in str(caught.value.remedy)
    assert strays(tmp_path) == []
    limit(2)
    assert back_up(database, tmp_path).manifest["rows"] == 7
    # As documented: each job takes a connection, plus two.
    limit(4)
    assert back_up(database, tmp_path, **KINDS["directory-gzip"]).manifest["rows"] == 7
    assert strays(tmp_path) == []


def test_settings_are_those_that_were_given(database):
    settings = settings_from(database.parameters())
    assert database.password not in repr(settings)
    assert database.password not in settings.describe()
