# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reports out of the results of Ansible tasks, of the failed ones that could not report themselves too."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .report import Report

# The last lines of a crashed module's output say what happened; the rest is where.
TAIL_LINES = 3
MAX_TEXT = 1000


def flatten(results: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The single results, where one of the list is that of a whole loop too."""
    for result in results:
        inner = result.get("results")
        # Only a loop's items carry the name of their variable: a module may return `results` of its own.
        if isinstance(inner, list) and inner and all("ansible_loop_var" in item for item in inner):
            yield from flatten(inner)
        else:
            yield result


def has_failed(result: Mapping[str, Any]) -> bool:
    """Whether Ansible counts this result as failed or unreachable."""
    return bool(result.get("failed") or result.get("unreachable"))


def subject_of(result: Mapping[str, Any]) -> str | None:
    """The source a looped task worked on: the ``name`` of the loop's item, or the item if it is a text."""
    item = result.get(str(result.get("ansible_loop_var") or "item"))
    name = item.get("name") if isinstance(item, Mapping) else item
    return str(name) if isinstance(name, (str, int)) and not isinstance(name, bool) and str(name) else None


def from_result(job: str, subject: str, result: Mapping[str, Any]) -> Report:
    """A fatal report of a failed or unreachable result that carries none; without any stack trace."""
    facts: list[tuple[str, str]] = []
    if result.get("unreachable"):
        title = "host unreachable: " + _one_line(result.get("msg"), "no message")
    elif _crashed(result):
        title = "the module crashed: " + _last_line(result)
    else:
        title = _one_line(result.get("msg"), "the task failed without a message")
    if result.get("stage"):
        facts.append(("Stage", _shorten(str(result["stage"]))))
    if isinstance(result.get("rc"), int):
        facts.append(("Exit status", str(result["rc"])))
    if result.get("stderr") and not _crashed(result):
        facts.append(("Standard error", _tail(str(result["stderr"]))))
    remedy = result.get("remedy")
    return Report(
        job=job,
        subject=subject,
        level="fatal",
        title=title,
        facts=tuple(facts),
        remedy=_shorten(str(remedy)) if remedy else None,
    )


def _crashed(result: Mapping[str, Any]) -> bool:
    # What ansible-core says of a module that died of an exception of its own, or printed no JSON. In 2.19 the
    # message is the exception's own text, and only the output tells.
    texts = [str(result.get(key) or "") for key in ("module_stderr", "module_stdout")]
    return any("Traceback (most recent call last)" in text for text in texts) or str(
        result.get("msg") or ""
    ).upper().startswith("MODULE FAILURE")


def _last_line(result: Mapping[str, Any]) -> str:
    for key in ("module_stderr", "module_stdout", "exception"):
        lines = [line.strip() for line in str(result.get(key) or "").splitlines() if line.strip()]
        if lines:
            return _shorten(lines[-1])
    return _one_line(result.get("msg"), "it left no message")


def _one_line(message: Any, otherwise: str) -> str:
    text = str(message or "").strip()
    # Some messages carry the stack trace themselves.
    text = re.split(r"\n?Traceback \(most recent call last\)", text)[0].strip() or _after_trace(text)
    return _shorten(" ".join(text.split())) or otherwise


def _after_trace(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _tail(text: str) -> str:
    return _shorten(" / ".join([line.strip() for line in text.splitlines() if line.strip()][-TAIL_LINES:]))


def _shorten(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
