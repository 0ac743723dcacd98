# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A collection and a package so small that a release of them is built in seconds: with a self check that a test writes."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

from ansible_collections.baileys.resilience.plugins.module_utils.runner.python import PackageSource
from ansible_collections.baileys.resilience.plugins.module_utils.runner.release import ReleaseRequest

PASSES = "import sys, tiny\nprint('warning: nothing to dump with')\nprint('ok: all of it')\n"
FAILS = "import sys\nprint('problem: the playbooks cannot be read', file=sys.stderr)\nsys.exit(1)\n"


def archive_of(path: Path, files: dict[str, str]) -> Path:
    """A compressed archive of these files."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content.encode())
            archive.addfile(member, io.BytesIO(content.encode()))
    return path


def small_request(directory: Path, self_check: str = PASSES) -> ReleaseRequest:
    """What to build, below `directory`: the wheel lies there too, and no index is asked."""
    archive = archive_of(directory / "collection.tar.gz", {"console/self_check.py": self_check})
    wheels = directory / "wheels"
    wheels.mkdir(exist_ok=True)
    wheel = wheels / "tiny-1.0-py3-none-any.whl"
    if not wheel.exists():
        about = "tiny-1.0.dist-info"
        with zipfile.ZipFile(wheel, "w") as package:
            package.writestr("tiny.py", "")
            package.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
            package.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            package.writestr(f"{about}/RECORD", "")
    return ReleaseRequest(
        directory=str(directory / "opt"),
        collection_digest=hashlib.sha256(self_check.encode()).hexdigest(),
        collection_archive=str(archive),
        requirements=f"tiny==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n",
        packages=PackageSource(find_links=(str(wheels),), no_index=True),
        home=str(directory),
    )


def another(request: ReleaseRequest, number: int) -> ReleaseRequest:
    """The same with other contents, and so of another name."""
    return replace(request, requirements=f"# {number}\n{request.requirements}")
