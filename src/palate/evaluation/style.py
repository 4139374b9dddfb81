"""The look of the report: inline, no font or file from elsewhere, light and dark, wide and narrow, screen and paper."""

from __future__ import annotations

CSS = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #59636e; --line: #d9dee3; --page: #ffffff; --card: #f5f7f9;
  --strong: #0060a0; --up: #1a7f37; --down: #a33a00; --love: #b3124f; --second: #b34700; --third: #59636e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --soft: #a3adb8; --line: #38414b; --page: #14181d;
  --card: #1d232a; --strong: #6cb8f0; --up: #5fcf80; --down: #f0a070; --love: #ff8fb3; --second: #f0a060;
  --third: #a3adb8; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 62rem; background: var(--page); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Noto Sans CJK SC", sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .75rem; padding-top: .75rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.5rem 0 .5rem; overflow-wrap: anywhere; }
p { max-width: 46rem; margin: .5rem 0; overflow-wrap: anywhere; }
.headline { font-size: 1.3rem; line-height: 1.4; font-weight: 600; color: var(--strong); background: var(--card);
  border-left: .3rem solid var(--strong); padding: .9rem 1.1rem; max-width: none; }
.soft, caption { color: var(--soft); font-size: .9rem; }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: .5rem 0; padding: 0; }
a { color: var(--strong); }

.person { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .25rem 1rem .75rem;
  margin: 1rem 0; }
.person h3 { margin-top: .75rem; }
.person ol { margin: .25rem 0 .75rem; padding-left: 1.75rem; }
.person li { padding: .15rem 0; overflow-wrap: anywhere; }
.talk em { font-style: normal; font-weight: 600; }
.talk em.unknown { color: var(--soft); font-weight: 400; }
.title { font-weight: 600; margin-right: .5rem; }
.moved, .list .liked { font-size: .85rem; white-space: nowrap; margin-right: .5rem; }
.up { color: var(--up); } .down { color: var(--down); } .list .liked { color: var(--love); }
.why { display: block; color: var(--soft); font-size: .9rem; }
.verdict { font-weight: 600; border-left: .2rem solid var(--line); padding-left: .75rem; }
@media (min-width: 52rem) { .person { display: grid; grid-template-columns: 2fr 3fr; gap: 0 2rem; }
  .person h3 { grid-column: 1 / -1; } }

svg { display: block; width: 100%; max-width: 34rem; height: auto; margin: .5rem 0; }
svg text { font: 11px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; fill: var(--soft); }
svg .name { font-size: 12px; font-weight: 600; }
svg .grid { stroke: var(--line); stroke-width: 1; }
svg .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
svg .band-of { stroke: none; opacity: .15; }
svg .line.s0 { stroke: var(--strong); stroke-width: 3; }
svg .line.s1 { stroke: var(--second); stroke-dasharray: 6 3; }
svg .line.s2 { stroke: var(--third); stroke-dasharray: 2 3; }
svg .band-of.s0, svg .name.s0 { fill: var(--strong); }
svg .band-of.s1, svg .name.s1 { fill: var(--second); }
svg .band-of.s2, svg .name.s2 { fill: var(--third); }

table { border-collapse: collapse; width: 100%; margin: .75rem 0; font-size: .92rem;
  font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: .6rem 0; }
th, td { padding: .4rem .5rem; text-align: left; vertical-align: top; border-top: 1px solid var(--line);
  overflow-wrap: anywhere; }
thead th { background: var(--card); overflow-wrap: normal; }
tbody th { overflow-wrap: break-word; }
td.number, th.number { text-align: right; }
tr.proposed > * { background: var(--card); font-weight: 600; }
tr.proposed > th { color: var(--strong); }
.band { display: block; color: var(--soft); font-size: .82rem; font-weight: 400; }
details { border: 1px solid var(--line); border-radius: .5rem; padding: .25rem 1rem; margin: 1rem 0; }
summary { cursor: pointer; padding: .5rem 0; font-weight: 600; color: var(--strong); }
:focus-visible { outline: 2px solid var(--strong); outline-offset: 2px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.25rem; margin: .75rem 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: .4rem; padding: .75rem 1rem;
  white-space: pre-wrap; overflow-wrap: anywhere; font-size: .88rem; }

@media (max-width: 46rem) {
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .5rem; }
  h1 { font-size: 1.35rem; } .headline { font-size: 1.1rem; }
  .stacked, .stacked tbody, .stacked tr, .stacked th, .stacked td, .stacked caption { display: block; width: auto; }
  .stacked thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .stacked tr { border-top: 2px solid var(--line); padding: .35rem 0; }
  .stacked th, .stacked td { border: 0; padding: .15rem .25rem; }
  .stacked td, .stacked td.number { display: flex; justify-content: space-between; gap: 1rem; text-align: right; }
  .stacked td::before { content: attr(data-label); color: var(--soft); font-weight: 400; text-align: left; }
  .stacked .band { display: inline; margin-left: .5rem; }
  table:not(.stacked) :is(th, td) { padding: .35rem .2rem; } table:not(.stacked) .band { font-size: .75rem; }
}
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; } nav { display: none; }
  .person { background: none; } .person li, tr, svg { break-inside: avoid; } h2, h3 { break-after: avoid; }
  details::details-content { content-visibility: visible; block-size: auto; }
}
"""
