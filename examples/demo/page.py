"""The demo as one HTML page without scripts and without anything from elsewhere."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from report import Section

__all__ = ["write_page"]

STYLE = """
:root{color-scheme:light dark;--back:#f6f7f9;--card:#fff;--ink:#1b2430;--soft:#5c6877;--line:#e1e6ec;--mark:#0a6c74;
--served:#0f8b8d;--explored:#e0a73d;--other:#b9c2cc}
@media (prefers-color-scheme:dark){:root{--back:#11161c;--card:#1a212a;--ink:#e6ebf0;--soft:#9aa7b4;--line:#2c3641;
--mark:#5cc8cc;--served:#3aaeb0;--explored:#d9a441;--other:#4a5663}}
*{box-sizing:border-box}body{margin:0;background:var(--back);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:68rem;margin:0 auto;padding:2.5rem 1.25rem 4rem}h1{font-size:2rem;line-height:1.2;margin:0 0 .5rem}
header p{color:var(--soft);max-width:46rem;margin:.25rem 0}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(10rem,1fr));gap:.75rem;margin:1.75rem 0}
.tile,section{background:var(--card);border:1px solid var(--line);border-radius:.75rem}
.tile{padding:1rem}.tile b{display:block;font-size:1.5rem;font-variant-numeric:tabular-nums;color:var(--mark)}
.tile span{color:var(--soft);font-size:.875rem}
section{padding:1.25rem 1.5rem;margin:1rem 0}h2{font-size:1.2rem;margin:0 0 .25rem}
h2 i{font-style:normal;color:var(--mark);margin-right:.5rem;font-variant-numeric:tabular-nums}
section>p{margin:.25rem 0 .75rem}.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}
th{text-align:left;color:var(--soft);font-weight:600;border-bottom:2px solid var(--line);white-space:nowrap}
th,td{padding:.45rem .75rem .45rem 0;vertical-align:top}td{border-bottom:1px solid var(--line);overflow-wrap:break-word}
tr:last-child td{border-bottom:0}.notes{color:var(--soft);font-size:.875rem;margin:.75rem 0 0;padding-left:1.1rem}
.notes li{overflow-wrap:anywhere}svg{display:block;width:100%;height:9rem;margin:.5rem 0}
.legend{display:flex;gap:1.25rem;flex-wrap:wrap;color:var(--soft);font-size:.875rem;margin-bottom:.75rem}
.legend span::before{content:"";display:inline-block;width:.75rem;height:.75rem;border-radius:.2rem;margin-right:.4rem;
background:var(--tone)}footer{color:var(--soft);font-size:.875rem;margin-top:2rem}
"""
PARTS = (("served", "served from the cache"), ("explored", "explored"), ("other", "nothing comparable kept"))
HEIGHT = 100
WIDTH = 20
GAP = 4


def write_page(sections: Sequence[Section], tiles: Sequence[tuple[str, str]], introduction: Sequence[str]) -> str:
    """The page.

    Args:
        sections: The steps, in order.
        tiles: The main figures: value and meaning.
        introduction: Paragraphs under the title.
    """
    lead = "".join(f"<p>{escape(text)}</p>" for text in introduction)
    figures = "".join(
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(name)}</span></div>' for value, name in tiles
    )
    steps = "".join(_section(place, section) for place, section in enumerate(sections, 1))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><title>LEO demo</title>'
        f"<style>{STYLE}</style></head><body><main><header><h1>LEO, step by step</h1>{lead}</header>"
        f'<div class="tiles">{figures}</div>{steps}'
        "<footer>Every figure on this page comes from the run that wrote it.</footer></main></body></html>\n"
    )


def _section(place: int, section: Section) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in section.columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in section.rows)
    notes = "".join(f"<li>{escape(note)}</li>" for note in section.notes)
    return (
        f'<section id="step-{place}"><h2><i>{place}</i>{escape(section.title)}</h2><p>{escape(section.claim)}</p>'
        f"{_chart(section.bars)}"
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        f"{f'<ul class=notes>{notes}</ul>' if notes else ''}</section>"
    )


def _chart(bars: Sequence[tuple[int, int, int]]) -> str:
    """Stacked bars, one per stretch of requests."""
    if not bars:
        return ""
    rectangles = []
    for place, parts in enumerate(bars):
        floor = float(HEIGHT)
        for (name, _), count in zip(PARTS, parts, strict=True):
            height = HEIGHT * count / sum(parts)
            floor -= height
            rectangles.append(
                f'<rect x="{place * WIDTH + GAP / 2}" y="{floor:.2f}" width="{WIDTH - GAP}" height="{height:.2f}" '
                f'fill="var(--{name})"><title>requests {place * sum(bars[0]) + 1} and on: {count} {name}</title></rect>'
            )
    legend = "".join(f'<span style="--tone:var(--{name})">{escape(label)}</span>' for name, label in PARTS)
    return (
        f'<svg viewBox="0 0 {len(bars) * WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="served and explored requests over the stream">{"".join(rectangles)}</svg>'
        f'<div class="legend">{legend}<span style="--tone:transparent">each bar: {sum(bars[0])} requests</span></div>'
    )
