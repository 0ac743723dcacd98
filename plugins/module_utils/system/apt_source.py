# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A repository of packages and its key: tried out of apt's sight first, then given to apt.

A source that apt cannot use makes every later `apt-get update` of the host fail. So one is written below /etc/apt only
once apt has read the repository with it, in a directory that nobody else looks at.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .apt import AptError, apt_get, complaints, failure
from .commands import Completed
from .errors import SettingsError
from .files import explain_os_error, fsync_directory
from .openpgp import KeyFileError, PublicKey, read_public_key

LISTS = ("/etc/apt/sources.list", "/etc/apt/sources.list.d/*.list", "/etc/apt/sources.list.d/*.sources")
# apt reads keys and lists as a user of its own.
PUBLIC_DIRECTORY_MODE = 0o755
PUBLIC_MODE = 0o644
# apt looks past a file of this name without a word.
_UNFINISHED = ".dpkg-new"
# Whatever the host allows its other sources.
_STRICT = (
    "APT::Update::Error-Mode=any",
    "Acquire::AllowInsecureRepositories=false",
    "Acquire::AllowWeakRepositories=false",
)


@dataclass(frozen=True)
class Source:
    """A repository. ``keyring`` is the file for its key, whose fingerprint must be ``fingerprint``."""

    name: str
    url: str
    suite: str
    components: tuple[str, ...]
    keyring: str
    fingerprint: str

    def __post_init__(self) -> None:
        words = (self.name, self.url, self.suite, self.keyring, *self.components)
        if any(not word or re.search(r"\s", word) for word in words) or "/" in self.name:
            raise SettingsError(
                "A part of the source {} is empty, holds a space, or is no name".format(self.name or "without a name"),
                stage="settings",
                remedy="Give its name, url, suite, components and keyring in one word each.",
            )
        if "@" in self.url.partition("://")[2].partition("/")[0]:
            # Not shown: it holds a password.
            raise SettingsError(
                f"The url of the source {self.name} holds credentials, which everybody could read",
                stage="settings",
                remedy="Give them to apt in a file below /etc/apt/auth.conf.d (man apt_auth.conf).",
            )
        if not self.keyring.endswith((".gpg", ".asc")):
            raise SettingsError(
                f"The keyring {self.keyring} ends neither in .gpg nor in .asc, so apt would not read it",
                stage="settings",
                remedy="Name it, for example, /etc/apt/keyrings/{}.gpg.".format(self.name),
            )

    @property
    def path(self) -> str:
        """Where apt reads it."""
        return f"/etc/apt/sources.list.d/{self.name}.sources"

    def text(self, keyring: str | None = None) -> bytes:
        """The file at ``path``, in the format of deb822."""
        lines = [
            "# Written by baileys.resilience.",
            "Types: deb",
            f"URIs: {self.url}",
            f"Suites: {self.suite}",
            "Components: {}".format(" ".join(self.components)),
            f"Signed-By: {keyring or self.keyring}",
        ]
        return ("\n".join(lines) + "\n").encode()

    def key_file(self, key: PublicKey) -> bytes:
        """The keyring's content: apt tells text from binary by the name alone."""
        return key.armored() if self.keyring.endswith(".asc") else key.packets

    def key(self) -> PublicKey | None:
        """The key that is in place, if it is the one that is wanted, in the form that apt expects there."""
        data = read(self.keyring)
        if data is None or not os.stat(self.keyring).st_mode & stat.S_IROTH:
            return None
        try:
            key = read_public_key(data)
        except KeyFileError:
            return None
        in_form = self.keyring.endswith(".asc") == (data != key.packets)
        return key if in_form and key.fingerprint == self.fingerprint else None


def try_out(source: Source, key: PublicKey, packages: Sequence[str]) -> None:
    """Let apt read the repository with this key and find the packages in it. Changes nothing. Raises AptError."""
    with tempfile.TemporaryDirectory(prefix="apt-source-") as place:
        os.chmod(place, PUBLIC_DIRECTORY_MODE)
        _refuse_contradiction(source, place)
        keyring = os.path.join(place, os.path.basename(source.keyring))
        write(keyring, source.key_file(key))
        options = [*_alone(place, source.text(keyring)), *_STRICT]
        done = apt_get(["update"], options)
        if done.rc != 0:
            raise _unusable(source, done)
        for package in packages:
            if apt_get(["download", "--print-uris", package], options).rc != 0:
                raise AptError(
                    f"The repository {source.url} has no package {package} in its suite {source.suite}",
                    stage="package",
                    remedy="Nothing was changed. Correct the suite, or the version that is asked for, or take the mirror "
                    "up to date.",
                )


