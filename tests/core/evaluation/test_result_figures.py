"""Figures from result files alone."""

from __future__ import annotations

import json
import sys
from xml.etree import ElementTree as ET

import pytest

from leo_core.errors import ConfigError, MissingExtraError
from leo_core.evaluation.result_figures import draw_all

SPAN = [0.8, 0.9]


def rule(name, cost, *, static=True):
    return {
        "name": name,
        "static": static,
        "accuracy": 0.85,
        "accuracy_interval": SPAN,
        "cost_per_question_usd": cost,
    }


def replay_result():
    run = {"requests": [10, 20]}
    for name in ("accuracy", "cost", "regret"):
        run |= {name: [0.1, 0.2], f"{name}_band": [[0.0, 0.2], [0.1, 0.3]]}
    cell = {
        "prices": "recorded",
        "rows": [rule("LEO", 0.001, static=False), rule("always huge", 0.002), rule("unpriced", None)],
        "front": ["LEO"],
        "route_shares": {"LEO": {"cascade": 0.75, "large": 0.25}},
        "best_fixed": "cascade",
        "learning": {"LEO": run},
        "ablation": [rule("all stages", 0.001), rule("trust off", 0.002)],
    }
    return {
        "benchmark": "replay",
        "data": "tiny.jsonl",
        "command": "leo bench replay --data tiny.jsonl --full --json",
        "route_shares": {"cascade": 1.0},
        "full": {"seeds": 2, "cells": [cell]},
    }


PROMOTION = {
    "benchmark": "promotion",
    "streams": 100,
    "trials": 2000,
    "gains": [
        {"base": 0.8, "gain": 0.05, "paired": True, "found": 90, "timeline": [200, 400, None], "fixed_sample": 832},
        {"base": 0.8, "gain": 0.05, "paired": False, "found": 9, "timeline": [None, None, None], "fixed_sample": 2855},
    ],
    "nulls": [{"base": 0.8, "paired": True, "drift": False, "share": 0.013, "naive_share": 0.368}],
}
ROUTE = {
    "benchmark": "route",
    "test": "rows.jsonl",
    "embedder": "static",
    "seeds": 2,
    "shares": [0.0, 0.5, 1.0],
    "always": {"small": 0.64, "large": 0.87},
    "routers": [
        {"name": "random", "apgr": 0.5, "pgr": [0.0, 0.5, 1.0]},
        {"name": "leo_prior", "apgr": 0.6, "pgr": [0.0, 0.7, 1.0]},
    ],
}
RULES = ("leo", "majority", "one_coin", "best_single")
CELL = {"committee": 5, "adversaries": 1, "kind": "collude"}
CONSENSUS = {
    "benchmark": "consensus",
    "data": "tiny.jsonl",
    "draws": 10,
    "cells": [
        cell | dict.fromkeys(RULES, 0.85) | {f"{name}_interval": SPAN for name in RULES}
        for cell in (CELL, CELL | {"adversaries": 0, "kind": "none"})
    ],
}


def write(folder, **results):
    folder.mkdir(exist_ok=True)
    for name, result in results.items():
        (folder / f"{name}.json").write_text(json.dumps(result))
    return folder


def words_of(path):
    """All text in a parsed SVG, its metadata included."""
    return " ".join(" ".join(each.itertext()) for each in ET.parse(path).getroot())


def test_every_figure_is_drawn_and_names_its_source_and_command(tmp_path):
    results = write(tmp_path / "results", a=replay_result(), b=PROMOTION, c=ROUTE, d=CONSENSUS)
    found = draw_all([results], tmp_path / "out")
    assert found["left_out"] == []
    assert {figure["file"]: figure["source"] for figure in found["drawn"]} == {
        "cost-against-quality-a.svg": "a.json",
        "learning-a.svg": "a.json",
        "ablation-a.svg": "a.json",
        "route-shares-a.svg": "a.json",
        "promotion-timeline-b.svg": "b.json",
        "routers-c.svg": "c.json",
        "committees-d.svg": "d.json",
    }
    texts = {figure["file"]: words_of(tmp_path / "out" / figure["file"]) for figure in found["drawn"]}
    for figure in found["drawn"]:
        assert f"Source: {figure['source']}, written by:" in texts[figure["file"]].replace("\n", " ")
    for file, labels in {
        "cost-against-quality-a.svg": ["cost per question (US$)", "accuracy", "prices: recorded", "LEO"],
        "learning-a.svg": ["regret so far (US$)", "requests", "against always cascade"],
        "ablation-a.svg": ["all stages", "trust off"],
        "route-shares-a.svg": ["cascade", "large", "LEO, recorded"],
        "promotion-timeline-b.svg": ["80% against 85%, a coin: 9 found", "no difference, shows both: 1.3% in vain"],
        "routers-c.svg": [
            "LEO before the call, shipped prior: APGR 0.600",
            "random: APGR 0.500",
            "always small: 64.0% right",
            "always large: 87.0% right",
            "share of strong calls (%)",
        ],
        "committees-d.svg": ["5: 1 collude", "5: none", "plain majority", "best member", "10 committees of each kind"],
    }.items():
        assert [label for label in labels if label not in texts[file]] == []
    assert "leo bench replay --data tiny.jsonl --full --json" in texts["learning-a.svg"]


def test_a_drawing_is_the_same_each_time(tmp_path):
    results = write(tmp_path / "results", a=replay_result())
    for folder in ("one", "two"):
        draw_all([results / "a.json"], tmp_path / folder)
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


def test_what_is_missing_is_left_out_and_said(tmp_path):
    plain = replay_result()
    del plain["full"]
    found = draw_all([write(tmp_path / "results", a=plain)], tmp_path / "out")
    assert [figure["figure"] for figure in found["drawn"]] == ["route-shares"]
    why = {missing["figure"]: missing["why"] for missing in found["left_out"]}
    assert why["learning"] == "a.json lacks the field full (leo bench replay --full)"
    assert why["promotion-timeline"] == "no result of leo bench promotion --json"
    broken = replay_result()
    del broken["full"]["cells"][0]["ablation"]
    again = draw_all([write(tmp_path / "other", a=broken)], tmp_path / "out")
    why = {missing["figure"]: missing["why"] for missing in again["left_out"]}
    assert "a.json lacks what the figure needs" in why["ablation"]


@pytest.mark.parametrize(
    ("content", "said"), [("{", "cannot be read as JSON"), ("[]", "no field benchmark"), ("{}", "no field benchmark")]
)
def test_a_file_that_is_no_result_is_refused(tmp_path, content, said):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(ConfigError, match=said):
        draw_all([tmp_path], tmp_path / "out")


def test_a_missing_path_an_empty_folder_and_a_blocked_target_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="no file or folder"):
        draw_all([tmp_path / "none"], tmp_path / "out")
    with pytest.raises(ConfigError, match="holds no result file"):
        draw_all([tmp_path], tmp_path / "out")
    results = write(tmp_path / "results", a=ROUTE)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot make the folder"):
        draw_all([results], tmp_path / "file")


def test_without_matplotlib_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match="bench"):
        draw_all([write(tmp_path / "results", a=ROUTE)], tmp_path / "out")
