# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a module in this process, with Ansible's own AnsibleModule: for tests that run one a hundred times.

A process of its own takes 0.3 s for each. `playbooks.run_module` is for what must be seen from outside.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
from collections.abc import Mapping
from typing import Any
from unittest import mock

from ansible.module_utils import _internal, basic
from ansible.module_utils.common import warnings

from tests.support.playbooks import MODULES


def run_here(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Run one module; returns its result, with its warnings as texts."""
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": dict(arguments)}).encode()
    basic._ANSIBLE_PROFILE = "legacy"
    warnings._global_warnings.clear()
    output = io.StringIO()
    # Where another test has a plugin of the controller, a module's warnings would go to its terminal.
    on_host = mock.patch.object(_internal, "is_controller", False)
    with on_host, contextlib.redirect_stdout(output), contextlib.suppress(SystemExit):
        importlib.import_module(f"{MODULES}.{name}").main()
    said = list(warnings.get_warning_messages())
    result: dict[str, Any] = json.loads(output.getvalue())
    return {**result, "warnings": said} if said else result
