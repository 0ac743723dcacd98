# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run Python as a user who may read little: the interpreter of the tests may lie in a home that is closed to others."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from functools import cache

from tests.support.playbooks import COLLECTIONS

NOBODY = 65534
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--")
# The packages of the tests' environment and the collection, for an interpreter that is not its own.
PACKAGES = (str(COLLECTIONS), sysconfig.get_path("purelib"))


@cache
def python_for_others() -> str:
    """An interpreter of the same version as this one that everybody may run."""
    version = "{}.{}".format(*sys.version_info)
    candidates = (os.path.realpath(sys.executable), f"/usr/bin/python{version}", "/usr/bin/python3")
    ask = "import json, sys; print('{}.{}'.format(*sys.version_info))"
    for candidate in candidates:
        # By way of env: setpriv itself still finds what only root may.
        asked = subprocess.run([*AS_NOBODY, "env", "-i", candidate, "-c", ask], capture_output=True, check=False)
        if asked.stdout.decode().strip() == version:
            return candidate
    raise AssertionError(f"No Python {version} that others than root may run: {', '.join(candidates)}")
