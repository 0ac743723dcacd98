# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the server is and who asks: one set of libpq parameters for the driver and for every program.

Precedence: module option, then ``env_file``, then the ``PG*`` environment, then libpq's own default.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ..system.commands import minimal_environment
from ..system.env_file import read_env_file
from ..system.errors import SettingsError

# libpq keyword -> its environment variable (PostgreSQL 18 documentation, "Environment Variables").
# The password is not among them: it reaches programs through a password file, never the environment.
LIBPQ_VARIABLES = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "dbname": "PGDATABASE",
    "user": "PGUSER",
    "passfile": "PGPASSFILE",
    "require_auth": "PGREQUIREAUTH",
    "channel_binding": "PGCHANNELBINDING",
    "service": "PGSERVICE",
    "options": "PGOPTIONS",
    "application_name": "PGAPPNAME",
    "sslmode": "PGSSLMODE",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslcertmode": "PGSSLCERTMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcrl": "PGSSLCRL",
    "sslcrldir": "PGSSLCRLDIR",
    "sslsni": "PGSSLSNI",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "gssencmode": "PGGSSENCMODE",
    "krbsrvname": "PGKRBSRVNAME",
    "gsslib": "PGGSSLIB",
    "gssdelegation": "PGGSSDELEGATION",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "load_balance_hosts": "PGLOADBALANCEHOSTS",
}

# A host that was named explicitly must not be redirected by what is left in the environment.
_REDIRECTING = ("hostaddr", "service")

# Where libpq finds its own files; they name no server, and programs and driver must look in the same places.
PLACES = ("PGSERVICEFILE", "PGSYSCONFDIR")

# The names the application's .env uses, and the usual other spellings.
ENV_FILE_NAMES = {
    "host": ("POSTGRES_HOST",),
    "port": ("POSTGRES_PORT",),
    "dbname": ("POSTGRES_DATABASE", "POSTGRES_DB"),
    "user": ("POSTGRES_USER",),
    "password": ("POSTGRES_PASSWORD",),
    "sslmode": ("POSTGRES_SSL_MODE", "POSTGRES_SSLMODE"),
    "sslrootcert": ("POSTGRES_CA_CERT", "POSTGRES_SSLROOTCERT"),
}

DEFAULT_CONNECT_TIMEOUT = "10"

# A server that vanished is noticed within two minutes instead of libpq's two hours. Only the driver takes
# these; pg_dump has no environment variable for them and is watched for silence instead.
DRIVER_KEEPALIVES = {
    "keepalives_idle": "60",
    "keepalives_interval": "10",
    "keepalives_count": "6",
    "tcp_user_timeout": "120000",
}

# What may change the text of a value is pinned for every session that dumps or compares; pg_dump itself
# pins the rest (date and interval style, float digits, timeouts, row_security, synchronized scans).
DUMP_PINS = "-c TimeZone=UTC -c bytea_output=hex -c quote_all_identifiers=off -c standard_conforming_strings=on"


@dataclass(frozen=True)
class ConnectionSettings:
    """libpq parameters without the password, and the password."""

    parameters: Mapping[str, str]
    password: str | None = field(default=None, repr=False)

    @property
    def host(self) -> str:
        """Host name, address or socket directory; ``local socket`` where libpq chooses."""
        return self.parameters.get("host") or self.parameters.get("hostaddr") or "local socket"

    @property
    def port(self) -> str:
        """Port as text; PostgreSQL's default where none is set."""
        return self.parameters.get("port", "5432")

    def describe(self) -> str:
        """``database "app" at db.example:5432 as app``, for messages."""
        if "service" in self.parameters:
            return 'service "{}"'.format(self.parameters["service"])
        database = self.parameters.get("dbname") or self.parameters.get("user") or "default"
        words = f'database "{database}" at {self.host}:{self.port}'
        return words + (" as {}".format(self.parameters["user"]) if "user" in self.parameters else "")

    def driver_dsn(self) -> str:
        """The connection string for ``psycopg2.connect``, password included: never log it."""
        parameters = dict(DRIVER_KEEPALIVES, **self.parameters)
        if self.password is not None:
            parameters["password"] = self.password
        quoted = {name: value.replace("\\", "\\\\").replace("'", "\\'") for name, value in parameters.items()}
        return " ".join("%s='%s'" % item for item in quoted.items())

    def with_database(self, name: str) -> ConnectionSettings:
        """The same server and role, another database."""
        return dataclasses.replace(self, parameters=dict(self.parameters, dbname=name))

    @contextlib.contextmanager
    def program_environment(self) -> Iterator[tuple[dict[str, str], tuple[int, ...]]]:
        """Environment and inherited descriptors for a PostgreSQL program; holds no password.

        The password stands in an anonymous in-memory file of mode 0600 that the program inherits and reads
        as its password file. It has no name on any disk, so that not even SIGKILL can leave it behind.
        """
        variables = {LIBPQ_VARIABLES[name]: value for name, value in self.parameters.items()}
        variables.update({name: os.environ[name] for name in PLACES if name in os.environ})
        variables["PGOPTIONS"] = " ".join(filter(None, [variables.get("PGOPTIONS"), DUMP_PINS]))
        if self.password is None:
            yield minimal_environment(variables), ()
            return
        descriptor = os.memfd_create("password", 0)
        try:
            os.fchmod(descriptor, 0o600)
            os.write(descriptor, (f"*:*:*:*:{_escape_passfile(self.password)}\n").encode())
            variables["PGPASSFILE"] = "/proc/self/fd/%d" % descriptor
            yield minimal_environment(variables), (descriptor,)
        finally:
            os.close(descriptor)


