# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small application with npm packages that come from beside it, so that npm needs no registry."""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from tests.support import node
from tests.support.git import TAG, git, make_app


def npm() -> str:
    """The path of npm."""
    return str(Path(node.node()).with_name("npm"))


def make_npm_app(directory: Path) -> Path:
    """`make_app`, which needs `tiny` 1.0.0 at the tag and 2.0.0 at the newest commit, where it is installed."""
    app = make_app(directory)
    newest = git(app, "rev-parse", "HEAD").strip()
    git(app, "checkout", "--quiet", TAG)
    commit_packages(app, "1.0.0")
    git(app, "tag", "--annotate", "--force", TAG, "--message", "The last one")
    git(app, "checkout", "--quiet", "main")
    git(app, "reset", "--quiet", "--hard", newest)
    commit_packages(app, "2.0.0")
    return app


def commit_packages(app: Path, version: str, **more: Any) -> None:
    """Commit a lock file that asks for `tiny` in this version; `more` are further packages by their place."""
    (app / "vendor").mkdir(exist_ok=True)
    package = f"vendor/tiny-{version}.tgz"
    data = _tarball("tiny", version)
    (app / package).write_bytes(data)
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
    own = {"name": "app", "version": "1.0.0", "dependencies": {"tiny": f"file:{package}"}}
    packages = {
        "": own,
        "node_modules/tiny": {"version": version, "resolved": f"file:{package}", "integrity": integrity},
        **more,
    }
    (app / "package.json").write_text(json.dumps(own))
    (app / "package-lock.json").write_text(
        json.dumps({"name": "app", "version": "1.0.0", "lockfileVersion": 3, "requires": True, "packages": packages})
    )
    git(app, "add", "--all")
    git(app, "commit", "--quiet", "--message", f"tiny {version}")


def install(app: Path) -> None:
    """Install what the lock file asks for, as a developer would; the same only once, by npm."""
    lock = (app / "package-lock.json").read_bytes()
    installed = node.CACHE / f"tiny-{hashlib.sha256(lock).hexdigest()[:16]}"
    if not installed.exists():
        subprocess.run(
            [npm(), "ci", "--no-audit", "--no-fund", "--offline"],
            cwd=app,
            env={"PATH": node.SEARCH_PATH, "HOME": str(app.parent)},
            check=True,
            capture_output=True,
        )
        partial = Path(tempfile.mkdtemp(dir=node.CACHE))
        shutil.copytree(app / "node_modules", partial / "node_modules", symlinks=True)
        # Another test process may have been quicker.
        with contextlib.suppress(OSError):
            partial.rename(installed)
        shutil.rmtree(partial, ignore_errors=True)
        return
    shutil.copytree(installed / "node_modules", app / "node_modules", symlinks=True)


def tiny_version(directory: Path) -> str | None:
    """Which `tiny` the code in the directory gets; None if none."""
    asked = "try { console.log(require('tiny')) } catch (error) { if (error.code !== 'MODULE_NOT_FOUND') throw error }"
    done = subprocess.run(
        [node.node(), "-e", asked], cwd=directory, env={"PATH": os.defpath}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip() or None


def _tarball(name: str, version: str) -> bytes:
    stream = io.BytesIO()
    files = {
        "package/package.json": json.dumps({"name": name, "version": version}),
        "package/index.js": f"module.exports = '{version}'\n",
    }
    # Without the time in it, the same package is the same bytes.
    with (
        gzip.GzipFile(fileobj=stream, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for path, text in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return stream.getvalue()
