# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of every module that applies retention, described once."""

from __future__ import annotations


class ModuleDocFragment:
    """What Ansible looks for in a documentation fragment."""

    DOCUMENTATION = r"""
options:
  keep_hourly:
    description:
      - In how many distinct hours the newest archive of C(hourly/) is kept.
    type: int
    default: 24
  keep_daily:
    description:
      - On how many distinct days the newest archive of C(daily/) is kept.
    type: int
    default: 7
  keep_weekly:
    description:
      - In how many distinct ISO weeks the newest archive of C(weekly/) is kept. With 0 no archive is linked there.
    type: int
    default: 0
  keep_monthly:
    description:
      - In how many distinct months the newest archive of C(monthly/) is kept. With 0 no archive is linked there.
    type: int
    default: 4
"""
