# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of both ways of an emergency, described once."""

from __future__ import annotations


class ModuleDocFragment:
    """What Ansible looks for in a documentation fragment."""

    DOCUMENTATION = r"""
options:
  confirm:
    description:
      - The name of the app, O(service.app), to show that this very service is meant.
      - Anything else, or nothing, is refused. Check mode needs no confirmation.
    type: str
  backup_root:
    description:
      - Where the backups of the database lie.
    type: path
    default: /var/backups/postgresql
  lock_timeout:
    description:
      - Seconds to wait for another run for the same O(source).
    type: float
    default: 0
  service:
    description:
      - The PM2 app that moves, and the code it moves to.
    type: dict
    required: true
    suboptions:
      app:
        description:
          - Name of the app under PM2.
        type: str
        required: true
      checkout:
        description:
          - The git checkout it runs from. Other apps may run from it too.
        type: path
        required: true
      sessions_directory:
        description:
          - Where the code at O(service.tag) keeps its sessions, a directory for each tenant in it.
          - What stands there is moved aside, never overwritten.
        type: path
        required: true
      sessions_variable:
        description:
          - The variable by which that code learns of O(service.sessions_directory), if there is one.
        type: str
      tag:
        description:
          - The tag of the code that runs from files.
        type: str
        default: emergency-file-fallback-v1
      release:
        description:
          - V(worktree) brings the code up in a git worktree of its own, so that the other apps of the checkout keep theirs.
          - V(checkout) checks it out in place, for every app of the checkout. A checkout with changes is refused.
        type: str
        choices: [worktree, checkout]
        default: worktree
      release_directory:
        description:
          - Where the worktree stands. The default is the checkout's path with C(-emergency) behind it.
        type: path
      env_file:
        description:
          - The C(.env) that the service reads. The default is C(.env) in the checkout. With a worktree it is copied into
            that and changed there.
        type: path
      settings:
        description:
          - What the C(.env) is made to say, and what PM2 passes to the service. The default is the three flags of the
            service's database code, all V(false).
        type: dict
        default:
          USE_DATABASE_AUTH_STATE: "false"
          USE_LEGACY_SUPABASE: "false"
          USE_REPOSITORY_PATTERN: "false"
      pm2_user:
        description:
          - The user PM2 runs as. Only root may name another than itself.
        type: str
      pm2_home:
        description:
          - The directory of that PM2. The default is C($PM2_HOME), or C(~/.pm2) of the user.
        type: path
      pm2_program:
        description:
          - Path of the program C(pm2). The default is the one in C(PATH).
        type: path
      npm_program:
        description:
          - The program that installs what the code needs where its lock file is another.
        type: str
        default: npm
      npm_timeout:
        description:
          - Seconds that may take.
        type: float
        default: 300
      stop_timeout:
        description:
          - Seconds within which every process of the app must be gone.
        type: float
        default: 30
      connected_timeout:
        description:
          - Seconds within which the service must be connected to WhatsApp.
        type: float
        default: 120
      connected_patterns:
        description:
          - Regular expressions (of Python), one of which stands in a line of the service's log once it is connected.
          - The default is what Baileys logs, C(opened connection to WA), or C(connection) with the value C(open). What it
            logs before the login, C(connected to WA), is no sign.
        type: list
        elements: str
      failed_patterns:
        description:
          - Regular expressions for lines that say that it will not connect.
          - The default is the status 401 or 440, and a QR code.
        type: list
        elements: str
      connections:
        description:
          - How many lines must tell of a connection; for a service of several companies their number.
        type: int
        default: 1
"""
