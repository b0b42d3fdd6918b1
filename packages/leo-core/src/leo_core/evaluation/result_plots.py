"""The plots of single results; each fills a figure that it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from leo_core.errors import MissingExtraError
from leo_core.evaluation.router_names import ROUTER_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "open_plot",
    "plot_ablation",
    "plot_committees",
    "plot_learning",
    "plot_pareto",
    "plot_promotion",
    "plot_routers",
    "plot_shares",
]

_SHOWN_NULL = 0.8
"""Accuracy of the streams without a difference that the promotion timeline shows."""
_SIZES = {"learning": (9.0, 4.0), "committees": (9.0, 5.0), "cost-against-quality": (8.0, 5.5)}


def open_plot(figure: str) -> Any:
    """An empty figure whose SVG keeps its words as text and its ids from run to run.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl  # noqa: PLC0415 - heavy and optional
        from matplotlib.figure import Figure  # noqa: PLC0415 - as above
    except ImportError as error:
        message = "bench"
        raise MissingExtraError(message, "drawing figures") from error
    mpl.rcParams["svg.fonttype"] = "none"
    mpl.rcParams["svg.hashsalt"] = "leo"
    return Figure(figsize=_SIZES.get(figure, (7.5, 4.5)), layout="constrained")


def _find_cell(result: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    """The first cell in which a field is filled."""
    for cell in result["full"]["cells"]:
        if cell.get(field):
            return cast("Mapping[str, Any]", cell)
    raise KeyError(field)


def _arms(value: float, low: float, high: float) -> list[list[float]]:
    """The arms of an interval; none where it leaves the value out by rounding."""
    return [[max(0.0, value - low)], [max(0.0, high - value)]]


def plot_pareto(result: Mapping[str, Any], figure: Any) -> None:
    """Cost against accuracy with 95 % intervals, for each set of prices, and the line of what nothing beats."""
    cells = result["full"]["cells"]
    for axes, cell in zip(figure.subplots(1, len(cells), squeeze=False)[0], cells, strict=True):
        rows = [row for row in cell["rows"] if row["cost_per_question_usd"] is not None]
        places = {row["name"]: (row["cost_per_question_usd"], row["accuracy"]) for row in rows}
        front = [places[name] for name in cell["front"]]
        axes.plot(*zip(*front, strict=True), color="grey", lw=0.8, zorder=0)
        for row in rows:
            low, high = row["accuracy_interval"]
            cost, accuracy = places[row["name"]]
            axes.errorbar(
                cost,
                accuracy,
                yerr=_arms(accuracy, low, high),
                fmt="o" if row["static"] else "D",
                color="C7" if row["static"] else None,
                ms=3 if row["static"] else 6,
                lw=0.6,
                label=None if row["static"] else row["name"],
            )
            if row["static"] and row["name"] in cell["front"]:
                axes.annotate(row["name"], (cost, accuracy), fontsize=5, xytext=(3, -6), textcoords="offset points")
        axes.set_xscale("log")
        axes.set_xlabel("cost per question (US$)")
        axes.set_ylabel("accuracy")
        axes.set_title(f"prices: {cell['prices']}", fontsize=9)
        axes.grid(visible=True, alpha=0.3)
        axes.legend(fontsize=6, loc="lower right")
    figure.suptitle(f"{result['data']}: cost against quality; grey: rules without LEO, line: Pareto front", fontsize=9)


def plot_learning(result: Mapping[str, Any], figure: Any) -> None:
    """Accuracy, cost and regret along the stream, with the least and the most over its orders."""
    cell = _find_cell(result, "learning")
    names = {"accuracy": "accuracy of a block", "cost": "US$ per question", "regret": "regret so far (US$)"}
    for axes, (name, label) in zip(figure.subplots(1, 3), names.items(), strict=True):
        for number, (variant, run) in enumerate(cell["learning"].items()):
            low, high = zip(*run[f"{name}_band"], strict=True)
            axes.plot(run["requests"], run[name], color=f"C{number}", label=variant)
            axes.fill_between(run["requests"], low, high, color=f"C{number}", alpha=0.15)
        axes.set_xlabel("requests")
        axes.set_ylabel(label)
        axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize=6)
    figure.suptitle(
        f"{result['data']}: learning over time, {result['full']['seeds']} orders (band: least to most); "
        f"regret against always {cell['best_fixed']}",
        fontsize=9,
    )


def plot_ablation(result: Mapping[str, Any], figure: Any) -> None:
    """Accuracy and cost with each stage off."""
    cell = _find_cell(result, "ablation")
    rows = list(reversed(cell["ablation"]))
    left, right = figure.subplots(1, 2, sharey=True)
    for place, row in enumerate(rows):
        colour = "C1" if row["name"] == "all stages" else "C0"
        low, high = row["accuracy_interval"]
        left.errorbar(row["accuracy"], place, xerr=_arms(row["accuracy"], low, high), fmt="o", color=colour)
        right.barh(place, row["cost_per_question_usd"], color=colour)
    left.set_yticks(range(len(rows)), [row["name"] for row in rows], fontsize=7)
    left.set_xlabel("accuracy")
    right.set_xlabel("cost per question (US$)")
    figure.suptitle(f"{result['data']}: every stage off in turn", fontsize=9)


