# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the property tests run."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# On a machine that is shared, how long an example takes says nothing about it. The rest is hypothesis's own
# choice: random examples at a desk, always the same ones in CI.
settings.register_profile(
    "shared-machine",
    settings.get_profile(settings.get_current_profile_name()),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("shared-machine")
