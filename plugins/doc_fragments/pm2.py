# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which PM2 is meant, described once."""

from __future__ import annotations


class ModuleDocFragment:
    """What Ansible looks for in a documentation fragment."""

    DOCUMENTATION = r"""
options:
  user:
    description:
      - The user whose PM2 it is. The default is the user that the task runs as; only root can name another.
    type: str
  pm2_home:
    description:
      - PM2's directory (E(PM2_HOME)), which holds its socket, its list and its logs. The default is C(~/.pm2) of O(user).
    type: path
  program:
    description:
      - Path of the program C(pm2). The default is the one on the E(PATH). Node.js is looked for beside it first.
    type: path
"""
