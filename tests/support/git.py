# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Git as a developer uses it, and a small application to use it on."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

TAG = "emergency-file-fallback-v1"


def git(directory: Path, *words: str) -> str:
    """Run git as a developer would, whoever that is; returns what it prints."""
    identity = {"NAME": "A Developer", "EMAIL": "developer@example.net"}
    environment = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in identity.items()}
    done = subprocess.run(
        ["git", "-C", str(directory), *words],
        env={"PATH": os.environ["PATH"], "HOME": os.devnull, "LC_ALL": "C.UTF-8", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def make_app(directory: Path) -> Path:
    """A checkout `app` with the tag, a newer commit, files that git ignores, and a hook that leaves `hook-ran`."""
    app = directory / "app"
    app.mkdir()
    git(app, "init", "--quiet", "--initial-branch", "main")
    (app / ".gitignore").write_text("node_modules\n.env\n*.log\nsessions\n")
    for name in ("service.js", "files.js"):
        (app / name).write_text("// on files\n")
    git(app, "add", ".")
    git(app, "commit", "--quiet", "--message", "Keep a way to run on files: ünïcødé ✓")
    git(app, "tag", "--annotate", TAG, "--message", "The last one")
    (app / "files.js").unlink()
    for name in ("service.js", "new.js"):
        (app / name).write_text("// on PostgreSQL\n")
    git(app, "add", "--all")
    git(app, "commit", "--quiet", "--message", "Remove the way to run on files")
    (app / ".env").write_text("A=1\n")
    hook = app / ".git/hooks/post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {directory}/hook-ran\n")
    hook.chmod(0o755)
    return app
