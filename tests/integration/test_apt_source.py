# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A source is tried by the real apt before the host's own is told of it, with keys and signatures of the real gpg.

That a host is left as it was, and that packages come of it, is shown on hosts by the scenario client_install.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.system import apt_source
from ansible_collections.baileys.resilience.plugins.module_utils.system.apt import AptError
from ansible_collections.baileys.resilience.plugins.module_utils.system.apt_source import Source, in_place, try_out
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import SettingsError
from ansible_collections.baileys.resilience.plugins.module_utils.system.openpgp import (
    KeyFileError,
    PublicKey,
    read_public_key,
)
from ansible_collections.baileys.resilience.plugins.module_utils.system.packages import checked_key

ROOT = Path(__file__).resolve().parents[2]
CONTROL = (
    "Package: {}\nVersion: 18.6-1\nArchitecture: all\nMaintainer: nobody <nobody@example.net>\nDescription: a test\n"
)
SUITE = "stable-pgdg"
PACKAGE = "postgresql-client-of-a-test"


@dataclass(frozen=True)
class Keys:
    """A gpg of its own with two keys: ours, of one algorithm, and that of somebody else, of another."""

    home: Path

    def gpg(self, *words: str) -> bytes:
        command = ["gpg", "--homedir", str(self.home), "--batch", "--quiet", *words]
        return subprocess.run(command, check=True, capture_output=True).stdout

    def fingerprint(self, name: str) -> str:
        listed = self.gpg("--with-colons", "--list-keys", name).decode()
        return next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))

    def public(self, name: str) -> PublicKey:
        return read_public_key(self.gpg("--export", name))


@pytest.fixture(scope="module")
def keys() -> Iterator[Keys]:
    subprocess.run(["sh", "scripts/debian_packages.sh", "gpg", "gpg-agent"], cwd=ROOT, check=True)
    # A short path: gpg's agent listens on a socket in it.
    home = Path(tempfile.mkdtemp(prefix="keys-"))
    made = Keys(home)
    try:
        for name, algorithm in (("ours", "rsa3072"), ("another", "ed25519")):
            made.gpg("--passphrase", "", "--quick-generate-key", name, algorithm, "sign", "never")
        yield made
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)
        shutil.rmtree(home)


