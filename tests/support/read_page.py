# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a page as strictly as nobody else does: every element closed, nothing asked of anybody outside."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

VOID = {"meta", "wbr", "br"}
# Of an element: whatever makes a browser fetch, follow, send or run something.
REFERENCES = {"src", "href", "srcset", "action", "data", "poster", "xlink:href", "background", "formaction"}


class Reader(HTMLParser):
    """Elements with their attributes in order, text, and what is wrong."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.problems: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, Any]]) -> None:
        given = {name: value or "" for name, value in attributes}
        self.elements.append((tag, given))
        if len(given) != len(attributes):
            self.problems.append(f"<{tag}> has an attribute twice")
        if tag == "script" or REFERENCES & set(given) or any(name.startswith("on") for name in given):
            self.problems.append(f"<{tag} {given}> runs or fetches something")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}> closes what is not open, line {self.getpos()[0]}")

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["style"]:
            if re.search(r"@import|url\(", data):
                self.problems.append("the style sheet fetches something")
        else:
            self.texts.append(data)

    @property
    def text(self) -> str:
        """All that is to be read, white space as it is."""
        return "".join(self.texts)

    def named(self, tag: str) -> list[dict[str, str]]:
        """The attributes of every element of this name."""
        return [attributes for name, attributes in self.elements if name == tag]


def read_page(page: str) -> Reader:
    """Read the page; fails with the first of its faults."""
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.problems == []
    assert reader.open == []
    assert page.startswith('<!DOCTYPE html>\n<html lang="en">')
    # No address but as a name somebody gave, and those are never followed.
    assert "https://" not in page
    page.encode("utf-8")
    return reader
