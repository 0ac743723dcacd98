# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of JavaScript in docs/standby.md, exactly as they stand there, in real Node.js with the real Baileys."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.sessions import cache
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.fence import fence_path, read_fence
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.names import parse_file_name
from tests.conftest import MakeDatabase
from tests.support import documents, node
from tests.support.baileys_oracle import MANIFEST_DIRECTORY, baileys
from tests.support.standbys import SOURCE, Standby, fill_sessions

DOCUMENT = documents.read(documents.ROOT / "docs/standby.md")
SECTION = "In the application"
TENANTS = ("acme", "a/b", "x (y)'*!~.", "ünï ✓")
# Prints what the functions of the document give, bytes as {"$bytes": hex}.
DRIVER = """
import { fallbackCreds, fallbackKeys } from './fallback.mjs'
import { proto } from 'baileys'
const plain = (value) => {
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString('hex') }
  if (value instanceof proto.Message.AppStateSyncKeyData) {
    return plain(proto.Message.AppStateSyncKeyData.toObject(value, { longs: String }))
  }
  if (Array.isArray(value)) return value.map(plain)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member)]))
}
const [source, tenant, keys] = JSON.parse(process.argv[2])
try {
  const found = {}
  for (const [type, ids] of Object.entries(keys)) found[type] = await fallbackKeys(source, tenant, type, ids)
  console.log(JSON.stringify({ creds: plain(await fallbackCreds(source, tenant)), keys: plain(found) }))
} catch (error) {
  console.log(JSON.stringify({ error: String(error) }))
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The document's module beside a driver and the real Baileys."""
    directory = tmp_path_factory.mktemp("application")
    module, usage = DOCUMENT.code("js", SECTION)
    assert "fallbackCreds(" in usage
    assert "fallbackKeys(" in usage
    (directory / "fallback.mjs").write_text(module, encoding="utf-8")
    (directory / "driver.mjs").write_text(DRIVER, encoding="utf-8")
    (directory / "node_modules").symlink_to(node.packages(MANIFEST_DIRECTORY) / "node_modules")
    return directory / "driver.mjs"


@pytest.fixture
def standby(make_database: MakeDatabase, server18: Any, tmp_path: Path) -> Standby:
    database = make_database(server18)
    fill_sessions(database, TENANTS, keys=60)
    made = Standby(database, tmp_path / "state")
    made.refresh()
    return made


def ask(program: Path, state: Path, tenant: str, keys: dict[str, list[str]]) -> dict[str, Any]:
    done = subprocess.run(
        [node.node(), str(program), json.dumps([SOURCE, tenant, keys])],
        env={"PATH": node.SEARCH_PATH, "RESILIENCE_STATE": str(state)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(
        done.stdout, object_hook=lambda one: bytes.fromhex(one["$bytes"]) if set(one) == {"$bytes"} else one
    )
    return answer


def keys_of(directory: Path) -> dict[str, list[str]]:
    keys: dict[str, list[str]] = {}
    for path in directory.glob("[a-z]*.json"):
        found = parse_file_name(path.name)
        if found is not None:
            keys.setdefault(found[0], []).append(found[1])
    return keys


def state_of(directory: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(directory)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in directory.rglob("*")
        if path.is_file()
    }


def keep(standby: Standby, tenant: str, age: float, **changes: Any) -> None:
    creds = {**json.loads((standby.of(tenant) / "creds.json").read_text()), **changes}
    now = time.time()
    entry = cache.Entry(json.dumps(creds), now - age)
    cache.write_cache(str(standby.state_directory), SOURCE, cache.Cache("cache", now, {tenant: entry}), 300.0)


@pytest.mark.parametrize("tenant", TENANTS)
def test_a_failed_read_gets_what_the_standby_holds(program: Path, standby: Standby, tenant: str) -> None:
    directory, before = standby.of(tenant), state_of(standby.state_directory)
    keys = keys_of(directory)
    answer = ask(program, standby.state_directory, tenant, keys)
    with baileys() as oracle:
        creds, values = oracle.read(directory, keys)
    assert answer["creds"] == creds
    assert answer["keys"] == values
    assert sum(len(ids) for ids in keys.values()) == 60
    assert all(value is not None for of_type in answer["keys"].values() for value in of_type.values())
    assert state_of(standby.state_directory) == before, "it only reads"


def test_young_credentials_of_the_cache_come_first(program: Path, standby: Standby) -> None:
    keep(standby, "acme", age=270, nextPreKeyId=4711)
    creds = ask(program, standby.state_directory, "acme", {})["creds"]
    assert creds["nextPreKeyId"] == 4711
    assert isinstance(creds["noiseKey"]["private"], bytes)


@pytest.mark.parametrize("age", [301, -5], ids=["expired", "from the future"])
def test_others_give_way_to_the_standby(program: Path, standby: Standby, age: float) -> None:
    keep(standby, "acme", age=age, nextPreKeyId=4711)
    creds = ask(program, standby.state_directory, "acme", {})["creds"]
    assert creds["nextPreKeyId"] == json.loads((standby.of("acme") / "creds.json").read_text())["nextPreKeyId"]


def test_the_cache_does_without_a_standby(program: Path, standby: Standby) -> None:
    keep(standby, "acme", age=1, nextPreKeyId=4711)
    standby.directory.rename(standby.directory.with_name("gone"))
    assert ask(program, standby.state_directory, "acme", {})["creds"]["nextPreKeyId"] == 4711


@pytest.mark.parametrize("damage", ["unknown", "no creds"])
def test_what_is_not_there_is_an_error_and_no_new_session(program: Path, standby: Standby, damage: str) -> None:
    tenant = "nobody" if damage == "unknown" else "acme"
    if damage == "no creds":
        (standby.of("acme") / "creds.json").unlink()
    before = state_of(standby.state_directory)
    assert "error" in ask(program, standby.state_directory, tenant, {"pre-key": ["1"]})
    assert state_of(standby.state_directory) == before
    assert not standby.of("nobody").exists()


def test_the_files_of_the_guide_are_what_is_written(tmp_path: Path) -> None:
    (text,) = DOCUMENT.code("json", "The file")
    (tmp_path / "cache.json").write_text(text)
    kept = cache.read_cache(str(tmp_path), SOURCE)
    assert (kept.served_from, set(kept.entries)) == ("cache", {"acme"})
    cache.write_cache(str(tmp_path), SOURCE, kept, 300.0)
    assert json.loads((tmp_path / "cache.json").read_text()) == json.loads(text)


def test_the_fence_of_the_guide_is_one(tmp_path: Path) -> None:
    (text,) = DOCUMENT.code("json", "The fence")
    Path(fence_path(str(tmp_path))).write_text(text)
    assert read_fence(str(tmp_path), SOURCE).owner == "files"
