# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real headless browser for pages: what it measures, what it says, what it prints.

Chromium's own switches do it all; nothing drives it from outside. What is measured is measured by a script
that is planted into a copy of the page, and let in by that copy's policy by its digest alone.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")
MISSING = "no Chromium is installed here; on Debian: sudo apt-get install chromium-headless-shell"
TIMEOUT_S = 60

# Of `blink-settings`.
SCHEMES = {"dark": 0, "light": 1}

# What only a browser can tell. Contrast as WCAG 2 defines it, for every text on what lies behind it.
MEASURE = """
const refused = [];
document.addEventListener('securitypolicyviolation', (event) => refused.push(event.violatedDirective));
const channels = (colour) => {
  const found = colour.match(/[\\d.]+/g).map(Number);
  return {rgb: found.slice(0, 3), alpha: found.length > 3 ? found[3] : 1};
};
const luminance = (colour) => {
  const [r, g, b] = channels(colour).rgb.map((c) => c / 255)
    .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const colour = getComputedStyle(at).backgroundColor;
    if (channels(colour).alpha === 1) return colour;
  }
  return 'rgb(255, 255, 255)';
};
const contrast = (element) => {
  const style = getComputedStyle(element);
  const of = [luminance(element.closest('svg') ? style.fill : style.color), luminance(behind(element))];
  return (Math.max(...of) + 0.05) / (Math.min(...of) + 0.05);
};
const texts = () => [...document.querySelectorAll('body *')]
  .filter((element) => !element.closest('script, title, desc') && element.getClientRects().length)
  .filter((element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
window.addEventListener('load', () => setTimeout(() => {
  const faint = texts().filter((element) => contrast(element) < 4.5).map((element) => element.textContent);
  const root = document.documentElement;
  const measured = {
    background: getComputedStyle(document.body).backgroundColor,
    inner_width: innerWidth,
    scroll_width: root.scrollWidth,
    scroll_height: root.scrollHeight,
    text: document.body.innerText,
    texts: texts().length,
    faint,
    refused,
    loaded: performance.getEntriesByType('resource').map((entry) => entry.name),
    smallest_text: Math.min(...texts().map((element) => parseFloat(getComputedStyle(element).fontSize))),
  };
  const out = document.createElement('script');
  out.type = 'application/json';
  out.id = 'measured';
  out.textContent = btoa(String.fromCharCode(...new TextEncoder().encode(JSON.stringify(measured))));
  document.body.append(out);
}, 0));
"""


class BrowserError(RuntimeError):
    """The browser did not do what it was asked."""


def find_browser() -> str | None:
    """The first Chromium on the path, if there is one."""
    return next((found for found in map(shutil.which, NAMES) if found), None)


@dataclass(frozen=True)
class Look:
    """A page as one window shows it."""

    measured: dict[str, Any]
    console: Sequence[str]
    requests: Sequence[str]


@dataclass(frozen=True)
class Browser:
    """Chromium, and a directory for its profile and the copies it reads."""

    program: str
    directory: Path

    def look(self, page: str, scheme: str, width: int, height: int = 900) -> Look:
        """Measure the page in a window of this size; `scheme` is `light` or `dark`."""
        network = self.directory / "network.json"
        network.unlink(missing_ok=True)
        done = self._run(
            with_script(page, MEASURE),
            *window(scheme, width, height),
            "--dump-dom",
            f"--log-net-log={network}",
            "--enable-logging=stderr",
        )
        found = re.search(r'<script type="application/json" id="measured">([^<]*)<', done.stdout)
        if not found:
            raise BrowserError(f"nothing was measured:\n{done.stdout[:2000]}\n{done.stderr[-2000:]}")
        measured = json.loads(base64.b64decode(html.unescape(found.group(1))))
        console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        return Look(measured, console, requests(network))

    def screenshot(self, page: str, scheme: str, width: int, height: int, target: Path) -> None:
        """Keep a picture of the page as it is, unmeasured."""
        self._run(page, *window(scheme, width, height), f"--screenshot={target}")

    def print_pdf(self, page: str, scheme: str, target: Path) -> None:
        """Print the page as it is."""
        self._run(page, *window(scheme, 1000, 800), "--no-pdf-header-footer", f"--print-to-pdf={target}")

    def _run(self, page: str, *switches: str) -> subprocess.CompletedProcess[str]:
        copy = self.directory / "page.html"
        copy.write_text(page, encoding="utf-8")
        with tempfile.TemporaryDirectory(dir=self.directory) as profile:
            command = [
                self.program,
                "--headless",
                # The page is our own, and root (CI) has no other way.
                *(["--no-sandbox"] if os.geteuid() == 0 else []),
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-background-networking",
                "--disable-component-update",
                "--no-first-run",
                "--hide-scrollbars",
                f"--user-data-dir={profile}",
                *switches,
                copy.as_uri(),
            ]
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                encoding="utf-8",
                errors="replace",
                timeout=TIMEOUT_S,
                check=False,
            )
        if done.returncode != 0:
            raise BrowserError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        return done


def window(scheme: str, width: int, height: int) -> list[str]:
    return [f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}", f"--window-size={width},{height}"]


def with_script(page: str, script: str) -> str:
    """The page with a script, and a policy that lets in this one and no other."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = html.escape(f"; script-src 'sha256-{digest}'")
    changed, number = re.subn(r'(http-equiv="Content-Security-Policy" content="[^"]*)"', rf'\1{policy}"', page)
    if number != 1:
        raise BrowserError("the page has no policy, or several")
    return changed.replace("<title>", f"<script>{script}</script><title>", 1)


def requests(network: Path) -> list[str]:
    """Every address a page asked for over the network, from Chromium's own log of it."""
    log = json.loads(network.read_text(encoding="utf-8"))
    asked = [event["params"]["url"] for event in log["events"] if "url" in event.get("params", {})]
    return [address for address in asked if not address.startswith(("file:", "data:", "chrome"))]
