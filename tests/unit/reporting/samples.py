# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports the tests share: one, and any."""

from __future__ import annotations

from hypothesis import strategies as st

from ansible_collections.baileys.resilience.plugins.module_utils.reporting.report import LEVELS, Report

REPORT = Report(
    job="backup",
    subject="app",
    level="info",
    title="backup made and verified",
    facts=(("Size", "353.2 kB"),),
    measurements={"archive_bytes": 353187.0},
    at="2026-01-31T03:00:02Z",
    duration=1.1,
)

REPORTS = st.builds(
    Report,
    job=st.from_regex(r"[a-z][a-z0-9_-]{0,20}", fullmatch=True),
    subject=st.text(min_size=1),
    level=st.sampled_from(LEVELS),
    title=st.text(min_size=1),
    facts=st.lists(st.tuples(st.text(), st.text())).map(tuple),
    remedy=st.none() | st.text(min_size=1),
    measurements=st.dictionaries(
        st.from_regex(r"[a-z][a-z_]{0,20}", fullmatch=True), st.floats(allow_nan=False, allow_infinity=False)
    ),
    duration=st.none() | st.floats(min_value=0, max_value=1e9),
)
