# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The container images of the hosts in molecule's scenarios.

They are built in layers by molecule/images/Containerfile. What is below them is an image of a registry if
RESILIENCE_IMAGE names one, and otherwise a Debian that is put together from its packages.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import ssl
import subprocess
from pathlib import Path

from scripts.tree import CACHE, ROOT
from tests.support import node

# The suite of Debian that has PostgreSQL 18.
SUITE = "forky"
MIRROR = "http://deb.debian.org/debian"
PACKAGES = "ca-certificates,dbus,iproute2,mount,openssh-server,procps,python3,systemd-sysv"
STAGES = ("bare", "app", "full")
SOURCES = ROOT / "molecule" / "images"
WORK = CACHE / "molecule"
CONTAINERS_CONF = ROOT / "molecule" / "shared" / "containers.conf"


def environment() -> dict[str, str]:
    """What podman is run with: its settings for kernels that restrict what a container may raise."""
    return {**os.environ, "CONTAINERS_CONF": str(CONTAINERS_CONF)}


def podman(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run podman; raises CalledProcessError, whose `stderr` says why."""
    command = ["podman", *arguments]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, check=check)


def ensure() -> str:
    """Build what is missing, and return the tag that all images have. Raises CalledProcessError, NodeError."""
    WORK.mkdir(parents=True, exist_ok=True)
    with (WORK / "images.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _ensure(os.environ.get("RESILIENCE_IMAGE", ""))


def _ensure(base: str) -> str:
    tag = _tag(base)
    if all(podman("image", "exists", image(stage, tag), check=False).returncode == 0 for stage in STAGES):
        return tag
    if not base:
        base = _debian()
    context = _context()
    try:
        for stage in STAGES:
            podman(
                "build", "--quiet", "--build-arg", f"BASE={base}", "--target", stage, "--tag", image(stage, tag),
                "--file", str(SOURCES / "Containerfile"), str(context),
            )  # fmt: skip
    finally:
        shutil.rmtree(context)
    return tag


def image(stage: str, tag: str) -> str:
    """The full name of the image of one stage."""
    return f"localhost/resilience-{stage}:{tag}"


def _tag(base: str) -> str:
    """Changes with everything that an image is made from, but for what a mirror holds that day."""
    digest = hashlib.sha256("\n".join((base, SUITE, PACKAGES)).encode())
    for path in (*sorted(SOURCES.iterdir()), node.REPOSITORY / "tests/support/pm2/package-lock.json"):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _debian() -> str:
    """A small Debian from its packages; returns the image's name."""
    name = f"localhost/resilience-debian:{SUITE}"
    if podman("image", "exists", name, check=False).returncode == 0:
        return name
    archive = WORK / f"{SUITE}.tar"
    command = [
        "mmdebstrap", "--quiet", "--variant=minbase", "--mode=root", f"--include={PACKAGES}",
        "--aptopt=Acquire::Check-Valid-Until false", "--dpkgopt=force-unsafe-io",
        "--keyring=/usr/share/keyrings/debian-archive-keyring.gpg",
        SUITE, str(archive), f"deb {MIRROR} {SUITE} main",
    ]  # fmt: skip
    try:
        subprocess.run(command, capture_output=True, text=True, check=True)
        podman("import", "--quiet", str(archive), name)
    finally:
        archive.unlink(missing_ok=True)
    return name


def _context() -> Path:
    """A directory with what the Containerfile copies."""
    context = WORK / f"context-{os.getpid()}"
    shutil.rmtree(context, ignore_errors=True)
    context.mkdir(parents=True)
    shutil.copy(SOURCES / "container-init", context)
    shutil.copy(
        ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt", context / "ca-certificates.crt"
    )
    # Links, where the file system can: thousands of small files.
    modules = node.packages(node.REPOSITORY / "tests" / "support" / "pm2") / "node_modules"
    subprocess.run(["cp", "--archive", "--link", str(modules), str(context)], check=True)
    return context
