# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a drill in a real headless browser: in light and dark, narrow and wide, and on paper.

The pictures are kept in `.cache/screenshots`, for people to look at.
"""

from __future__ import annotations

import html
import os
import re
import struct
import zlib
from pathlib import Path

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.drill.drill_page import drill_page
from tests.support import browser, drills

SCREENSHOTS = Path(__file__).resolve().parents[2] / ".cache" / "screenshots"
DARK_INK, LIGHT_INK = [27, 29, 32], [228, 230, 233]
NARROW, WIDE = 390, 1200
VERDICTS = {"proven": "Proven", "suspect": "Suspect", "unjudged": "Not judged"}
PAGES = {name: drill_page(getattr(drills, name)()) for name in VERDICTS}


@pytest.fixture
def chromium(tmp_path):
    program = browser.find_browser()
    if program is None:
        assert not os.environ.get("CI"), browser.MISSING
        # A plain user may not install it, and no registry of packages has it; CI must.
        pytest.skip(browser.MISSING)
    return browser.Browser(program, tmp_path)


def png_size(path: Path) -> tuple[int, int]:
    """Width and height, from the picture's own header."""
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", content[16:24])
    return width, height


@pytest.mark.parametrize("width", [NARROW, WIDE])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("verdict", VERDICTS)
def test_a_page_as_a_person_sees_it(chromium, verdict, scheme, width):
    look = chromium.look(PAGES[verdict], scheme, width)
    assert look.measured["inner_width"] == width
    assert look.measured["scroll_width"] <= width
    assert re.search(f"^{VERDICTS[verdict]}$", look.measured["text"], re.MULTILINE)
    assert look.measured["background"] == {"light": "rgb(255, 255, 255)", "dark": "rgb(19, 21, 23)"}[scheme]
    assert look.measured["texts"] > 30
    assert look.measured["faint"] == []
    assert look.measured["smallest_text"] >= 12
    # Silent, and alone.
    assert look.console == []
    assert look.measured["refused"] == []
    assert look.measured["loaded"] == []
    assert look.requests == []
    # Kept whole: as high as the page is.
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    height = look.measured["scroll_height"]
    picture = SCREENSHOTS / f"drill-{verdict}-{scheme}-{width}.png"
    chromium.screenshot(PAGES[verdict], scheme, width, height, picture)
    assert png_size(picture) == (width, height)


def test_five_thousand_tables_fit_a_phone(chromium):
    look = chromium.look(drill_page(drills.with_tables(5000, bad=300)), "light", NARROW)
    assert look.measured["scroll_width"] <= NARROW
    assert "4,500\u00a0more tables" in look.measured["text"]


def test_names_that_want_to_be_a_program_are_shown_and_not_run(chromium):
    drill = drills.suspect()
    attack = "<script>document.title='run'</script><img src='https://example.org/x'>\"'"
    drill["source"] = attack
    drill["tables"][0]["table"] = attack
    look = chromium.look(drill_page(drill), "light", WIDE)
    assert look.measured["text"].count(attack) == 2
    assert look.measured["refused"] == []
    assert look.requests == []


@pytest.mark.parametrize("verdict", ["proven", "suspect"])
def test_on_paper_it_is_dark_ink_on_white(chromium, verdict):
    """However dark the screen is."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    target = SCREENSHOTS / f"drill-{verdict}.pdf"
    chromium.print_pdf(PAGES[verdict], "dark", target)
    printed = target.read_bytes()
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 7
    colours = [
        [round(255 * float(channel)) for channel in colour]
        for colour in re.findall(rb"([\d.]+) ([\d.]+) ([\d.]+) rg\b", painting(printed))
    ]
    assert DARK_INK in colours
    assert LIGHT_INK not in colours


def painting(pdf: bytes) -> bytes:
    """What a PDF paints: its compressed parts, one after the other."""
    parts = re.findall(rb"/FlateDecode.*?stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL)
    return b"".join(map(zlib.decompress, parts))


def test_a_browser_that_measures_finds_what_is_wrong(chromium):
    """Too wide, too faint, something loaded, a script of its own: each is seen, so that none goes unseen above."""
    wrong = (
        "<img src='https://example.invalid/x.png' style='width: 2000px; height: 1px'><b style='color: #eee'>faint</b>"
    )
    page = PAGES["unjudged"].replace("<footer>", f"{wrong}<script>document.title='run'</script><footer>")
    look = chromium.look(page, "light", NARROW)
    assert look.measured["scroll_width"] > NARROW
    assert look.measured["faint"] == ["faint"]
    assert {directive.partition("-")[0] for directive in look.measured["refused"]} == {"img", "script"}
    assert len(look.console) >= 2
    # Without the policy, the network is asked.
    look = chromium.look(page.replace(html.escape("default-src 'none'"), "img-src *"), "light", NARROW)
    assert any("example.invalid" in address for address in look.requests)
