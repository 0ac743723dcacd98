# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of a layout, and what is refused of them."""

from __future__ import annotations

import pytest
import yaml

from ansible_collections.baileys.resilience.plugins.doc_fragments.session_store import ModuleDocFragment
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.layout import (
    LAYOUT_OPTIONS,
    SessionLayout,
    layout_from,
)
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import SettingsError


def test_nothing_is_the_default():
    assert layout_from(None) == layout_from({}) == SessionLayout()


def test_combined_ids_leave_out_what_they_hold():
    layout = layout_from({"ids": "combined", "auth_table": None})
    assert (layout.type_column, layout.tenant_column) == (None, "company_id")
    layout = layout_from({"ids": "tenant_combined"})
    assert (layout.auth_table, layout.tenant_column, layout.type_column) == (None, None, None)


@pytest.mark.parametrize(
    ("said", "meant"), [(True, True), ("yes", True), ("True", True), (False, False), ("no", False)]
)
def test_flags_may_come_as_text(said, meant):
    assert layout_from({"escaped_ids": said}).escaped_ids is meant


@pytest.mark.parametrize("said", [None, ""])
def test_a_column_of_times_may_be_left_out(said):
    assert layout_from({"created_column": said}).created_column is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"key_table": "x"}, "has no option key_table"),
        ({"ids": "joined"}, "says ids: joined"),
        ({"keys_table": None}, "says keys_table: None"),
        ({"keys_table": ""}, "says keys_table: "),
        ({"keys_table": 5}, "says keys_table: 5"),
        ({"escaped_ids": "perhaps"}, "says escaped_ids: perhaps"),
        ({"ids": "combined", "type_column": "t"}, "says ids: combined and type_column: t"),
        ({"ids": "tenant_combined", "tenant_column": "t"}, "says ids: tenant_combined and tenant_column: t"),
        ({"tenant_column": None}, "has no tenant_column"),
        ({"type_column": None}, "has no type_column"),
        ({"auth_table": None}, "has no auth_table"),
    ],
)
def test_what_is_refused(given, words):
    with pytest.raises(SettingsError) as caught:
        layout_from(given)
    assert words in caught.value.message
    assert caught.value.remedy


def test_every_option_is_documented():
    described = " ".join(yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]["layout"]["description"])
    default = SessionLayout()
    for name in LAYOUT_OPTIONS:
        value = getattr(default, name)
        value = str(value).lower() if isinstance(value, bool) else value
        assert f"C({name}) (V({value}))" in described, name
