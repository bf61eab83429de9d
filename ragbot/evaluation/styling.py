"""The looks of report.html, in light and dark."""

STYLE = """\
:root { color-scheme: light dark; --ink: #1d2733; --paper: #fdfdfb; --line: #c9d1d9; --accent: #1f6f8b; --good: #1b6e3c; --bad: #a3262a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --paper: #14181c; --line: #3a434c; --accent: #6db7d1; --good: #7ccf9a; --bad: #f0898c; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem 1.5rem 4rem; font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); }
h1, h2, h3 { line-height: 1.25; }
section { margin-top: 2.5rem; border-top: 1px solid var(--line); overflow-x: auto; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1rem; padding: 0; list-style: none; }
a { color: var(--accent); }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; font-weight: normal; }
thead th { font-weight: 600; }
.good { color: var(--good); font-weight: 600; }
.bad { color: var(--bad); font-weight: 600; }
.gauge { width: 120px; height: 14px; border-bottom: 1px solid var(--line); }
.plots { display: flex; flex-wrap: wrap; gap: 1.5rem; }
figure { margin: 0; width: 22rem; }
figure svg { width: 100%; height: auto; }
figcaption { font-size: .85rem; }
svg text { font: 11px system-ui, sans-serif; fill: var(--ink); }
.grid { stroke: var(--line); stroke-width: .5; }
.line { fill: none; stroke: var(--accent); stroke-width: 2; }
.guide { fill: none; stroke: var(--ink); stroke-width: 1; stroke-dasharray: 3 3; }
.dot, .bar { fill: var(--accent); }
.span { fill: var(--accent); opacity: .4; }
.mark { stroke: var(--bad); stroke-width: 1.5; }
article { margin: 1rem 0; padding: .5rem 1rem; border-left: 3px solid var(--bad); overflow-wrap: anywhere; }
article h3 { margin: .2rem 0; font-size: 1rem; }
.id { margin: 0; font-size: .85rem; opacity: .8; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: .5rem 0; }
dt { font-weight: 600; }
dd { margin: 0; }
summary { cursor: pointer; }
"""
