# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/sessions.md shows is so."""

from __future__ import annotations

import dataclasses

import yaml

from ansible_collections.baileys.resilience.plugins.module_utils.sessions.files import (
    MANIFEST_FILE,
    read_manifest,
    write_manifest,
)
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.layout import SessionLayout, layout_from
from tests.support import documents
from tests.support.session_stores import KINDS

GUIDE = documents.read(documents.ROOT / "docs/sessions.md")


def test_the_manifest_of_the_guide_is_one(tmp_path):
    (text,) = GUIDE.code("json")
    (tmp_path / MANIFEST_FILE).write_text(text, encoding="utf-8")
    manifest = read_manifest(str(tmp_path))
    assert manifest is not None
    (tmp_path / "again").mkdir()
    write_manifest(str(tmp_path / "again"), manifest)
    assert (tmp_path / "again" / MANIFEST_FILE).read_text() == text


def test_every_key_of_a_layout_stands_there_with_its_default():
    said = {
        documents.literals(key)[0]: documents.literals(default)[0] for key, default, _ in GUIDE.rows("Other tables")
    }
    default = {name: str(value) for name, value in dataclasses.asdict(SessionLayout()).items()}
    assert {name: value.lower() for name, value in default.items()} == said


def test_the_layouts_of_the_guide_are_those_that_are_tested():
    shown = [layout_from(yaml.safe_load(text)["session_layout"]) for text in GUIDE.code("yaml")]
    assert shown == [KINDS[kind].layout for kind in ("single", "auth", "prisma")]
