"""LEO's main job, offline: questions come in, and leave as answers with receipts, by the cheapest trusted route.

Run it with ``make demo``, or ``python examples/demo/run.py --out some/folder``. It needs no network, no key and no
model server: three small local members answer for a bicycle shop. Every step is checked; when something that it
claims to show does not happen, it says so and exits with 1.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from handbook_search import open_llm, query_handbook
from page import write_page
from receipts import check_receipts
from report import DemoError, print_section
from rich.console import Console
from rich.panel import Panel
from shop import FAULTY_TAG, LARGE_TAG, SMALL_TAG, open_shop
from steps import (
    call_tool,
    let_traffic_through,
    refuse_near_misses,
    serve_paraphrase,
    show_costs,
    show_own_time,
    show_routes,
    stream_answers,
    undo_wrong_hits,
    vote,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from report import Section
    from shop import Shop

WHO = (
    "A bicycle shop answers its customers from a handbook. Three local members really read it: a lexical reader "
    "(small), an embedding reader (large), and a faulty reader that misreports numbers and negations."
)
PRICES = (
    "At the demo's price tags, in US dollars per million tokens in / out: small "
    f"{SMALL_TAG.input_usd:.2f} / {SMALL_TAG.output_usd:.2f}, large {LARGE_TAG.input_usd:.2f} / "
    f"{LARGE_TAG.output_usd:.2f}, faulty {FAULTY_TAG.input_usd:.2f} / {FAULTY_TAG.output_usd:.2f}. The readers "
    "themselves cost nothing; everything else is measured."
)
INTRODUCTION = (WHO, PRICES)
STORE = "demo.db"
WIDTH = 120
"""Of the tables, where the output does not go to a terminal."""


def main() -> int:
    """Run the demo; 0 when everything it claims happened, 1 otherwise."""
    out = _read_arguments()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    started = time.perf_counter()
    console.print(Panel("\n".join(INTRODUCTION), title="LEO", border_style="cyan"))
    sections: list[Section] = []
    try:
        for section in walk(_fresh_store(out), out, console):
            sections.append(section)
            print_section(console, len(sections), section)
    except DemoError as error:
        console.print(
            f"The demo failed: it claims that {error}, and that did not happen.", style="bold red", markup=False
        )
        return 1
    (out / "demo.html").write_text(write_page(sections, _tiles(sections), INTRODUCTION), encoding="utf-8")
    took = time.perf_counter() - started
    console.print(f"All {len(sections)} steps did what they claim, in {took:.1f} s.", style="bold green")
    console.print(f"The same as a page: {out / 'demo.html'}\nThe store: leo stats {out / STORE}", soft_wrap=True)
    return 0


def walk(store: Path, out: Path, console: Console) -> Iterator[Section]:
    """The steps, in order."""
    with ExitStack() as stack:
        shop: Shop = open_shop(store)
        stack.callback(shop.model.close)
        shop.model.leo.warm_up()
        traffic, seen, wrong = let_traffic_through(shop)
        yield traffic
        yield serve_paraphrase(shop)
        yield refuse_near_misses(shop)
        if wrong:
            yield undo_wrong_hits(shop, wrong)
        yield show_routes(seen)
        yield vote(shop)
        yield stream_answers(shop, console)
        yield call_tool(shop)
        llm = open_llm(store)
        stack.callback(llm.close)
        yield query_handbook(llm)
        yield show_costs(shop)
        yield check_receipts(shop.model.leo, seen[-1]["answer_id"], out)
        yield show_own_time(seen)


def _tiles(sections: list[Section]) -> list[tuple[str, str]]:
    traffic, costs, receipts = (
        _find(sections, title) for title in ("Explore before serving", "Spent and saved", "Receipts")
    )
    figures = dict(costs.rows)
    return [
        (traffic.rows[0][1], "requests explored, before and beside serving"),
        (str(int(traffic.rows[1][1]) + int(traffic.rows[2][1])), "requests served from the cache"),
        (traffic.rows[4][1].split("(")[1].rstrip(")"), "of the requests got a wrong paraphrase hit"),
        (figures["saved"], "saved, at the demo's price tags"),
        (figures["spent"], "spent, at the demo's price tags"),
        (receipts.claim.split(" ", 1)[0], "receipts verified offline"),
    ]


def _find(sections: list[Section], title: str) -> Section:
    return next(section for section in sections if section.title == title)


def _fresh_store(out: Path) -> Path:
    """The path of the store, without what an earlier run left there."""
    for suffix in ("", "-wal", "-shm", ".key"):
        (out / f"{STORE}{suffix}").unlink(missing_ok=True)
    return out / STORE


def _read_arguments() -> Path:
    parser = argparse.ArgumentParser(description="LEO's demo: offline, with local members.")
    parser.add_argument(
        "--out", type=Path, default=Path("out"), help="folder for the page and the store (default: out)"
    )
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    return out


if __name__ == "__main__":
    sys.exit(main())
