# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A full-feature PostgreSQL (zstd, lz4, OpenSSL, ICU) from a newer Debian, run in place.

The packages are downloaded by apt with a configuration of its own and unpacked into a tree; nothing
is installed and no root is needed. The newer Debian's programs want its newer C library, so their
interpreter and library path are pointed at the tree's own. No container, no chroot. The time zones
are the host's (`/usr/share/zoneinfo`), as Debian builds PostgreSQL that way.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo.installations import reachable_by_everybody

REPOSITORY = Path(__file__).resolve().parents[2]
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
DEFAULT_MIRROR = "http://deb.debian.org/debian"
# Which Debian has which major; the later ones are tried where the first has it no longer.
SUITES = {15: ("bookworm",), 17: ("trixie",), 18: ("forky", "sid")}
NEEDED_FEATURES = ("--with-zstd", "--with-lz4", "--with-openssl", "--with-icu")
COMPLETE = "complete.json"
# Of the dependency closure only programs and libraries are wanted, not what their maintainer
# scripts run (perl, systemd, adduser ...), and of the libraries not the big ones that serve those.
UNWANTED_LIBRARIES = ("libc-", "libperl", "libjson-perl", "libtext-", "libsystemd-shared", "libdb")


class FullPostgresError(RuntimeError):
    """The tree could not be made; the message says at which step and what to do."""


@dataclass(frozen=True)
class Tree:
    """An unpacked PostgreSQL: its root and the directory of its programs."""

    root: Path
    major: int

    @property
    def bin_directory(self) -> Path:
        return self.root / "usr" / "lib" / "postgresql" / str(self.major) / "bin"

    @property
    def complete(self) -> bool:
        """Whether it was finished at this very place (the programs hold absolute paths)."""
        try:
            record = json.loads((self.root / COMPLETE).read_text())
        except (OSError, ValueError):
            return False
        return bool(record.get("root") == str(self.root))


def default_tree(major: int = 18) -> Tree:
    """Return where the tree belongs: `.cache` of the repository.

    As root, a repository below a closed directory (`/root`) is of no use to the account the server
    runs as; the tree then goes to `/var/cache`.
    """
    cache = REPOSITORY / ".cache"
    if os.geteuid() == 0 and not reachable_by_everybody(REPOSITORY):
        cache = Path("/var/cache/baileys-resilience")
    return Tree(cache / f"full-postgres-{major}", major)


def ensure(
    major: int = 18,
    suites: Sequence[str] | None = None,
    *,
    tree: Tree | None = None,
    mirror: str = DEFAULT_MIRROR,
    rebuild: bool = False,
) -> Tree:
    """Return the finished tree, making it first if needed. Prints what it does.

    Several processes may call this at once; one makes the tree and the others wait. Raises
    `FullPostgresError` where it cannot be made.
    """
    tree = tree or default_tree(major)
    if tree.complete and not rebuild:
        return tree
    tree.root.parent.mkdir(parents=True, exist_ok=True)
    with _locked(tree.root.with_suffix(".lock")):
        if tree.complete and not rebuild:
            return tree
        failures = []
        for suite in suites or SUITES.get(major, ("sid",)):
            try:
                return _build(tree, suite, mirror)
            except FullPostgresError as error:
                failures.append(f"{suite}: {error}")
        raise FullPostgresError("\n".join(failures))


def _build(tree: Tree, suite: str, mirror: str) -> Tree:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="unfinished-", dir=tree.root.parent) as scratch:
        work = Path(scratch)
        apt = _private_apt(work / "apt", suite, mirror)
        _say(f"reading the package index of Debian {suite} from {mirror}")
        _run(["apt-get", "update", "-qq"], apt)
        packages = _wanted_packages(tree.major, apt)
        _say(f"downloading {len(packages)} packages of PostgreSQL {tree.major}")
        downloads = work / "downloads"
        downloads.mkdir()
        _run(["apt-get", "download", "-qq", *packages], apt, cwd=downloads)
        unpacked = Tree(work / "tree", tree.major)
        unpacked.root.mkdir(mode=0o755)
        for package in sorted(downloads.glob("*.deb")):
            _run(["dpkg-deb", "--extract", str(package), str(unpacked.root)], apt)
        _move_libraries_into_usr(unpacked.root)
        _say("pointing the programs at the tree's own C library")
        _redirect_programs(unpacked, tree.root, apt)
        shutil.rmtree(tree.root, ignore_errors=True)
        unpacked.root.rename(tree.root)
    version = _check_features(tree)
    record = {"root": str(tree.root), "suite": suite, "version": version}
    (tree.root / COMPLETE).write_text(json.dumps(record) + "\n")
    _say(f"{version} is ready in {tree.root} after {time.monotonic() - started:.0f} s")
    return tree


