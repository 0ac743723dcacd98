# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the server is and who asks: precedence, every parameter of libpq, and where the password goes."""

from __future__ import annotations

import dataclasses
import os
import stat
import subprocess
from pathlib import Path

import psycopg2
import psycopg2.extensions
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.baileys.resilience.plugins.module_utils.postgres.settings import (
    DRIVER_KEEPALIVES,
    DUMP_PINS,
    ENV_FILE_NAMES,
    LIBPQ_VARIABLES,
    ConnectionSettings,
    resolve,
)
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError, SettingsError

UGLY = "<>|?%'\"\\ :ä€😀 #$&`;--"
# What PostgreSQL takes as a password and a password file can carry.
PASSWORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), min_size=1)
# That no other text holds by chance.
UNMISTAKABLE = PASSWORDS.map(lambda text: f"7q§{text}")
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), min_size=1, max_size=30)
# Of these, some values are refused, and a service stands alone.
FREE = sorted(LIBPQ_VARIABLES.keys() - {"service", "port", "sslmode", "sslrootcert"})


def env_line(name: str, value: str) -> str:
    """A line for a .env file that dotenv reads back as this value (which holds no backquote)."""
    return f"{name}=`{value}`\n"


class TestPrecedence:
    @given(
        levels=st.fixed_dictionaries(
            {name: st.sets(st.sampled_from(["option", "env_file", "environment"])) for name in ENV_FILE_NAMES}
        )
    )
    def test_option_then_env_file_then_environment(
        self, tmp_path_factory: pytest.TempPathFactory, levels: dict[str, set[str]]
    ) -> None:
        values = {
            name: {
                level: str(5432 + number) if name == "port" else f"{level}-{name}"
                for number, level in enumerate(("option", "env_file", "environment"))
            }
            for name in ENV_FILE_NAMES
        }
        env_file = tmp_path_factory.getbasetemp() / "precedence.env"
        lines = [
            env_line(spellings[0], values[name]["env_file"])
            for name, spellings in ENV_FILE_NAMES.items()
            if "env_file" in levels[name]
        ]
        env_file.write_text("".join(lines))
        settings = resolve(
            {name: values[name]["option"] if "option" in chosen else None for name, chosen in levels.items()},
            str(env_file) if lines else None,
            {
                LIBPQ_VARIABLES.get(name, "PGPASSWORD"): values[name]["environment"]
                for name, chosen in levels.items()
                if "environment" in chosen
            },
        )
        expected = {}
        for name, chosen in levels.items():
            for level in ("option", "env_file", "environment"):
                if level in chosen:
                    expected[name] = values[name][level]
                    break
        assert settings.password == expected.pop("password", None)
        assert settings.parameters == {
            **expected,
            "connect_timeout": "10",
            "application_name": "baileys.resilience",
        }

    @pytest.mark.parametrize("empty", ["", None])
    def test_an_empty_option_was_not_given(self, empty: str | None) -> None:
        settings = resolve({"host": empty, "password": empty}, None, {"PGHOST": "db", "PGPASSWORD": "x"})
        assert (settings.parameters["host"], settings.password) == ("db", "x")

    def test_an_empty_variable_was_not_given(self, tmp_path: Path) -> None:
        (tmp_path / ".env").write_text("POSTGRES_HOST=\nPOSTGRES_USER=app\n")
        settings = resolve({}, str(tmp_path / ".env"), {"PGHOST": "db", "PGPORT": ""})
        assert (settings.parameters["host"], "port" in settings.parameters) == ("db", False)

    def test_the_environment_is_that_of_this_process(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PGUSER", "from-here")
        assert resolve({}).parameters["user"] == "from-here"

    def test_the_defaults_can_be_overridden(self) -> None:
        environment = {"PGCONNECT_TIMEOUT": "3", "PGAPPNAME": "mine"}
        parameters = resolve({"connect_timeout": "4"}, None, environment).parameters
        assert parameters == {"connect_timeout": "4", "application_name": "mine"}

    @pytest.mark.parametrize("name", sorted(LIBPQ_VARIABLES.keys() - {"service"}))
    def test_every_variable_of_libpq_counts(self, name: str) -> None:
        value = "6000" if name == "port" else "x"
        assert resolve({}, None, {LIBPQ_VARIABLES[name]: value}).parameters[name] == value


class TestEnvFile:
    @pytest.mark.parametrize(
        ("name", "spelling"), [(name, spelling) for name, all_of in ENV_FILE_NAMES.items() for spelling in all_of]
    )
    def test_every_spelling_is_known(self, tmp_path: Path, name: str, spelling: str) -> None:
        (tmp_path / ".env").write_text(f"{spelling}=7777\n")
        settings = resolve({}, str(tmp_path / ".env"), {})
        assert (settings.password if name == "password" else settings.parameters[name]) == "7777"

    @pytest.mark.parametrize("name", [name for name, spellings in ENV_FILE_NAMES.items() if len(spellings) > 1])
    def test_the_first_spelling_wins(self, tmp_path: Path, name: str) -> None:
        first, second = ENV_FILE_NAMES[name]
        (tmp_path / ".env").write_text(f"{second}=second\n{first}=first\n")
        assert resolve({}, str(tmp_path / ".env"), {}).parameters[name] == "first"

    def test_one_that_says_nothing_of_the_database_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / ".env").write_text("DATABASE_URL=x\nPOSTGRES_HOST=\n")
        with pytest.raises(
            SettingsError, match=rf"The env_file {tmp_path}/\.env sets none of POSTGRES_HOST, POST"
        ) as caught:
            resolve({}, str(tmp_path / ".env"), {"PGHOST": "db"})
        assert caught.value.stage == "settings"
        assert "login_" in (caught.value.remedy or "")

    def test_one_that_is_not_there_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ResilienceError, match="Cannot read the env_file"):
            resolve({}, str(tmp_path / ".env"), {})