def plot_shares(result: Mapping[str, Any], figure: Any) -> None:
    """Share of the questions by route, for each variant there is."""
    shares = {"LEO": result["route_shares"]}
    if "full" in result:
        shares = {
            f"{name}, {cell['prices']}": each
            for cell in result["full"]["cells"]
            for name, each in cell["route_shares"].items()
        }
    axes = figure.subplots()
    routes = sorted({route for each in shares.values() for route in each})
    bottom = [0.0] * len(shares)
    for route in routes:
        parts = [each.get(route, 0.0) for each in shares.values()]
        axes.barh(range(len(shares)), parts, left=bottom, label=route)
        bottom = [start + part for start, part in zip(bottom, parts, strict=True)]
    axes.set_yticks(range(len(shares)), list(shares), fontsize=7)
    axes.set_xlabel("share of the questions")
    axes.legend(fontsize=7, ncols=len(routes), loc="upper center", bbox_to_anchor=(0.5, 1.12))
    axes.set_title(f"{result['data']}: routes", fontsize=9, pad=22)


def plot_routers(result: Mapping[str, Any], figure: Any) -> None:
    """The gap recovered against the share of strong calls, a curve for each router, and both models alone."""
    axes = figure.subplots()
    for number, row in enumerate(reversed(result["routers"])):
        own = row["name"].startswith("leo_")
        axes.plot(
            [100 * share for share in result["shares"]],
            row["pgr"],
            color=f"C{number}" if own else f"{0.3 + 0.12 * (number % 5):.2f}",
            ls="-" if own else "--",
            lw=1.4 if own else 0.9,
            label=f"{ROUTER_NAMES.get(row['name'], row['name'])}: APGR {row['apgr']:.3f}",
        )
    always = result["always"]
    for share, recovered, name in ((0, 0, "small"), (100, 1, "large")):
        axes.plot(share, recovered, "ks", ms=4, clip_on=False)
        axes.annotate(
            f"always {name}: {always[name]:.1%} right",
            (share, recovered),
            xytext=(6, 8) if share == 0 else (-6, -12),
            textcoords="offset points",
            ha="left" if share == 0 else "right",
            fontsize=7,
        )
    axes.set_xlabel("share of strong calls (%)")
    axes.set_ylabel("performance gap recovered")
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize=6.5, loc="lower right", bbox_to_anchor=(1.0, 0.08))
    axes.set_title(f"{result['test']}, {result['embedder']}: routers, means over {result['seeds']} splits", fontsize=9)


def plot_committees(result: Mapping[str, Any], figure: Any) -> None:
    """Accuracy of each kind of committee with 95 % intervals."""
    axes = figure.subplots()
    cells = result["cells"]
    rules = {"leo": "LEO", "majority": "plain majority", "one_coin": "one-coin model", "best_single": "best member"}
    for number, (name, label) in enumerate(rules.items()):
        for place, cell in enumerate(cells):
            low, high = cell[f"{name}_interval"]
            arms = _arms(100 * cell[name], max(0.0, 100 * low), min(100.0, 100 * high))
            axes.errorbar(
                place + 0.15 * (number - 1.5),
                100 * cell[name],
                yerr=arms,
                fmt="D" if name == "leo" else "o",
                color=f"C{number}",
                ms=3,
                label=None if place else label,
            )
    names = [
        f"{cell['committee']}: {cell['adversaries']} {cell['kind']}"
        if cell["adversaries"]
        else f"{cell['committee']}: none"
        for cell in cells
    ]
    axes.set_xticks(range(len(cells)), names, rotation=60, ha="right", fontsize=7)
    axes.set_ylabel("accuracy (%)")
    axes.grid(visible=True, axis="y", alpha=0.3)
    axes.legend(fontsize=7)
    axes.set_title(f"{result['data']}: {result['draws']} committees of each kind, by size and adversaries", fontsize=9)


def plot_promotion(result: Mapping[str, Any], figure: Any) -> None:
    """Share of the streams in which a better challenger has been promoted, and of those where one was in vain."""
    axes = figure.subplots()
    for row in result["gains"]:
        steps = [(0, 0.0)]
        for place, trial in enumerate(row["timeline"], 1):
            if trial is not None:
                steps.append((trial, 100.0 * place / len(row["timeline"])))
        way = "shows both" if row["paired"] else "a coin"
        label = f"{row['base']:.0%} against {row['base'] + row['gain']:.0%}, {way}: {row['found']} found"
        line = axes.plot(*zip(*steps, strict=True), marker=".", ms=3, label=label)[0]
        if row.get("fixed_sample") is not None:
            axes.axvline(row["fixed_sample"], color=line.get_color(), ls=":", lw=0.9)
    for row in result["nulls"]:
        if row["base"] == _SHOWN_NULL and not row["drift"]:
            way = "shows both" if row["paired"] else "a coin"
            label = f"no difference, {way}: {row['share']:.1%} in vain, z-test each trial {row['naive_share']:.0%}"
            axes.plot(result["trials"], 100 * row["share"], "x", label=label)
    axes.set_xlabel("trials (dotted: what one z-test with 90 % power needs)")
    axes.set_ylabel("streams with a promotion so far (%)")
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize=6.5)
    axes.set_title(f"promotion on {result['streams']:,} simulated streams of each kind", fontsize=9)
