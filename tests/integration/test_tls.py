# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS: what is asked for is what is done, by the driver and by pg_dump alike, or the backup fails by name."""

from __future__ import annotations

import shutil

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError, SettingsError
from tests.support.backups import KINDS, back_up, strays
from tests.support.client_wrappers import wrap_clients
from tests.support.playbooks import run_module


@pytest.fixture
def database(tls_server, make_database):
    database = make_database(tls_server)
    database.execute("CREATE TABLE t AS SELECT generate_series(1, 7)")
    return database


@pytest.fixture
def make_tls_database(start_server, bin_full18, make_database):
    """A database on a server of its own that shows another certificate."""

    def make(certificate):
        return make_database(start_server(bin_full18, tls=certificate))

    return make


@pytest.fixture
def spying_client(bin_full18, tmp_path):
    """A pg_dump that first asks the server, with the very settings it was given, whether its session is encrypted."""
    question = "SELECT ssl || ' ' || version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    script = f'PGAPPNAME=spy "$(dirname "$0")/psql" -XAtc "{question}" >"{tmp_path}/spied"; exec "$real" "$@"'
    return wrap_clients(tmp_path / "client", bin_full18, {"pg_dump": script})


@pytest.mark.parametrize("kind", ["custom-zstd", "directory-none"])
def test_the_right_certificate(database, certificates, spying_client, kind, tmp_path):
    parameters = database.parameters(sslmode="verify-full", sslrootcert=certificates.ca)
    assert (
        back_up(database, tmp_path / "root", spying_client, parameters=parameters, **KINDS[kind]).manifest["rows"] == 7
    )
    assert (tmp_path / "spied").read_text() == "true TLSv1.3\n"


def test_every_parameter_reaches_pg_dump_too(database, certificates, spying_client, tmp_path):
    parameters = database.parameters(
        sslmode="require", ssl_min_protocol_version="TLSv1.2", ssl_max_protocol_version="TLSv1.2", gssencmode="disable"
    )
    back_up(database, tmp_path / "root", spying_client, parameters=parameters)
    assert (tmp_path / "spied").read_text() == "true TLSv1.2\n"
    back_up(database, tmp_path / "root", spying_client, parameters=database.parameters(sslmode="disable"))
    assert not (tmp_path / "spied").read_text().startswith("true")


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_an_authority_that_is_not_ours(database, certificates, mode, tmp_path):
    error = refusal(database, tmp_path, sslmode=mode, sslrootcert=certificates.other_ca)
    assert "certificate verify failed" in error.message
    assert "ca_cert" in str(error.remedy)


def test_a_certificate_of_another_authority(make_tls_database, certificates, tmp_path):
    database = make_tls_database(certificates.wrong_ca)
    error = refusal(database, tmp_path, sslmode="verify-full", sslrootcert=certificates.ca)
    assert "certificate verify failed" in error.message
    # What `require` asks for it gets: encryption, to whomever.
    assert back_up(database, tmp_path, parameters=database.parameters(sslmode="require")).archive


def test_a_certificate_of_another_name(make_tls_database, certificates, tmp_path):
    database = make_tls_database(certificates.wrong_name)
    error = refusal(database, tmp_path, sslmode="verify-full", sslrootcert=certificates.ca)
    assert 'server certificate for "elsewhere.example" does not match host name "localhost"' in error.message
    assert error.remedy == "Use the host name that stands in the server's certificate."
    parameters = database.parameters(sslmode="verify-ca", sslrootcert=certificates.ca)
    assert back_up(database, tmp_path, parameters=parameters).archive


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_an_expired_certificate(make_tls_database, certificates, mode, tmp_path):
    database = make_tls_database(certificates.expired)
    error = refusal(database, tmp_path, sslmode=mode, sslrootcert=certificates.ca)
    # libpq does not tell one failed verification from another: the remedy names both causes.
    assert "certificate verify failed" in error.message
    assert "the server's is current" in str(error.remedy)


def test_a_root_certificate_that_is_not_there(database, tmp_path):
    with pytest.raises(SettingsError, match=r"root certificate .*missing.pem does not exist") as caught:
        back_up(database, tmp_path, parameters=database.parameters(sslmode="verify-full", sslrootcert="/missing.pem"))
    assert "ca_cert" in str(caught.value.remedy)


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_a_server_without_tls_is_refused_where_it_is_required(server18, make_database, certificates, mode, tmp_path):
    database = make_database(server18)
    error = refusal(database, tmp_path, sslmode=mode, sslrootcert=certificates.ca)
    assert "server does not support SSL, but SSL was required" in error.message
    assert "TLS" in str(error.remedy)


def refusal(database, root, **overrides):
    """The error of a backup that is refused while connecting, at the first attempt, and leaves nothing."""
    with pytest.raises(ResilienceError) as caught:
        back_up(database, root / "refused", parameters=database.parameters(**overrides))
    assert caught.value.stage == "connect"
    assert "attempts" not in caught.value.message
    assert not (root / "refused").exists()
    return caught.value


def test_client_certificates(start_server, bin_full18, make_database, certificates, tmp_path):
    rules = ["local all postgres trust", "hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca"]
    server = start_server(bin_full18, tls=certificates.right, access_rules=rules)
    authority = server.data_directory / "authority.crt"
    authority.write_bytes(certificates.ca.read_bytes())
    shutil.chown(authority, server.data_directory.stat().st_uid)
    server.settings["ssl_ca_file"] = authority
    server.restart()
    database = make_database(server)
    database.execute("CREATE TABLE t AS SELECT generate_series(1, 7)", superuser=True)
    database.execute(f"ALTER TABLE t OWNER TO {database.user}", superuser=True)
    verified = {"sslmode": "verify-full", "sslrootcert": certificates.ca}
    mine = {"sslcert": certificates.client.certificate, "sslkey": certificates.client.key}
    foreign = {"sslcert": certificates.foreign_client.certificate, "sslkey": certificates.foreign_client.key}
    parameters = database.parameters(**verified, **mine)
    assert back_up(database, tmp_path / "root", parameters=parameters, **KINDS["directory-none"]).manifest["rows"] == 7
    for overrides, words in (
        ({}, "connection requires a valid client certificate"),
        (foreign, "unknown ca"),
        ({**mine, "sslkey": certificates.right.key}, "key values mismatch"),
        ({**mine, "sslcert": "/missing.crt"}, "connection requires a valid client certificate"),
    ):
        with pytest.raises(ResilienceError, match=words):
            back_up(database, tmp_path / "other", parameters=database.parameters(**verified, **overrides))
    assert strays(tmp_path / "root") == []
    result = run_module(
        "pg_version_check",
        {
            "login_host": "localhost",
            "login_port": server.port,
            "login_user": database.user,
            "login_password": database.password,
            "database": database.name,
            "ssl_mode": "verify-full",
            "ca_cert": str(certificates.ca),
            "ssl_cert": str(certificates.client.certificate),
            "ssl_key": str(certificates.client.key),
            "client_directory": str(bin_full18),
        },
    )
    assert result.get("compatible") is True, result
