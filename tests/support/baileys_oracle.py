# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Baileys itself, asked what it reads in a directory of session files, and told to write there.

Bytes are Python's `bytes` on this side.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support import node

MANIFEST_DIRECTORY = Path(__file__).parent / "baileys"

Keys = Mapping[str, Mapping[str, Any]]


class Baileys:
    """One Node.js process that answers any number of questions."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def read(self, directory: Path, keys: Mapping[str, Sequence[str]]) -> tuple[Any, dict[str, dict[str, Any]]]:
        """Credentials, and these keys (type -> ids), as `useMultiFileAuthState` gives them; None for a missing one."""
        ids = {key_type: list(names) for key_type, names in keys.items()}
        answer = self._ask({"do": "read", "directory": str(directory), "keys": ids})
        return answer["creds"], answer["keys"]

    def write(self, directory: Path, keys: Keys, creds: Mapping[str, Any] | None = None) -> None:
        """Write keys (None removes one), and change members of the credentials."""
        self._ask({"do": "write", "directory": str(directory), "keys": keys, "creds": creds})

    def _ask(self, question: Mapping[str, Any]) -> Any:
        questions, answers = self._process.stdin, self._process.stdout
        assert questions is not None
        assert answers is not None
        questions.write(json.dumps(_spell(question)).encode() + b"\n")
        questions.flush()
        return json.loads(answers.readline(), object_hook=_unspell)


@contextmanager
def baileys() -> Iterator[Baileys]:
    """Start it. Raises node.NodeError."""
    command = [node.node(), str(MANIFEST_DIRECTORY / "oracle.mjs")]
    directory = node.packages(MANIFEST_DIRECTORY)
    with subprocess.Popen(command, cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield Baileys(process)
        assert process.stdin is not None
        process.stdin.close()


def _spell(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"$bytes": value.hex()}
    if isinstance(value, Mapping):
        return {name: _spell(member) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_spell(member) for member in value]
    return value


def _unspell(members: dict[str, Any]) -> Any:
    return bytes.fromhex(members["$bytes"]) if set(members) == {"$bytes"} else members
