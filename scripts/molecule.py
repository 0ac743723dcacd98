# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m scripts.molecule [SCENARIO...] [-- ARGUMENT...]: the scenarios on real hosts, and how long each part took.

Containers with systemd as their first process stand for hosts, so this wants root, and Debian or Ubuntu for what it
installs. Elsewhere it says so and does nothing; in CI that is a failure.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from scripts import host_images
from scripts.tree import BIN, CACHE, ROOT
from tests.support.node import NodeError

# The last by the alphabet, `emergency`, is the longest, so it comes first.
SCENARIOS = sorted((path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml")), reverse=True)
# netavark and aardvark-dns are the networks of podman, and the names in them.
SYSTEM_PACKAGES = (
    "podman", "runc", "netavark", "aardvark-dns", "iptables", "mmdebstrap", "debian-archive-keyring", "openssh-client",
)  # fmt: skip
AT_A_TIME = 2
# A step that finds no playbook or no tests is no failure for molecule; here it is one.
NOTHING_DONE = ("Missing playbook", "Skipping, no tests found")
BASE = ROOT / "molecule" / "shared" / "base.yml"


def main(arguments: list[str]) -> int:
    """Run the scenarios that are named, all of them without a name; 0 if all of them hold."""
    names, more = _split(arguments)
    unknown = sorted(set(names) - set(SCENARIOS))
    if unknown:
        print(f"There is no scenario {', '.join(unknown)}; there are {', '.join(SCENARIOS)}.", file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print("molecule: skipped, since its hosts are containers that only root can start.")
        return 1 if os.environ.get("CI") else 0
    started = time.monotonic()
    try:
        subprocess.run(["sh", "scripts/debian_packages.sh", *SYSTEM_PACKAGES], cwd=ROOT, check=True)
        tag = host_images.ensure()
    except NodeError as error:
        print(f"molecule: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"molecule: {' '.join(error.cmd[:2])} failed: {(error.stderr or '')[-3000:]}", file=sys.stderr)
        return 1
    seconds = {"images": time.monotonic() - started}
    chosen = names or SCENARIOS
    # Much of a scenario is waiting: for packages, for a tick, for a host to start. Steps by hand are watched one by one.
    with ThreadPoolExecutor(1 if more else AT_A_TIME) as pool:
        passed = list(pool.map(lambda name: _test(name, tag, more, seconds), chosen))
    failed = [name for name, well in zip(chosen, passed, strict=True) if not well]
    print("molecule: " + ", ".join(f"{name} {value:.0f} s" for name, value in seconds.items()))
    # A line in the form of a test runner's last one, which tools that read logs know.
    print(f"molecule: {len(chosen) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    if "--" not in arguments:
        return arguments, []
    at = arguments.index("--")
    return arguments[:at], arguments[at + 1 :]


def _test(name: str, tag: str, more: list[str], seconds: dict[str, float]) -> bool:
    """One scenario, from the creation of its hosts to their end: its whole output where it fails, a line otherwise."""
    log = CACHE / "log" / f"molecule-{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    directory = host_images.WORK / name
    environment = {
        **host_images.environment(),
        "PATH": f"{BIN}:{os.environ.get('PATH', os.defpath)}",
        "RESILIENCE_IMAGE_TAG": tag,
        "MOLECULE_EPHEMERAL_DIRECTORY": str(directory),
        # The checkout itself, and no copy that an earlier run or another tool has left for the user.
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".venv" / "collections"),
        "ANSIBLE_HOME": str(CACHE / "ansible"),
        # The tests of a scenario use what the others use.
        "PYTHONPATH": str(ROOT),
        "PY_COLORS": "0",
        "ANSIBLE_FORCE_COLOR": "0",
    }
    command = [str(BIN / "molecule"), "--base-config", str(BASE), *(more or ["test"]), "--scenario-name", name]
    started = time.monotonic()
    if more:
        finished = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    else:
        with log.open("w") as output:
            finished = subprocess.run(command, cwd=ROOT, env=environment, stdout=output, stderr=output, check=False)
    said = "" if more else log.read_text(errors="replace")
    passed = finished.returncode == 0 and not any(words in said for words in NOTHING_DONE)
    if not passed:
        print(said)
    seconds[name] = time.monotonic() - started
    outcome = "ok" if passed else f"FAILED (exit {finished.returncode})"
    print(f"molecule {name}: {outcome}, {seconds[name]:.0f} s, log in {log.relative_to(ROOT)}", flush=True)
    return passed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