class TestAnExplicitHostIsNotRedirected:
    @pytest.mark.parametrize("where", ["option", "env_file"])
    @pytest.mark.parametrize("variable", ["PGHOSTADDR", "PGSERVICE"])
    def test_by_the_environment(self, tmp_path: Path, where: str, variable: str) -> None:
        (tmp_path / ".env").write_text("POSTGRES_HOST=db.example\n")
        options = {"host": "db.example"} if where == "option" else {}
        settings = resolve(options, str(tmp_path / ".env") if where == "env_file" else None, {variable: "elsewhere"})
        assert settings.parameters["host"] == "db.example"
        assert "elsewhere" not in settings.parameters.values()
        with settings.program_environment() as (environment, _descriptors):
            assert variable not in environment

    def test_but_the_environment_alone_may_use_both(self) -> None:
        environment = {"PGHOST": "db.example", "PGHOSTADDR": "192.0.2.1"}
        parameters = resolve({}, None, environment).parameters
        assert (parameters["host"], parameters["hostaddr"]) == ("db.example", "192.0.2.1")


class TestService:
    def test_it_stands_alone_with_the_password(self) -> None:
        environment = {"PGHOST": "other", "PGUSER": "other", "PGPASSWORD": "x", "PGOPTIONS": "-c a=b"}
        settings = resolve({"service": "prod"}, None, environment)
        assert settings.parameters == {
            "service": "prod",
            "connect_timeout": "10",
            "application_name": "baileys.resilience",
        }
        assert settings.password == "x"
        assert settings.describe() == 'service "prod"'

    def test_from_the_environment(self) -> None:
        settings = resolve({"password": "x"}, None, {"PGSERVICE": "prod", "PGDATABASE": "other"})
        assert settings.parameters["service"] == "prod"
        assert "dbname" not in settings.parameters

    @pytest.mark.parametrize("from_environment", [True, False])
    def test_what_it_would_override_in_programs_is_refused(self, from_environment: bool) -> None:
        options = {"dbname": "app", "user": "me"}
        environment = {"PGSERVICE": "prod"} if from_environment else {}
        if not from_environment:
            options["service"] = "prod"
        with pytest.raises(SettingsError, match=r"^The service 'prod' cannot be combined with dbname, user$") as caught:
            resolve(options, None, environment)
        assert caught.value.remedy is not None

    def test_programs_look_for_it_where_the_driver_does(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PGSERVICEFILE", "/etc/app/services")
        monkeypatch.setenv("PGSYSCONFDIR", "/etc/app")
        with resolve({"service": "prod"}, None, {}).program_environment() as (environment, _descriptors):
            assert environment["PGSERVICE"] == "prod"
            assert environment["PGSERVICEFILE"] == "/etc/app/services"
            assert environment["PGSYSCONFDIR"] == "/etc/app"


class TestTheDriver:
    @given(parameters=st.dictionaries(st.sampled_from(FREE), VALUES), password=st.none() | PASSWORDS)
    @example(parameters=dict.fromkeys(FREE, UGLY), password=UGLY)
    @example(parameters={"user": "ends in a backslash\\"}, password="\\'")
    def test_libpq_reads_in_the_connection_string_what_was_meant(
        self, parameters: dict[str, str], password: str | None
    ) -> None:
        settings = resolve({**parameters, "password": password}, None, {})
        understood = psycopg2.extensions.parse_dsn(settings.driver_dsn())
        assert understood == {
            "connect_timeout": "10",
            "application_name": "baileys.resilience",
            **DRIVER_KEEPALIVES,
            **parameters,
            **({} if password is None else {"password": password}),
        }

    @pytest.mark.parametrize("name", sorted(LIBPQ_VARIABLES))
    def test_libpq_knows_every_name(self, name: str) -> None:
        assert psycopg2.extensions.parse_dsn(ConnectionSettings({name: "1"}).driver_dsn()) == {
            **DRIVER_KEEPALIVES,
            name: "1",
        }


def read_password_file(line: bytes) -> tuple[list[str], str]:
    """The fields before the password, and the password, by the rules of libpq's documentation."""
    fields: list[str] = []
    current, escaped = "", False
    for character in line.decode():
        if escaped:
            current, escaped = current + character, False
        elif character == "\\":
            escaped = True
        elif character == ":" and len(fields) < 4:
            fields.append(current)
            current = ""
        else:
            current += character
    return fields, current


class TestPrograms:
    @given(password=PASSWORDS)
    @example(password=UGLY)
    @example(password="a:b\\:c\\\\")
    @example(password="*:*:*:*:x")
    def test_the_password_is_in_a_private_file_in_memory(self, password: str) -> None:
        before = set(os.listdir("/proc/self/fd"))
        with ConnectionSettings({"host": "db"}, password).program_environment() as (environment, descriptors):
            (descriptor,) = descriptors
            assert environment["PGPASSFILE"] == f"/proc/self/fd/{descriptor}"
            status = os.fstat(descriptor)
            assert stat.S_ISREG(status.st_mode)
            assert stat.S_IMODE(status.st_mode) == 0o600
            # A file without a name: nothing of it can stay on a disk.
            assert status.st_nlink == 0
            content = Path(environment["PGPASSFILE"]).read_bytes()
        assert content.endswith(b"\n")
        assert content.count(b"\n") == 1
        assert read_password_file(content[:-1]) == (["*"] * 4, password)
        assert set(os.listdir("/proc/self/fd")) == before

    def test_the_escapes_of_the_documentation(self) -> None:
        # The documentation of the password file: a colon and a backslash are escaped by a backslash.
        with ConnectionSettings({}, "a:b\\c").program_environment() as (environment, _descriptors):
            assert Path(environment["PGPASSFILE"]).read_text() == "*:*:*:*:a\\:b\\\\c\n"

    @given(password=UNMISTAKABLE)
    @example(password=UGLY)
    def test_nothing_secret_is_in_the_environment(self, password: str) -> None:
        with ConnectionSettings({"host": "db", "user": "app"}, password).program_environment() as (environment, _):
            assert "PGPASSWORD" not in environment
            assert not [value for value in environment.values() if password in value]

    def test_the_password_of_this_process_stays_here(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PGPASSWORD", "secret-of-the-parent")
        with resolve({"host": "db"}).program_environment() as (environment, descriptors):
            assert "secret-of-the-parent" not in str(environment)
            assert len(descriptors) == 1

    def test_a_child_can_read_it_again_and_again(self) -> None:
        # pg_dump opens it once for every connection; each time from the beginning.
        with ConnectionSettings({}, UGLY).program_environment() as (environment, descriptors):
            for _ in range(2):
                command = ["cat", environment["PGPASSFILE"], environment["PGPASSFILE"]]
                answer = subprocess.run(command, env=environment, pass_fds=descriptors, capture_output=True, check=True)
                first, second = answer.stdout.splitlines()
                assert first == second
                assert read_password_file(first)[1] == UGLY

    def test_without_a_password_the_given_password_file_is_used(self) -> None:
        settings = ConnectionSettings({"passfile": "/etc/app/pgpass"})
        with settings.program_environment() as (environment, descriptors):
            assert (environment["PGPASSFILE"], descriptors) == ("/etc/app/pgpass", ())

    def test_a_password_goes_before_a_password_file(self) -> None:
        settings = ConnectionSettings({"passfile": "/etc/app/pgpass"}, "x")
        with settings.program_environment() as (environment, (descriptor,)):
            assert environment["PGPASSFILE"] == f"/proc/self/fd/{descriptor}"

    @given(parameters=st.dictionaries(st.sampled_from(FREE), VALUES))
    def test_every_parameter_reaches_them(self, parameters: dict[str, str]) -> None:
        settings = resolve(parameters, None, {})
        with settings.program_environment() as (environment, _descriptors):
            for name, value in settings.parameters.items():
                if name == "options":
                    assert environment["PGOPTIONS"] == f"{value} {DUMP_PINS}"
                else:
                    assert environment[LIBPQ_VARIABLES[name]] == value

    def test_what_changes_the_text_of_values_is_pinned(self) -> None:
        with resolve({}, None, {}).program_environment() as (environment, _descriptors):
            pins = environment["PGOPTIONS"].split("-c ")[1:]
        assert {tuple(pin.strip().split("=")) for pin in pins} == {
            ("TimeZone", "UTC"),
            ("bytea_output", "hex"),
            ("quote_all_identifiers", "off"),
            # Or large objects would be written in a way that the reader of scripts does not know.
            ("standard_conforming_strings", "on"),
        }

    def test_the_file_is_gone_after_an_error(self) -> None:
        before = set(os.listdir("/proc/self/fd"))
        with pytest.raises(KeyError), ConnectionSettings({}, "x").program_environment():
            raise KeyError
        assert set(os.listdir("/proc/self/fd")) == before


class TestTellingNoPassword:
    @given(password=UNMISTAKABLE)
    def test_in_any_text_of_the_settings(self, password: str) -> None:
        settings = resolve({"host": "db", "password": password}, None, {})
        for text in (repr(settings), str(settings), f"{settings}", settings.describe()):
            assert password not in text

    def test_settings_do_not_change(self) -> None:
        with pytest.raises(dataclasses.FrozenInstanceError):
            resolve({}, None, {}).password = "x"  # type: ignore[misc]  # that it cannot be set is the point


class TestDescribing:
    @pytest.mark.parametrize(
        ("parameters", "words"),
        [
            ({}, 'database "default" at local socket:5432'),
            ({"user": "app"}, 'database "app" at local socket:5432 as app'),
            ({"dbname": "d", "user": "u", "host": "h", "port": "1"}, 'database "d" at h:1 as u'),
            ({"dbname": "d", "hostaddr": "192.0.2.1"}, 'database "d" at 192.0.2.1:5432'),
            ({"dbname": "d", "host": "/run/x", "hostaddr": "192.0.2.1"}, 'database "d" at /run/x:5432'),
        ],
    )
    def test_in_words(self, parameters: dict[str, str], words: str) -> None:
        assert ConnectionSettings(parameters).describe() == words


class TestRefusing:
    @pytest.mark.parametrize("port", ["1", "5432", "65535", "5432,5433"])
    def test_ports_that_are_right(self, port: str) -> None:
        assert resolve({"port": port}, None, {}).port == port

    @pytest.mark.parametrize(
        "port", ["0", "65536", "-1", "5432,", "x", "5432 ", "²", "٣", "1e3", "0x10", "99999999999"]
    )
    @pytest.mark.parametrize("level", ["option", "environment"])
    def test_ports_that_are_not(self, port: str, level: str) -> None:
        options, environment = ({"port": port}, {}) if level == "option" else ({}, {"PGPORT": port})
        with pytest.raises(SettingsError, match="is not a number from 1 to 65535") as caught:
            resolve(options, None, environment)
        assert repr(port) in caught.value.message

    @pytest.mark.parametrize("character", ["\0", "\n", "\r"])
    def test_a_password_no_password_file_can_carry(self, character: str) -> None:
        with pytest.raises(SettingsError, match=r"^The password holds a (NUL byte|line break), which a") as caught:
            resolve({"password": f"top{character}secret"}, None, {})
        assert "secret" not in str(caught.value)
        assert caught.value.remedy == "Choose another password."

    def test_nul_anywhere(self) -> None:
        with pytest.raises(SettingsError, match=r"^The dbname holds a NUL byte"):
            resolve({"dbname": "a\0b"}, None, {})

    def test_a_line_break_elsewhere_is_fine(self) -> None:
        assert resolve({"dbname": "a\nb"}, None, {}).parameters["dbname"] == "a\nb"

    @pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
    def test_a_root_certificate_that_is_not_there(self, tmp_path: Path, mode: str) -> None:
        with pytest.raises(SettingsError, match=rf"^The root certificate {tmp_path}/ca\.pem does not exist$"):
            resolve({"sslmode": mode, "sslrootcert": str(tmp_path / "ca.pem")}, None, {})

    @pytest.mark.parametrize("mode", ["verify-ca", "verify-full", "require", "disable", None])
    @pytest.mark.parametrize("certificate", ["there", "system", None])
    def test_root_certificates_that_will_do(self, tmp_path: Path, mode: str | None, certificate: str | None) -> None:
        (tmp_path / "ca.pem").touch()
        path = str(tmp_path / "ca.pem") if certificate == "there" else certificate
        assert resolve({"sslmode": mode, "sslrootcert": path}, None, {}).parameters.get("sslrootcert") == path

    def test_a_root_certificate_nobody_verifies_by_may_be_missing(self) -> None:
        resolve({"sslmode": "require", "sslrootcert": "/nowhere/ca.pem"}, None, {})
