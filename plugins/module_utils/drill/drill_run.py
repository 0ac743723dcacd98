# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run of drills on one source: every archive asked for, marked, remembered, and put on its page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..backup import catalogue
from ..backup.catalogue import Archive
from ..backup.verify import choose_archives
from ..reporting.progress import SILENT, Progress
from ..system.errors import ResilienceError
from ..system.lock import lock_for
from . import forecast
from .drill import PROVEN, SUSPECT, UNJUDGED, DrillRequest, drill_archive
from .self_test import self_test
from .tell_drill import keep_pages


@dataclass(frozen=True)
class DrillRun:
    """The results, newest archive first, and what could not be kept."""

    results: list[dict[str, Any]]
    warnings: list[str]


def run_drills(request: DrillRequest, *, with_self_test: bool = False, progress: Progress = SILENT) -> DrillRun:
    """Drill the archives asked for; the first of them is the one the self test works on.

    The state of every archive that could be judged becomes ``proven`` or ``suspect``, unless ``dry_run``. Raises
    ResilienceError when there is nothing to drill.
    """
    newest_only = request.only is None and not request.every
    chosen = _without_links(choose_archives(request.backup_root, request.only, newest_only))
    run = DrillRun([], [])
    for archive in chosen:
        result = drill_archive(request, archive, progress)
        if not request.dry_run:
            # At once: what was found must not be lost with a run that ends at a later archive.
            _mark(request, archive, result)
        if with_self_test and not run.results and result["verdict"] == PROVEN:
            result["self_test"], unplanted = self_test(request, archive, progress)
            run.warnings.extend(f"Not planted by the self test: {one}" for one in unplanted)
        if not request.dry_run:
            run.warnings.extend(_remember(request, result))
        run.results.append(result)
    return run


def _mark(request: DrillRequest, archive: Archive, result: dict[str, Any]) -> None:
    if result["verdict"] == UNJUDGED or archive.manifest is None:
        return
    held = result["verdict"] == PROVEN
    note = {
        "at": result["at"],
        "kind": "drill",
        "outcome": "held" if held else "failed",
        "problem": None if held else "; ".join(result["problems"][:5]),
    }
    with lock_for(os.path.join(request.backup_root, catalogue.LOCK_NAME), request.lock_timeout, False):
        now = catalogue.read_again(archive)
        # What was read is what is marked: another archive of that name would be none of ours.
        if now is not None and now.sha256 == archive.sha256:
            links = catalogue.links_of(now, catalogue.read_catalogue(request.backup_root))
            catalogue.mark(links, PROVEN if held else SUSPECT, note)


def _remember(request: DrillRequest, result: dict[str, Any]) -> list[str]:
    """Enter it into the history and keep its page; the drill stands whatever comes of that."""
    try:
        path = forecast.history_path(request.state_directory, request.source)
        forecast.add_to_history(path, result["history"][-1])
        result["page"], result["data"] = keep_pages(request.state_directory, result)
    except ResilienceError as error:
        return [f"The drill's page could not be kept: {error.message}"]
    return []


def _without_links(archives: Sequence[Archive]) -> list[Archive]:
    """Newest first, each archive once however many tiers it is linked into."""
    kept: list[Archive] = []
    for archive in sorted(archives, key=lambda one: one.sequence, reverse=True):
        if not any(other.path != archive.path for other in catalogue.links_of(archive, kept)):
            kept.append(archive)
    return kept
