# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make lint`: everything that can be said about the project without running it."""

from __future__ import annotations

from scripts.check import Check
from scripts.tree import BIN, CACHE, STAGE, ansible_environment, fingerprint, project_files

_CONTENTS = (
    "galaxy.yml",
    "README.md",
    "changelogs/",
    "docs/",
    "inventories/",
    "meta/",
    "playbooks/",
    "plugins/",
    "roles/",
)
_YAML = ("*.yml", "*.yaml", ".ansible-lint", ".yamllint")
_PYTHON = ("*.py", "pyproject.toml")


def checks() -> list[Check]:
    """The slowest first, so that the others run beside it."""
    return [*_ansible(), *_python(), *_other()]


def _ansible() -> list[Check]:
    environment = ansible_environment()
    lint_docs = ("lint-collection-docs", "--plugin-docs", "--validate-collection-refs", "dependent")
    return [
        Check(
            "ansible-lint",
            # Profile, strictness and the rest stand in .ansible-lint.
            [str(BIN / "ansible-lint"), "--nocolor"],
            cwd=STAGE,
            environment=environment,
            inputs=(*_CONTENTS, *_YAML),
        ),
        Check(
            "antsibull-docs",
            [str(BIN / "antsibull-docs"), *lint_docs, "--disallow-unknown-collection-refs", "."],
            cwd=STAGE,
            environment=environment,
            inputs=_CONTENTS,
        ),
        Check(
            "antsibull-changelog",
            [str(BIN / "antsibull-changelog"), "lint"],
            cwd=STAGE,
            environment=environment,
            inputs=("changelogs/", "galaxy.yml"),
        ),
    ]


def _python() -> list[Check]:
    # The collection as the oldest Python on a managed host sees it; the rest as the controller does.
    # mypy's cache does not notice every change of its settings, and then repeats what was wrong before it.
    cache = CACHE / "mypy" / fingerprint(["pyproject.toml", "requirements/test.txt"])[:16]
    mypy = [str(BIN / "mypy"), "--no-error-summary", "--cache-dir", str(cache), "--python-version"]
    directories = sorted({name.split("/")[0] for name in project_files() if name.endswith(".py") and "/" in name})
    rest = [name for name in directories if name != "plugins"]
    return [
        Check(
            "mypy-collection",
            [*mypy, "3.9", "--package", "ansible_collections.baileys.resilience.plugins"],
            inputs=("plugins/", "pyproject.toml"),
        ),
        Check("mypy-rest", [*mypy, "3.11", "--follow-imports", "silent", *rest], inputs=_PYTHON),
        Check("ruff-check", [str(BIN / "ruff"), "check", "--quiet", "--output-format", "concise", "."], inputs=_PYTHON),
        Check(
            "ruff-format",
            [str(BIN / "ruff"), "format", "--check", "--quiet", "--output-format", "concise", "."],
            inputs=_PYTHON,
        ),
    ]


def _other() -> list[Check]:
    shell_scripts = [name for name in project_files() if name.endswith(".sh") or name == ".ci/run"]
    return [
        Check("shellcheck", [str(BIN / "shellcheck"), *shell_scripts], inputs=tuple(shell_scripts)),
        Check("yamllint", [str(BIN / "yamllint"), "--strict", "."], cwd=STAGE, inputs=_YAML),
    ]
