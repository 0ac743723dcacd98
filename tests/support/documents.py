# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what the Markdown of this project holds: headings, blocks of code, tables, links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("inventories/*/*.md")))

_FENCE = re.compile(r"^```(\w*)$")
_HEADING = re.compile(r"^(#+) (.*)$")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block of code and the heading it stands under."""

    section: str
    language: str
    text: str


@dataclass(frozen=True)
class Document:
    """One Markdown file, taken apart."""

    path: Path
    headings: tuple[str, ...]
    blocks: tuple[Block, ...]
    # Everything but the blocks, each line with the heading it stands under.
    prose: tuple[tuple[str, str], ...]

    def code(self, language: str, section: str | None = None) -> list[str]:
        """The blocks of a language, of one section or of all."""
        wanted = (block for block in self.blocks if section in (None, block.section))
        return [block.text for block in wanted if block.language == language]

    def rows(self, section: str) -> list[list[str]]:
        """The cells of every table row of a section, heads and rulers left out."""
        found: list[list[str]] = []
        table: list[list[str]] = []
        for line in [*(line for place, line in self.prose if place == section), ""]:
            if line.startswith("|"):
                table.append([cell.strip() for cell in line.strip("|").split("|")])
            else:
                found += table[2:]
                table = []
        return found

    def links(self) -> list[str]:
        return [link for _section, line in self.prose for link in _LINK.findall(line)]

    def inline_code(self) -> list[str]:
        return [code for _section, line in self.prose for code in literals(line)]


def read(path: Path) -> Document:
    """Take a Markdown file apart."""
    section, fence = "", None
    headings: list[str] = []
    blocks: list[Block] = []
    prose: list[tuple[str, str]] = []
    held: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        mark = _FENCE.match(line)
        if mark and fence is None:
            fence, held = mark[1], []
        elif mark and fence is not None:
            blocks.append(Block(section, fence, "".join(f"{kept}\n" for kept in held)))
            fence = None
        elif fence is not None:
            held.append(line)
        else:
            heading = _HEADING.match(line)
            if heading:
                section = heading[2]
                headings.append(section)
            prose.append((section, line))
    assert fence is None, f"{path}: a block of code has no end"
    return Document(path, tuple(headings), tuple(blocks), tuple(prose))


def literals(text: str) -> list[str]:
    """What stands between back-ticks."""
    return re.findall(r"`([^`]+)`", text)


def anchor(heading: str) -> str:
    """The anchor GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def all_code(document: Document) -> Iterator[str]:
    """Every piece of code of a document, in blocks and within lines."""
    yield from document.inline_code()
    yield from (block.text for block in document.blocks)
