"""The look of the report: inline, no font or file from elsewhere, light and dark, wide and narrow, screen and paper."""

from __future__ import annotations

CSS = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #59636e; --line: #d9dee3; --page: #ffffff; --card: #f5f7f9;
  --strong: #0060a0; --up: #1a7f37; --down: #a33a00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --soft: #a3adb8; --line: #38414b; --page: #14181d;
  --card: #1d232a; --strong: #6cb8f0; --up: #5fcf80; --down: #f0a070; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 62rem; background: var(--page); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Noto Sans CJK SC", sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 1rem; }
h2 { font-size: 1.25rem; margin: 2.75rem 0 .75rem; padding-top: .75rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.5rem 0 .5rem; }
p { max-width: 46rem; margin: .5rem 0; overflow-wrap: anywhere; }
.headline { font-size: 1.3rem; line-height: 1.4; font-weight: 600; color: var(--strong); background: var(--card);
  border-left: .3rem solid var(--strong); padding: .9rem 1.1rem; max-width: none; }
.soft, figcaption, caption { color: var(--soft); font-size: .9rem; }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; padding: 0; }
a { color: var(--strong); }
figure { margin: 1rem 0; }
figure img { display: block; width: 100%; height: auto; background: #fff; border: 1px solid var(--line);
  border-radius: .4rem; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: .4rem; margin: .75rem 0; }
.scroll:focus-visible { outline: 2px solid var(--strong); }
table { border-collapse: collapse; width: 100%; font-size: .92rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: .6rem .75rem; }
caption span { display: block; position: sticky; left: .75rem; width: fit-content; max-width: calc(100vw - 4rem); }
tbody th, thead th:first-child { position: sticky; left: 0; background: var(--page); }
thead th:first-child, tr.proposed > th { background: var(--card); }
th, td { padding: .45rem .75rem; text-align: left; vertical-align: top; border-top: 1px solid var(--line); }
thead th { background: var(--card); white-space: nowrap; }
td.number, th.number { text-align: right; white-space: nowrap; }
tr.proposed > * { font-weight: 600; background: var(--card); }
tr.proposed > th { color: var(--strong); }
.band { display: block; color: var(--soft); font-size: .82rem; font-weight: 400; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.25rem; margin: .75rem 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
.turn { border: 1px solid var(--line); border-radius: .4rem; padding: .75rem 1rem; margin: .75rem 0; }
.turn p { margin: .15rem 0; }
.turn ol { margin: .4rem 0 0; padding-left: 1.6rem; }
.up { color: var(--up); } .down { color: var(--down); }
.moved { font-size: .85rem; white-space: nowrap; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: .4rem; padding: .75rem 1rem;
  white-space: pre-wrap; overflow-wrap: anywhere; font-size: .88rem; }
@media (max-width: 36rem) { dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .5rem; }
  h1 { font-size: 1.35rem; } .headline { font-size: 1.1rem; } th, td { padding: .4rem .5rem; } }
@media print { body { max-width: none; } .scroll { overflow: visible; } figure, .turn { break-inside: avoid; } }
"""