def _private_apt(directory: Path, suite: str, mirror: str) -> dict[str, str]:
    """Make an apt configuration that knows one suite and no installed package.

    Returns the environment that makes apt use it. The host's own configuration is not read, but
    for its proxies.
    """
    if not KEYRING.exists():
        raise FullPostgresError(
            f"{KEYRING} is missing, so Debian's signatures cannot be checked. "
            "Install it with: apt-get install debian-archive-keyring"
        )
    for name in ("state/lists/partial", "cache/archives/partial", "etc/apt.conf.d"):
        (directory / name).mkdir(parents=True)
    (directory / "status").touch()
    sources = directory / "etc" / "sources.list.d"
    sources.mkdir()
    (sources / "debian.sources").write_text(
        f"Types: deb\nURIs: {mirror}\nSuites: {suite}\nComponents: main\nSigned-By: {KEYRING}\n"
    )
    configuration = directory / "apt.conf"
    configuration.write_text(
        f'Dir::State "{directory}/state/";\n'
        f'Dir::State::status "{directory}/status";\n'
        f'Dir::Cache "{directory}/cache/";\n'
        f'Dir::Etc "{directory}/etc/";\n'
        'Acquire::Languages "none";\n'
        'Acquire::Retries "3";\n'
        # A stored mirror's Release file may have expired by the clock; its signature still counts.
        'Acquire::Check-Valid-Until "false";\n'
        # The directory is closed to apt's own download account.
        'APT::Sandbox::User "";\n' + _host_proxies()
    )
    environment = {name: value for name, value in os.environ.items() if name.endswith("_proxy")}
    return {
        **environment,
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "APT_CONFIG": str(configuration),
    }


def _host_proxies() -> str:
    try:
        dump = subprocess.run(["apt-config", "dump", "Acquire"], check=True, capture_output=True, text=True).stdout
    except FileNotFoundError as error:
        raise FullPostgresError(
            "apt is not installed, so Debian's packages cannot be had this way. Run this on Debian or Ubuntu."
        ) from error
    lines = [line for line in dump.splitlines() if "::Proxy" in line and '""' not in line]
    return "".join(line + "\n" for line in lines)


def _wanted_packages(major: int, apt: dict[str, str]) -> list[str]:
    programs = [f"postgresql-{major}", f"postgresql-client-{major}", "patchelf"]
    simulated = _run(["apt-get", "install", "--simulate", "-qq", "--no-install-recommends", *programs], apt)
    closure = [line.split()[1] for line in simulated.splitlines() if line.startswith("Inst ")]
    libraries = [name for name in closure if name.startswith("lib") and not name.startswith(UNWANTED_LIBRARIES)]
    return [*programs, *libraries]


def _move_libraries_into_usr(root: Path) -> None:
    """Put `/lib` and `/lib64`, where older Debians have some libraries, where newer ones have them."""
    for name in ("lib", "lib64"):
        if (root / name).is_dir() and not (root / name).is_symlink():
            shutil.copytree(root / name, root / "usr" / name, symlinks=True, dirs_exist_ok=True)
            shutil.rmtree(root / name)


def _redirect_programs(unpacked: Tree, final_root: Path, apt: dict[str, str]) -> None:
    """Set interpreter and DT_RPATH of every program (unlike DT_RUNPATH it serves libraries too)."""
    loaders = list(unpacked.root.glob("usr/lib/*/ld-linux-*.so.*"))
    if len(loaders) != 1:
        raise FullPostgresError(f"expected one program loader in {unpacked.root}, found {loaders}")
    libraries = loaders[0].parent
    patchelf = [
        str(loaders[0]),
        "--library-path",
        str(libraries),
        str(unpacked.root / "usr" / "bin" / "patchelf"),
    ]
    programs = [path for path in sorted(unpacked.bin_directory.iterdir()) if _is_elf(path)]
    _run(
        [
            *patchelf,
            "--set-interpreter",
            str(final_root / loaders[0].relative_to(unpacked.root)),
            "--force-rpath",
            "--set-rpath",
            f"$ORIGIN/../../../{libraries.name}",
            *(str(path) for path in programs),
        ],
        apt,
    )


def _is_elf(path: Path) -> bool:
    if not path.is_file() or path.is_symlink():
        return False
    with path.open("rb") as handle:
        return handle.read(4) == b"\x7fELF"


def _check_features(tree: Tree) -> str:
    """Run the programs once; return the server's version line."""
    environment = {"PATH": os.defpath, "LC_ALL": "C"}
    options = _run([str(tree.bin_directory / "pg_config"), "--configure"], environment)
    missing = [feature for feature in NEEDED_FEATURES if f"'{feature}" not in options]
    if missing:
        raise FullPostgresError(f"this build lacks {', '.join(missing)}")
    return _run([str(tree.bin_directory / "postgres"), "--version"], environment).strip()


def _run(command: list[str], environment: dict[str, str], cwd: Path | None = None) -> str:
    done = subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise FullPostgresError(f"{command[0]} failed with status {done.returncode}: {done.stderr.strip()}")
    return done.stdout


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _say(message: str) -> None:
    print(f"full-postgres: {message}", flush=True)
