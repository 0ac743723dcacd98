# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""File names as Baileys spells them, and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.baileys.resilience.plugins.module_utils.sessions.layout import KEY_TYPES
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.names import (
    file_name,
    parse_file_name,
    tenant_directory,
    tenant_of_directory,
)
from tests.support.session_values import IDS

BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
GROUPS = st.from_regex(r"[0-9]{5,18}(-[0-9]{10})?@g\.us", fullmatch=True)
DEVICES = st.from_regex(r"[0-9]{5,18}(_1)?::[0-9]{1,3}", fullmatch=True)
IDS_OF = {
    "app-state-sync-key": st.text(BASE64, min_size=4).map(lambda text: text + "=="),
    "sender-key": st.tuples(GROUPS, DEVICES).map("::".join),
}
OTHER_IDS = st.text(min_size=1).filter(lambda text: "/" not in text and ":" not in text)


@pytest.mark.parametrize(
    ("key_type", "key_id", "name"),
    [
        ("pre-key", "7", "pre-key-7.json"),
        ("app-state-sync-key", "AAAA/w+/==", "app-state-sync-key-AAAA__w+__==.json"),
        ("sender-key", "1-2@g.us::3::0", "sender-key-1-2@g.us--3--0.json"),
        ("sender-key-memory", "1-2@g.us", "sender-key-memory-1-2@g.us.json"),
        ("tctoken", "__index", "tctoken-__index.json"),
        ("session", "a/b:c", "session-a__b-c.json"),
    ],
)
def test_names_as_baileys_spells_them(key_type, key_id, name):
    assert file_name(key_type, key_id) == name


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_every_type_is_of_the_list_and_its_ids_round_trip(key_type):
    for key_id in IDS[key_type]:
        assert parse_file_name(file_name(key_type, key_id)) == (key_type, key_id)


@given(st.data())
def test_every_id_of_its_type_round_trips(data):
    key_type = data.draw(st.sampled_from(KEY_TYPES))
    key_id = data.draw(IDS_OF.get(key_type, OTHER_IDS))
    if key_type == "sender-key" and key_id.startswith("memory-"):
        return
    assert parse_file_name(file_name(key_type, key_id)) == (key_type, key_id)


@pytest.mark.parametrize(
    "name",
    ["creds.json", "7.json", "120363@g.us--1--0.json", "pre-key.json", "pre-key-7", "pre-key-7.json.bak", "x-1.json"],
)
def test_other_files_are_no_keys(name):
    assert parse_file_name(name) is None


def test_the_longest_type_counts():
    assert parse_file_name("app-state-sync-version-regular.json") == ("app-state-sync-version", "regular")
    assert parse_file_name("sender-key-memory-1@g.us.json") == ("sender-key-memory", "1@g.us")


def test_types_that_only_a_manifest_knows():
    assert parse_file_name("reaction-key-1.json", ["reaction-key"]) == ("reaction-key", "1")
    assert parse_file_name("session-memory-1.json", ["session-memory"]) == ("session-memory", "1")


@given(st.text(min_size=1))
def test_every_tenant_has_a_directory_of_its_own(tenant):
    name = tenant_directory(tenant)
    assert "/" not in name
    assert not name.startswith(".")
    assert name.isascii()
    assert tenant_of_directory(name) == tenant


def test_a_plain_tenant_is_its_own_directory():
    for tenant in ("6f1c2b6e-6a0e-4b55-8b3f-6c0e1a3f9a10", "main", "company_1.de"):
        assert tenant_directory(tenant) == tenant
    assert tenant_directory("..") == "%2E%2E"
    assert tenant_directory("a b/c") == "a%20b%2Fc"
