"""Figures drawn from result files of ``leo bench … --json``, and from nothing else.

Every SVG names the file that it was drawn from and the command that made it, in its caption and in its metadata.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from leo_core.errors import ConfigError
from leo_core.evaluation.figures import check_figure
from leo_core.evaluation.result_plots import (
    open_plot,
    plot_ablation,
    plot_committees,
    plot_learning,
    plot_pareto,
    plot_promotion,
    plot_routers,
    plot_shares,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

__all__ = ["draw_all", "read_results"]

FIGURES: dict[str, tuple[str, str, Callable[[Mapping[str, Any], Any], None]]] = {
    "cost-against-quality": ("replay", "full", plot_pareto),
    "learning": ("replay", "full", plot_learning),
    "ablation": ("replay", "full", plot_ablation),
    "route-shares": ("replay", "route_shares", plot_shares),
    "routers": ("route", "shares", plot_routers),
    "committees": ("consensus", "cells", plot_committees),
    "promotion-timeline": ("promotion", "gains", plot_promotion),
}
"""Per figure: the benchmark that it is drawn from, a field that the result has to have, and how."""


def read_results(paths: Iterable[Path]) -> list[tuple[str, dict[str, Any]]]:
    """Names and contents of result files: each file given, and every ``*.json`` of each folder given.

    Raises:
        ConfigError: There is no such file or folder, a folder holds none, or a file is no result.
    """
    found = []
    for path in paths:
        if path.is_dir():
            files = sorted(path.glob("*.json"))
        elif path.is_file():
            files = [path]
        else:
            message = f"there is no file or folder {path}"
            raise ConfigError(message)
        if not files:
            message = f"{path} holds no result file (*.json)"
            raise ConfigError(message)
        found += [(file.name, _read(file)) for file in files]
    return found


def _read(file: Path) -> dict[str, Any]:
    try:
        result = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        message = f"{file.name} cannot be read as JSON: {error}"
        raise ConfigError(message) from error
    if not isinstance(result, dict) or not isinstance(result.get("benchmark"), str):
        message = f"{file.name} is no result of leo bench … --json: it has no field benchmark"
        raise ConfigError(message)
    return result


def draw_all(paths: Iterable[Path], folder: Path) -> dict[str, Any]:
    """Draw every figure that the results allow, one SVG for each result file.

    Args:
        paths: Result files, or folders of them.
        folder: Where the SVG files go; made when absent.

    Returns:
        ``drawn``: ``figure``, ``file``, ``source``; ``left_out``: ``figure``, ``why``.

    Raises:
        ConfigError: A path is wrong or a file is no result, or the folder cannot be made.
        MissingExtraError: matplotlib is not installed.
    """
    results = read_results(paths)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"cannot make the folder {folder}: {error}"
        raise ConfigError(message) from error
    check_figure(folder / "any.svg")
    drawn, missing = [], []
    for figure, (benchmark, needed, plot) in FIGURES.items():
        sources = [(name, result) for name, result in results if result["benchmark"] == benchmark]
        fitting = [(name, result) for name, result in sources if needed in result]
        reasons = [] if fitting else [_why_not(benchmark, needed, sources)]
        for name, result in fitting:
            target = folder / f"{figure}-{name.removesuffix('.json')}.svg"
            why = _draw(result, name, target, figure, plot)
            if why is None:
                drawn.append({"figure": figure, "file": target.name, "source": name})
            else:
                reasons.append(why)
        missing += [{"figure": figure, "why": why} for why in reasons]
    return {"drawn": drawn, "left_out": missing}


def _why_not(benchmark: str, needed: str, sources: list[tuple[str, dict[str, Any]]]) -> str:
    if not sources:
        return f"no result of leo bench {benchmark} --json"
    extra = " (leo bench replay --full)" if needed == "full" else ""
    return f"{', '.join(name for name, _ in sources)} lacks the field {needed}{extra}"


def _draw(
    result: Mapping[str, Any], name: str, target: Path, figure: str, plot: Callable[[Mapping[str, Any], Any], None]
) -> str | None:
    """Draw one figure; says why not where a field is missing or of another form."""
    command = str(result.get("command") or f"leo bench {result['benchmark']} --json")
    caption = f"Source: {name}, written by: {command}"
    picture = open_plot(figure)
    try:
        plot(result, picture)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        return f"{name} lacks what the figure needs ({type(error).__name__}: {error})"
    picture.supxlabel(caption, fontsize=6, wrap=True)
    picture.savefig(target, metadata={"Title": figure, "Source": name, "Description": caption, "Date": None})
    return None
