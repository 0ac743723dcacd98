# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The look of a page: one calm style sheet for light, dark and paper."""

from __future__ import annotations

STYLE = """
:root {
  color-scheme: light dark;
  --ground: #ffffff; --raised: #f6f7f8; --ink: #1b1d20; --quiet: #5a5f67; --line: #dcdfe3;
  --good: #17693a; --bad: #b01e17; --unsure: #7d5200; --bar: #46679b;
  --good-ground: #eef7f1; --bad-ground: #fdf0ee; --unsure-ground: #fbf4e4; --old: #fbdcd8; --new: #d5eedd;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --ground: #131517; --raised: #1c1f22; --ink: #e4e6e9; --quiet: #a3a9b2; --line: #33383e;
    --good: #74cf98; --bad: #ff9187; --unsure: #eabd55; --bar: #86a8dc;
    --good-ground: #16241b; --bad-ground: #2b1a19; --unsure-ground: #272013; --old: #5b2522; --new: #1d4a2d;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 58rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere;
}
h1, h2, h3 { line-height: 1.25; font-weight: 600; text-wrap: balance; }
h1 { margin: 0 0 1.25rem; font-size: 1.75rem; letter-spacing: -0.01em; }
h2 { margin: 0 0 .75rem; font-size: 1.2rem; }
h3 { margin: 1.5rem 0 .5rem; font-size: 1rem; }
h4 { margin: 1rem 0 .5rem; font-size: .9375rem; font-weight: 400; }
p { margin: 0 0 .75rem; max-width: 42rem; }
.kicker { margin: 0 0 .25rem; color: var(--quiet); }
.quiet, footer { color: var(--quiet); }
section { margin-top: 2.25rem; padding-top: 1.5rem; border-top: 1px solid var(--line); }
footer { margin-top: 2.5rem; padding-top: 1rem; border-top: 1px solid var(--line); font-size: .875rem; }
footer p { margin: 0; }

.mark { width: 1.1em; height: 1.1em; margin-right: .3em; vertical-align: -.2em; fill: none; stroke: currentColor;
  stroke-width: 2.4; stroke-linecap: round; stroke-linejoin: round; }
.tone { font-weight: 600; }
.good { --tone: var(--good); --tone-ground: var(--good-ground); }
.bad { --tone: var(--bad); --tone-ground: var(--bad-ground); }
.unsure { --tone: var(--unsure); --tone-ground: var(--unsure-ground); }
.tone { color: var(--tone); }
.verdict { padding: 1.25rem 1.5rem; border-left: 4px solid var(--tone); background: var(--tone-ground); }
.verdict p:last-child { margin-bottom: 0; }
.verdict-word { margin-bottom: .4rem; font-size: 1.5rem; line-height: 1.2; }

dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(13rem, 100%), 1fr)); gap: 1rem 1.5rem;
  margin: 1rem 0; }
dt { color: var(--quiet); font-size: .875rem; }
dd { margin: 0; }
dl.long { grid-template-columns: 1fr; }

ul { margin: 0 0 .75rem; padding-left: 1.2rem; }
li { margin: .3rem 0; }
li::marker { color: var(--quiet); }

.scroll { margin: 1rem 0; overflow-x: auto; }
.scroll:focus-visible { outline: 2px solid var(--bar); outline-offset: 2px; }
table { width: 100%; border-collapse: collapse; font-size: .9375rem; }
caption { padding-bottom: .4rem; color: var(--quiet); text-align: left; font-size: .875rem; }
th, td { padding: .4rem .9rem .4rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top;
  font-weight: 400; }
th:last-child, td:last-child { padding-right: 0; }
tbody th { min-width: 9rem; }
td, thead th { overflow-wrap: break-word; }
td .tone { white-space: nowrap; }
thead th { color: var(--quiet); font-size: .875rem; vertical-align: bottom; }
.n { text-align: right; white-space: nowrap; }
td.n + td:not(.n), th.n + th:not(.n) { padding-left: .5rem; }

code, pre { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: .875em; }
pre { margin: 0; padding: .75rem 1rem; background: var(--raised); white-space: pre-wrap; line-height: 1.5; }
pre code { font-size: .8125rem; }
th pre { min-width: 15rem; margin-top: .3rem; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr)); gap: .75rem;
  margin: .5rem 0 1rem; }
figure { margin: 0; min-width: 0; }
figcaption { margin-bottom: .25rem; color: var(--quiet); font-size: .875rem; }
.pair figure { display: flex; flex-direction: column; }
.pair pre { flex: 1; }
del { background: var(--old); text-decoration: line-through 1px; }
ins { background: var(--new); text-decoration: underline 1px; text-underline-offset: .2em; }

.timeline td.track { width: 55%; vertical-align: middle; }
.track svg { display: block; }
.bar { fill: var(--bar); }
.chart { display: block; margin: 1rem 0 .5rem; overflow: visible; }
.chart text { fill: var(--quiet); font-size: .8125rem; }
.grid { stroke: var(--line); }
.path { stroke: var(--bar); stroke-width: 1.5; }
.target { stroke: var(--unsure); stroke-width: 1.5; stroke-dasharray: 5 4; }
.chart text.target-label { fill: var(--unsure); font-weight: 600; }
.point { fill: var(--bar); stroke: var(--bar); stroke-width: 2; }
.point.unsure { fill: var(--ground); stroke: var(--unsure); }
.point.bad { fill: none; stroke: var(--bad); stroke-width: 2.5; }
.key { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; padding: 0; list-style: none; color: var(--quiet);
  font-size: .875rem; }
.key svg { margin-right: .4rem; overflow: visible; }

@media (max-width: 34rem) {
  body { padding: 1.5rem 1rem 3rem; }
  h1 { font-size: 1.5rem; }
  .verdict { padding: 1rem; }
  table { font-size: .875rem; }
  th, td { padding-right: .6rem; }
  tbody th { min-width: 8.25rem; }
  .timeline td.track { width: 34%; }
}
@media print {
  @page { margin: 16mm; }
  html { font-size: 10pt; }
  body { max-width: none; padding: 0; }
  p { max-width: none; orphans: 3; widows: 3; }
  section { margin-top: 1.25rem; padding-top: 1rem; }
  h2, h3, h4, caption, figcaption { break-after: avoid; }
  thead { display: table-header-group; }
  tr, li, figure, dl div, .verdict, .timeline, .chart { break-inside: avoid; }
  .scroll { overflow: visible; }
  .verdict { border: 1px solid var(--line); border-left: 4px solid var(--tone); }
  pre { border: 1px solid var(--line); }
}
"""
