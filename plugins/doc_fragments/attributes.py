# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Attributes every module declares, described once."""

from __future__ import annotations


class ModuleDocFragment:
    """What Ansible looks for in a documentation fragment."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return what it would do without doing it.
  diff_mode:
    description: Returns details on what has changed, or in C(check_mode) would change, when in diff mode.
  platform:
    description: Target operating systems and families the module runs on.
    platforms: posix
    support: full
"""