@contextlib.contextmanager
def in_place(files: Mapping[str, bytes | None], *, stay: bool = True) -> Iterator[None]:
    """Write these files (or remove them, for None). They go back to what they were when the block fails, or at its
    end unless they are to ``stay``."""
    before = {path: read(path) for path in files}
    made = [directory for path in files for directory in _missing_directories(path)]
    try:
        for path, data in files.items():
            write(path, data)
        yield
    except BaseException:
        _put_back(before)
        for directory in made:
            # One in which something else has come to be is no longer ours.
            with contextlib.suppress(OSError):
                os.rmdir(directory)
        raise
    if not stay:
        _put_back(before)


def read(path: str) -> bytes | None:
    """What a file holds; None where there is none."""
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise explain_os_error(error, path, "read") from error


def write(path: str, data: bytes | None) -> None:
    """Replace a file as a whole, for everybody to read, or remove it for None."""
    try:
        if data is None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            return
        for directory in reversed(_missing_directories(path)):
            _public_directory(directory)
        temporary = path + _UNFINISHED
        with open(temporary, "wb") as stream:
            os.fchmod(stream.fileno(), PUBLIC_MODE)
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
        fsync_directory(os.path.dirname(path))
    except OSError as error:
        raise explain_os_error(error, path, "write") from error


def _put_back(before: Mapping[str, bytes | None]) -> None:
    for path, data in before.items():
        write(path, data)


def _missing_directories(path: str) -> list[str]:
    """The directories that writing ``path`` will make, the deepest first."""
    missing, directory = [], os.path.dirname(path)
    while not os.path.isdir(directory):
        missing.append(directory)
        directory = os.path.dirname(directory)
    return missing


def _public_directory(path: str) -> None:
    os.mkdir(path)
    # The umask may have taken what apt's own user needs.
    os.chmod(path, PUBLIC_DIRECTORY_MODE)


def _alone(place: str, text: bytes) -> list[str]:
    """Options by which apt knows this source only, and writes into ``place`` only."""
    parts, lists = os.path.join(place, "parts"), os.path.join(place, "lists")
    _public_directory(lists)
    write(os.path.join(parts, "tried.sources"), text)
    return [
        "Dir::Etc::sourcelist=/dev/null",
        f"Dir::Etc::sourceparts={parts}",
        f"Dir::State::lists={lists}",
        "Dir::Cache::pkgcache=",
        "Dir::Cache::srcpkgcache=",
    ]


def _refuse_contradiction(source: Source, place: str) -> None:
    """Another entry for the same repository with another key: apt refuses to work at all with both."""
    parts = os.path.join(place, "all")
    os.mkdir(parts)
    others = [path for pattern in LISTS for path in sorted(glob.glob(pattern)) if path != source.path]
    for number, path in enumerate(others):
        os.symlink(path, os.path.join(parts, "%d%s" % (number, os.path.splitext(path)[1])))
    write(os.path.join(parts, "tried.sources"), source.text())
    done = apt_get(["indextargets"], ["Dir::Etc::sourcelist=/dev/null", f"Dir::Etc::sourceparts={parts}"])
    if done.rc == 0:
        return
    same = [path for path in others if source.url.rstrip("/").encode() in (read(path) or b"")]
    raise failure(
        done,
        "apt cannot read its sources with this one beside them",
        stage="source",
        remedy="Nothing was changed. {}".format(
            "Remove what {} says about {}; this source takes its place.".format(", ".join(same), source.url)
            if same
            else "Mend the sources of the host first; apt-get update tells about them."
        ),
    )


def _unusable(source: Source, done: Completed) -> AptError:
    told = " ".join([*complaints(done), done.stdout])
    signature = any(word in told for word in ("not signed", "NO_PUBKEY", "verif", "signature"))
    return failure(
        done,
        f"apt cannot use the repository {source.url}, suite {source.suite}",
        stage="signature" if signature else "repository",
        remedy="Nothing was changed. {}".format(
            f"It must be signed by the key {source.fingerprint}: take a mirror that passes on the signatures, or give "
            "the key of the mirror."
            if signature
            else "See that this host reaches it, that it has this suite, and that the clock is right."
        ),
    )
