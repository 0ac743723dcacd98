# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make build` and `make importer`: the two packages, and what Galaxy will say to the one meant for it."""

from __future__ import annotations

import re
import shutil

from scripts.check import Check
from scripts.tree import BIN, CACHE, ROOT, STAGE, ansible_environment

_DIST = ROOT / "dist"
_IMPORTED = CACHE / "importer"


def build_checks() -> list[Check]:
    """The Galaxy artefact and the wheel, from the staged copy, so that nothing untracked gets into them."""
    found = re.search(r"^version: (\S+)$", (ROOT / "galaxy.yml").read_text(), re.MULTILINE)
    if found is None:
        raise SystemExit("galaxy.yml has no line of the form `version: 1.2.3`.")
    version = found[1]
    collection = ("collection", "build", "--force", "--output-path", str(_DIST), str(STAGE))
    # Without isolation: the builder is in requirements/test.txt, pinned, and nothing is downloaded.
    wheel = ("--wheel", "--no-isolation", "--outdir", str(_DIST), str(STAGE))
    return [
        Check(
            "build-collection",
            [str(BIN / "ansible-galaxy"), *collection],
            environment=ansible_environment(),
            products=(_DIST / f"baileys-resilience-{version}.tar.gz",),
        ),
        Check(
            "build-wheel",
            [str(BIN / "python"), "-m", "build", *wheel],
            products=(_DIST / f"baileys_resilience-{version}-py3-none-any.whl",),
        ),
    ]


def importer_checks() -> list[Check]:
    """What Galaxy does with an upload: unpack, read metadata and every plugin's documentation, lint.

    Its own run of ansible-test is off, which is its default: it wants a container, and `make sanity` runs
    the same tests. flake8 is off as well: ruff knows its rules. What it only warns of fails here.
    """
    shutil.rmtree(_IMPORTED, ignore_errors=True)
    _IMPORTED.mkdir(parents=True)
    return [
        Check(
            "importer",
            [
                *(str(BIN / "python"), "-m", "galaxy_importer.main"),
                *("--git-clone-path", str(STAGE), "--output-path", str(_IMPORTED)),
            ],
            # It leaves its result in the working directory.
            cwd=_IMPORTED,
            environment={
                **ansible_environment(),
                "GALAXY_IMPORTER_RUN_ANSIBLE_TEST": "false",
                "GALAXY_IMPORTER_RUN_FLAKE8": "false",
                "GALAXY_IMPORTER_ANSIBLE_LOCAL_TMP": str(_IMPORTED / "tmp"),
            },
            forbidden=("WARNING:", "ERROR:", "CRITICAL:"),
        )
    ]
