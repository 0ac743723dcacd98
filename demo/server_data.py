# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data directory of a throwaway server: initialised or copied, and configured."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from demo.installations import Account, ServerError
from demo.server_processes import process_options, server_environment

SUPERUSER = "postgres"
# Only the owner's account can enter the directory the socket lies in, so the superuser needs no
# password there; it has none, so it cannot come in over TCP at all.
ACCESS_RULES = {
    "scram-sha-256": (
        f"local all {SUPERUSER} trust",
        "local all all scram-sha-256",
        "host all all 127.0.0.1/32 scram-sha-256",
        "host all all ::1/128 scram-sha-256",
    ),
    "trust": (
        "local all all trust",
        "host all all 127.0.0.1/32 trust",
        "host all all ::1/128 trust",
    ),
}
# Commits stay synchronous: they cost nothing without fsync, and outlive a crash of the server alone.
NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}


@dataclass(frozen=True)
class ServerCertificate:
    """The PEM files a TLS server shows: its certificate and the private key to it."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class DataRecipe:
    """What decides the contents of a fresh data directory."""

    bin_directory: Path
    version: str
    account: Account | None
    initdb_options: tuple[str, ...]

    def template_in(self, cache: Path) -> Path:
        """Return where the cache keeps a data directory made by this very recipe."""
        account = self.account.name if self.account else str(os.getuid())
        built = (self.bin_directory / "postgres").stat().st_mtime_ns
        parts = [self.version, account, str(built), *self.initdb_options]
        name = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
        return cache / f"data-{self.version}-{name}"


def locale_options(version: str) -> list[str]:
    """Return initdb's options for UTF-8 with an order that no library update changes."""
    options = ["--encoding=UTF8", "--locale=C.UTF-8"]
    if int(version.split(".")[0]) >= 17:
        options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    return options


def make_data_directory(recipe: DataRecipe, data_directory: Path, cache: Path | None) -> None:
    """Make the data directory: a copy from the cache if it has one, else with initdb.

    What initdb makes goes into the cache. Raises `ServerError` with initdb's own words.
    """
    template = recipe.template_in(cache) if cache else None
    if template is not None and template.is_dir():
        _copy_tree(template, data_directory)
        return
    _run_initdb(recipe, data_directory)
    if template is not None:
        _keep_template(data_directory, template)


def _run_initdb(recipe: DataRecipe, data_directory: Path) -> None:
    command = [
        str(recipe.bin_directory / "initdb"),
        f"--pgdata={data_directory}",
        f"--username={SUPERUSER}",
        "--auth=reject",
        "--no-sync",
        "--no-instructions",
        *locale_options(recipe.version),
        *recipe.initdb_options,
    ]
    options = process_options(recipe.account, data_directory.parent)
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        raise ServerError(f"initdb of PostgreSQL {recipe.version} failed for {data_directory}:\n{done.stderr}")
    with (data_directory / "postgresql.conf").open("a") as configuration:
        configuration.write("include 'server.conf'\n")


def _copy_tree(source: Path, destination: Path) -> None:
    command = ["cp", "--archive", "--reflink=auto", "--", str(source), str(destination)]
    subprocess.run(command, check=True, env=server_environment())


def _keep_template(data_directory: Path, template: Path) -> None:
    """Put a copy into the cache in one step, so that another process never sees half of one."""
    template.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=template.parent))
    _copy_tree(data_directory, unfinished / "data")
    try:
        (unfinished / "data").rename(template)
    except OSError:
        # Another process was quicker. Its copy is as good.
        if not template.is_dir():
            raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def configure(
    data_directory: Path,
    account: Account | None,
    settings: Mapping[str, object],
    access_rules: Sequence[str],
    certificate: ServerCertificate | None,
) -> None:
    """Write server.conf, pg_hba.conf and the certificate, readable by the server's account alone."""
    defaults = {
        "timezone": "UTC",
        "log_timezone": "UTC",
        # In the data directory, not in /dev/shm, so that nothing stays behind after a kill.
        "dynamic_shared_memory_type": "mmap",
    }
    if certificate is not None:
        defaults["ssl"] = "on"
        write_private(data_directory / "server.crt", certificate.certificate.read_bytes(), account)
        write_private(data_directory / "server.key", certificate.key.read_bytes(), account)
    lines = [f"{name} = {_quoted(value)}\n" for name, value in {**defaults, **settings}.items()]
    write_private(data_directory / "server.conf", "".join(lines).encode(), account)
    rules = "".join(f"{rule}\n" for rule in access_rules)
    write_private(data_directory / "pg_hba.conf", rules.encode(), account)


def _quoted(value: object) -> str:
    return "'" + str(value).replace("\\", "\\\\").replace("'", "''") + "'"


def write_private(path: Path, content: bytes, account: Account | None) -> None:
    """Write a file (new each time) with mode 0600 and give it to the account."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(content)
    if account is not None:
        os.chown(path, account.uid, account.gid)
