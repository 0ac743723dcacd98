# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A conversation held by Baileys' own signal repository: what one side has stored, and what it can still read."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tests.support import node
from tests.support.baileys_oracle import MANIFEST_DIRECTORY

# Type -> id -> value, as JSON text.
Texts = dict[str, dict[str, str]]


class Conversation:
    """Alice, Carol, and Bob, whose keys are handed out and in."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def talk(self) -> tuple[str, Texts]:
        """Let Alice and Bob exchange messages, directly and in a group; gives Bob's credentials and keys."""
        answer = self._ask({"do": "talk"})
        return answer["creds"], answer["keys"]

    def resume(self, creds: str, keys: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
        """Start Bob again with these keys alone, and go on writing: what comes of each kind of message.

        `direct` from Alice to him, his `answer`, `group` from Alice to the group, `toGroup` from him, and
        `firstContact` from Carol. A text that arrived, or `error: ...`.
        """
        answer = self._ask({"do": "resume", "creds": creds, "keys": keys})
        return {case: found.get("text") or f"error: {found['error']}" for case, found in answer.items()}

    def _ask(self, question: Mapping[str, Any]) -> Any:
        questions, answers = self._process.stdin, self._process.stdout
        assert questions is not None
        assert answers is not None
        questions.write(json.dumps(question).encode() + b"\n")
        questions.flush()
        return json.loads(answers.readline())


@contextmanager
def conversation() -> Iterator[Conversation]:
    """Start it. Raises node.NodeError."""
    command = [node.node(), str(MANIFEST_DIRECTORY / "signal.mjs")]
    directory = node.packages(MANIFEST_DIRECTORY)
    with subprocess.Popen(command, cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield Conversation(process)
        assert process.stdin is not None
        process.stdin.close()