@pytest.fixture
def repository(keys: Keys) -> Iterator[Path]:
    """A repository signed by ours, where apt's own user may read it."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        tree = root / "tree/DEBIAN"
        tree.mkdir(parents=True)
        (tree / "control").write_text(CONTROL.format(PACKAGE))
        subprocess.run(["dpkg-deb", "--build", "--root-owner-group", tree.parent, root / "a.deb"], check=True)
        data = (root / "a.deb").read_bytes()
        index = (
            CONTROL.format(PACKAGE)
            + f"Filename: a.deb\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"
        )
        packages = root / f"dists/{SUITE}/main/binary-all/Packages"
        packages.parent.mkdir(parents=True)
        packages.write_text(index)
        sign(keys, root, "ours")
        yield root


def sign(keys: Keys, root: Path, name: str) -> None:
    suite = root / "dists" / SUITE
    index = (suite / "main/binary-all/Packages").read_bytes()
    release = suite / "Release"
    release.write_text(
        f"Suite: {SUITE}\nCodename: {SUITE}\nArchitectures: all\nComponents: main\nDate: Thu, 01 Jan 2026 00:00:00 UTC\n"
        f"SHA256:\n {hashlib.sha256(index).hexdigest()} {len(index)} main/binary-all/Packages\n"
    )
    (suite / "InRelease").unlink(missing_ok=True)
    keys.gpg("--local-user", name, "--clearsign", "--output", str(suite / "InRelease"), str(release))


def source_of(keys: Keys, repository: Path, keyring: str = "/etc/apt/keyrings/test.gpg") -> Source:
    return Source("test", f"file://{repository}", SUITE, ("main",), keyring, keys.fingerprint("ours"))


def refused(source: Source, key: PublicKey, package: str = PACKAGE) -> AptError:
    with pytest.raises(AptError) as caught:
        try_out(source, key, [package])
    assert (caught.value.remedy or "").startswith("Nothing was changed. ")
    assert not list(Path(tempfile.gettempdir()).glob("apt-source-*"))
    return caught.value


@pytest.mark.parametrize("ending", ["gpg", "asc"])
def test_a_signed_repository_with_the_package_is_fit_under_any_umask(keys: Keys, repository: Path, ending: str) -> None:
    before = os.umask(0o077)
    try:
        try_out(source_of(keys, repository, f"/etc/apt/keyrings/test.{ending}"), keys.public("ours"), [PACKAGE])
    finally:
        os.umask(before)
    assert not Path(f"/etc/apt/keyrings/test.{ending}").exists()
    assert not list(Path(tempfile.gettempdir()).glob("apt-source-*"))


def test_one_that_is_signed_by_another_is_not(keys: Keys, repository: Path) -> None:
    sign(keys, repository, "another")
    error = refused(source_of(keys, repository), keys.public("ours"))
    assert error.stage == "signature"
    assert keys.fingerprint("ours") in (error.remedy or "")


def test_one_that_is_not_signed_is_not(keys: Keys, repository: Path) -> None:
    (repository / "dists" / SUITE / "InRelease").unlink()
    error = refused(source_of(keys, repository), keys.public("ours"))
    assert error.stage == "signature"
    assert "is not signed" in error.message


def test_one_whose_lists_were_changed_after_the_signature_is_not(keys: Keys, repository: Path) -> None:
    packages = repository / f"dists/{SUITE}/main/binary-all/Packages"
    packages.write_text(packages.read_text().replace("18.6-1", "18.7-1"))
    assert "Hash Sum mismatch" in refused(source_of(keys, repository), keys.public("ours")).message


def test_one_that_is_not_there_is_not(keys: Keys, repository: Path) -> None:
    source = replace(source_of(keys, repository), suite="unstable-pgdg")
    error = refused(source, keys.public("ours"))
    assert error.stage in ("repository", "signature")
    assert "unstable-pgdg" in error.message


def test_one_without_the_package_is_not(keys: Keys, repository: Path) -> None:
    error = refused(source_of(keys, repository), keys.public("ours"), "postgresql-client-99")
    assert error.stage == "package"
    assert "postgresql-client-99" in error.message


def test_a_second_entry_with_another_key_is_named(
    keys: Keys, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_hand = tmp_path / "by-hand.list"
    by_hand.write_text(f"deb [signed-by=/usr/share/keyrings/other.gpg] file://{repository} {SUITE} main\n")
    monkeypatch.setattr(apt_source, "LISTS", (str(by_hand),))
    error = refused(source_of(keys, repository), keys.public("ours"))
    assert error.stage == "source"
    assert str(by_hand) in (error.remedy or "")


def test_the_keys_of_gpg_are_read_as_gpg_reads_them(keys: Keys) -> None:
    for name in ("ours", "another"):
        for data in (keys.gpg("--export", name), keys.gpg("--armor", "--export", name)):
            assert read_public_key(data).fingerprint == keys.fingerprint(name)
    # What is written in text form is what gpg understands.
    armored = keys.home / "armored.asc"
    armored.write_bytes(keys.public("another").armored())
    assert keys.fingerprint("another").encode() in keys.gpg("--with-colons", "--show-keys", str(armored))


def test_any_other_key_is_refused_with_both_fingerprints(keys: Keys, repository: Path) -> None:
    with pytest.raises(KeyFileError) as caught:
        checked_key(keys.gpg("--export", "another"), source_of(keys, repository))
    assert keys.fingerprint("another") in caught.value.message
    assert keys.fingerprint("ours") in caught.value.message
    with pytest.raises(KeyFileError, match="holds 2 keys"):
        checked_key(keys.gpg("--export"), source_of(keys, repository))
    secret = keys.gpg("--passphrase", "", "--pinentry-mode", "loopback", "--export-secret-keys", "ours")
    with pytest.raises(KeyFileError, match="holds a secret key"):
        checked_key(secret, source_of(keys, repository))


def test_a_keyring_in_place_counts_only_if_apt_can_use_it(keys: Keys, repository: Path, tmp_path: Path) -> None:
    keyring = tmp_path / "test.gpg"
    source = source_of(keys, repository, str(keyring))
    assert source.key() is None
    keyring.write_bytes(keys.gpg("--export", "ours"))
    keyring.chmod(0o644)
    assert source.key() == keys.public("ours")
    keyring.chmod(0o600)
    assert source.key() is None, "apt's own user could not read it"
    keyring.chmod(0o644)
    for wrong in (b"", keys.gpg("--armor", "--export", "ours"), keys.gpg("--export", "another"), keys.gpg("--export")):
        keyring.write_bytes(wrong)
        assert source.key() is None


def test_files_go_back_when_the_block_fails(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "made/for/it/new"
    old.write_bytes(b"before")

    def install_that_fails() -> None:
        with in_place({str(old): b"after", str(new): b"new"}):
            assert (old.read_bytes(), new.read_bytes()) == (b"after", b"new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        install_that_fails()
    assert old.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [old]


def test_files_stay_or_go_back_at_the_end(tmp_path: Path) -> None:
    stays, goes = tmp_path / "a/stays", tmp_path / "b/goes"
    before = os.umask(0o077)
    try:
        with in_place({str(stays): b"1"}), in_place({str(goes): b"2"}, stay=False):
            assert goes.read_bytes() == b"2"
    finally:
        os.umask(before)
    assert not goes.exists()
    assert stays.read_bytes() == b"1"
    # apt reads it as a user of its own.
    assert stat.S_IMODE(stays.stat().st_mode) == 0o644
    assert stat.S_IMODE(stays.parent.stat().st_mode) == 0o755


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("url", "https://someone:s3cret@mirror.example.net/pgdg", "holds credentials"),
        ("url", "https://mirror.example.net/pgdg\nTrusted: yes", "holds a space"),
        ("suite", "a b", "holds a space"),
        ("suite", "", "is empty"),
        ("name", "../pgdg", "is no name"),
        ("components", ("main", ""), "is empty"),
        ("keyring", "/etc/apt/keyrings/pgdg.key", "neither in .gpg nor in .asc"),
    ],
)
def test_a_source_that_would_say_something_else_is_refused(part: str, value: object, message: str) -> None:
    good = Source("pgdg", "https://mirror.example.net/pgdg", SUITE, ("main",), "/etc/apt/keyrings/pgdg.gpg", "A" * 40)
    with pytest.raises(SettingsError) as caught:
        replace(good, **{part: value})  # type: ignore[arg-type]
    assert message in caught.value.message
    assert "s3cret" not in f"{caught.value.message} {caught.value.remedy}"
