# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The application's own dotenv, asked what it reads in a text.

`python -m tests.support.dotenv_oracle` asks it again for every recorded vector and writes down its answers.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, cast

from tests.support import node

MANIFEST_DIRECTORY = Path(__file__).parent / "dotenv"
VECTORS = MANIFEST_DIRECTORY / "vectors.json"


class Ask(Protocol):
    """Gives the variables that dotenv reads in a text."""

    def __call__(self, text: str, /) -> dict[str, str]: ...


@contextmanager
def dotenv() -> Iterator[Ask]:
    """One Node.js process that answers any number of questions. Raises node.NodeError."""
    command = [node.node(), str(MANIFEST_DIRECTORY / "oracle.js")]
    directory = node.packages(MANIFEST_DIRECTORY)
    with subprocess.Popen(command, cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        questions, answers = process.stdin, process.stdout
        assert questions is not None
        assert answers is not None

        def ask(text: str, /) -> dict[str, str]:
            questions.write(json.dumps(text).encode() + b"\n")
            questions.flush()
            return cast("dict[str, str]", json.loads(answers.readline()))

        yield ask
        questions.close()


def recorded_vectors() -> list[tuple[str, dict[str, str]]]:
    """Texts, and what dotenv read in them when they were recorded."""
    return [(vector["text"], vector["variables"]) for vector in json.loads(VECTORS.read_text(encoding="ascii"))]


def record() -> None:
    """Ask again for every recorded text. A new one is put into the file by hand, with any variables."""
    with dotenv() as ask:
        vectors = [{"text": text, "variables": ask(text)} for text, _variables in recorded_vectors()]
    VECTORS.write_text(json.dumps(vectors, indent=1) + "\n", encoding="ascii")


if __name__ == "__main__":
    record()