def resolve(
    options: Mapping[str, str | None],
    env_file: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> ConnectionSettings:
    """Put together the settings of one connection.

    ``options`` has libpq's keywords (and ``password``); None means not given. ``environment`` is
    ``os.environ`` unless told otherwise. Raises SettingsError for a value that cannot be right.
    """
    environment = os.environ if environment is None else environment
    chosen: dict[str, str] = {}
    for name, variable in LIBPQ_VARIABLES.items():
        if environment.get(variable):
            chosen[name] = environment[variable]
    if environment.get("PGPASSWORD"):
        chosen["password"] = environment["PGPASSWORD"]
    explicit = _from_env_file(env_file) if env_file else {}
    explicit.update({name: value for name, value in options.items() if value is not None and value != ""})
    if "host" in explicit:
        for name in _REDIRECTING:
            chosen.pop(name, None)
    chosen.update(explicit)
    if "service" in chosen:
        chosen = _service_alone(chosen, explicit)
    chosen.setdefault("connect_timeout", DEFAULT_CONNECT_TIMEOUT)
    chosen.setdefault("application_name", "baileys.resilience")
    _check(chosen)
    password = chosen.pop("password", None)
    return ConnectionSettings(parameters=chosen, password=password)


def _service_alone(chosen: Mapping[str, str], explicit: Mapping[str, str]) -> dict[str, str]:
    """A service and, if known, the password: libpq puts what a service says before the environment."""
    beside = sorted(explicit.keys() - {"service", "password"})
    if beside:
        # Programs take their parameters from the environment, so that the service would win over these.
        raise SettingsError(
            "The service {!r} cannot be combined with {}".format(chosen["service"], ", ".join(beside)),
            stage="settings",
            remedy="Put them into the service, or name the host and leave the service (PGSERVICE) out.",
        )
    return {name: chosen[name] for name in ("service", "password") if name in chosen}


def _from_env_file(path: str) -> dict[str, str]:
    variables = read_env_file(path)
    found: dict[str, str] = {}
    for name, spellings in ENV_FILE_NAMES.items():
        for spelling in spellings:
            if variables.get(spelling):
                found[name] = variables[spelling]
                break
    if not found:
        raise SettingsError(
            "The env_file {} sets none of {}".format(
                path, ", ".join(spellings[0] for spellings in ENV_FILE_NAMES.values())
            ),
            stage="settings",
            remedy="Name the .env of the application, or give the login_* options instead.",
        )
    return found


def _check(chosen: Mapping[str, str]) -> None:
    port = chosen.get("port", "5432")
    if not all(re.fullmatch("[0-9]{1,5}", part) and 0 < int(part) < 65536 for part in port.split(",")):
        raise SettingsError(
            f"The port {port!r} is not a number from 1 to 65535",
            stage="settings",
            remedy="Correct login_port, or POSTGRES_PORT in the env_file.",
        )
    for name, value in chosen.items():
        if "\x00" in value or (name == "password" and ("\n" in value or "\r" in value)):
            raise SettingsError(
                "The {} holds a {}, which a PostgreSQL password file cannot carry".format(
                    name, "NUL byte" if "\x00" in value else "line break"
                ),
                stage="settings",
                remedy=f"Choose another {name}.",
            )
    certificate = chosen.get("sslrootcert", "system")
    verified = chosen.get("sslmode") in ("verify-ca", "verify-full")
    if verified and certificate != "system" and not os.path.isfile(certificate):
        raise SettingsError(
            "The root certificate %s does not exist" % certificate,
            stage="settings",
            remedy="Put the provider's root certificate there, or correct ca_cert.",
        )


def _escape_passfile(password: str) -> str:
    # Documented escapes of the password file: only the backslash and the colon.
    return password.replace("\\", "\\\\").replace(":", "\\:")
