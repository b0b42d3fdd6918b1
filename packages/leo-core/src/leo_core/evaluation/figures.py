"""Figures, drawn from results only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from leo_core.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "check_figure",
    "draw_committees",
    "draw_cost_against_accuracy",
    "draw_learning_curves",
    "draw_reliability",
]


def draw_cost_against_accuracy(result: Mapping[str, Any], path: Path) -> None:
    """Cost per question against accuracy with 95 % intervals, LEO beside the baselines.

    Args:
        result: What :func:`leo_core.evaluation.replay.run_replay` returned.
        path: File to write; its ending says the format (``.svg``, ``.png``, ``.pdf``).

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = _open_figure(7.0, 4.5)
    axes = figure.subplots()
    rules = [{"name": "LEO", **result}, *result["baselines"]]
    drawn = [rule for rule in rules if rule["cost_per_question_usd"] is not None]
    for rule in drawn:
        low, high = rule["accuracy_interval"]
        axes.errorbar(
            rule["cost_per_question_usd"],
            rule["accuracy"],
            yerr=[[max(0.0, rule["accuracy"] - low)], [max(0.0, high - rule["accuracy"])]],
            fmt="D" if rule["name"] == "LEO" else "o",
            capsize=3,
            label=rule["name"],
        )
    axes.set_xlabel("cost per question (US$)")
    axes.set_ylabel("accuracy")
    axes.set_title(f"{result['data']}, {result['questions']} questions, seed {result['seed']}")
    axes.grid(visible=True, alpha=0.3)
    if drawn:
        axes.legend()
    figure.savefig(path)


def draw_learning_curves(result: Mapping[str, Any], path: Path) -> None:
    """Hits of the last requests along the stream, and wrong hits so far beside what was promised.

    Args:
        result: What :func:`leo_core.evaluation.cache_bench.run_cache` returned.
        path: File to write; its ending says the format (``.svg``, ``.png``, ``.pdf``).

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = _open_figure(8.0, 3.6)
    left, right = figure.subplots(1, 2)
    for number, promise in enumerate(result["promises"]):
        colour, delta = f"C{number}", promise["max_wrong_hits"]
        for seed, curve in enumerate(promise["curves"]):
            steps = list(zip([(0, 0, 0), *curve[:-1]], curve, strict=True))
            places = [now[0] for _, now in steps]
            hits = [(now[1] - before[1]) / (now[0] - before[0]) for before, now in steps]
            left.plot(places, hits, color=colour, alpha=0.5, lw=0.8, label=f"δ = {delta:g}" if seed == 0 else None)
            right.plot(places, [now[2] / now[0] for _, now in steps], color=colour, alpha=0.5, lw=0.8)
        right.axhline(delta, color=colour, ls="--", lw=1.0)
    left.set_ylabel("hits among the latest requests")
    right.set_ylabel("wrong hits over all requests")
    for axes in (left, right):
        axes.set_xlabel("requests")
        axes.set_ylim(bottom=0.0)
        axes.grid(visible=True, alpha=0.3)
        if result["drifts_at"] is not None:
            axes.axvline(result["drifts_at"], color="black", ls=":", lw=1.0)
    left.legend()
    figure.suptitle(f"{result['data']}, {result['embedder']}, {result['seeds']} seeds; dashed: promised")
    figure.savefig(path)


def draw_committees(result: Mapping[str, Any], path: Path) -> None:
    """Accuracy of each kind of committee with 95 % intervals, LEO beside a majority, one-coin model and best member.

    Args:
        result: What :func:`leo_core.evaluation.consensus_bench.run_consensus` returned.
        path: File to write; its ending says the format (``.svg``, ``.png``, ``.pdf``).

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    cells = result["cells"]
    figure = _open_figure(6.0 + 0.35 * len(cells), 4.5)
    axes = figure.subplots()
    rules = {"leo": "LEO", "majority": "plain majority", "one_coin": "one-coin model", "best_single": "best member"}
    for number, (name, label) in enumerate(rules.items()):
        means = [100 * cell[name] for cell in cells]
        spans = [50 * (cell[f"{name}_interval"][1] - cell[f"{name}_interval"][0]) for cell in cells]
        places = [at + 0.15 * (number - 1.5) for at in range(len(cells))]
        axes.errorbar(places, means, yerr=spans, fmt="D" if name == "leo" else "o", ms=4, capsize=2, label=label)
    names = [
        f"{cell['committee']}: {cell['adversaries']} {cell['kind']}"
        if cell["adversaries"]
        else f"{cell['committee']}: none"
        for cell in cells
    ]
    axes.set_xticks(range(len(cells)), names, rotation=60, ha="right")
    axes.set_ylabel("accuracy (%)")
    axes.set_title(f"{result['data']}, {result['draws']} committees each, {result['audit']:.0%} audited")
    axes.grid(visible=True, axis="y", alpha=0.3)
    axes.legend()
    figure.savefig(path)


def draw_reliability(result: Mapping[str, Any], path: Path) -> None:
    """Mean risk against the share of wrong verdicts, in bins of equal count.

    Args:
        result: What :func:`leo_core.evaluation.risk_bench.run_risk` returned.
        path: File to write; its ending says the format (``.svg``, ``.png``, ``.pdf``).

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = _open_figure(4.5, 4.5)
    axes = figure.subplots()
    risks, wrong, _ = zip(*result["reliability"], strict=True)
    most = 1.05 * max(*risks, *wrong)
    axes.plot([0.0, most], [0.0, most], color="black", ls=":", lw=1.0)
    axes.plot(risks, wrong, marker="o")
    axes.set_xlabel("risk")
    axes.set_ylabel("share of verdicts that are wrong")
    axes.set_title(f"{result['data']}, calibration error {result['ece']['risk']['ece']:.3f}")
    axes.grid(visible=True, alpha=0.3)
    figure.savefig(path)


def check_figure(path: Path) -> None:
    """Check that a figure can be written to a file, before the work for it is done.

    Raises:
        ConfigError: The file's ending is no known format, or its folder does not exist.
        MissingExtraError: matplotlib is not installed.
    """
    formats = _open_figure(1.0, 1.0).canvas.get_supported_filetypes()
    if path.suffix.removeprefix(".").lower() not in formats:
        message = f"cannot draw {path}: its ending must be one of {', '.join(sorted(formats))}"
        raise ConfigError(message)
    if not path.absolute().parent.is_dir():
        message = f"cannot draw {path}: there is no folder {path.absolute().parent}"
        raise ConfigError(message)


def _open_figure(width: float, height: float) -> Any:
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - heavy and optional
    except ImportError as error:
        message = "bench"
        raise MissingExtraError(message, "drawing figures") from error
    return Figure(figsize=(width, height), layout="constrained")
