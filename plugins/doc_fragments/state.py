# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The option that says where a job keeps its status, described once."""

from __future__ import annotations


class ModuleDocFragment:
    """What Ansible looks for in a documentation fragment."""

    DOCUMENTATION = r"""
options:
  state_directory:
    description:
      - Where C(status/<job>.json) and C(metrics/<job>.prom) are kept, of mode 0700.
      - The default is C(/var/lib/baileys-resilience) for root, else C($XDG_STATE_HOME/baileys-resilience).
      - If it cannot be written, the job still runs and a warning says so.
    type: path
"""
