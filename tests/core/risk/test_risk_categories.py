"""The shipped categories on questions that took no part in their training, and categories of the user's own."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core import LEO, LEOConfig, Route, load_embedder
from leo_core.errors import ConfigError, ProviderError
from leo_core.providers.scripted import ScriptedModel
from leo_core.records import Embedding, Message, Novelty, Request
from leo_core.stages.embed.callable import CallableEmbedder
from leo_core.stages.risk.categories import CATEGORIES, CategoryNetwork, category_features, score_categories
from leo_core.stages.risk.config import RiskConfig, UserCategory
from leo_core.stages.risk.examples import _fit, background_questions, fit_categories
from leo_core.stages.risk.linear import sigmoid
from leo_core.stages.risk.request import score_request
from leo_core.stages.risk.state import RiskState
from leo_core.stages.risk.topics import topic_features
from leo_core.stages.route.config import RouteConfig

DATA = Path(__file__).parents[3] / "packages/leo-core/train/data"
STATIC = load_embedder("static")
CHILDREN = UserCategory(
    name="children",
    examples=(
        "Which car seat does a two-year-old need?",
        "My son is six, may he walk to school alone?",
        "What games can I play with a toddler on a train?",
        "How much screen time is right for a five-year-old?",
        "My daughter refuses to eat vegetables, what now?",
        "When do babies sleep through the night?",
        "How do I explain divorce to my seven-year-old?",
        "Which books do first graders like?",
        "Our little one bites other kids at nursery",
        "How do I toilet train my kid?",
    ),
    counter_examples=("How do I adopt a puppy?", "Which books do adults like?"),
)


def embed(text: str, embedder=STATIC) -> Embedding:
    return Embedding(vector=embedder.embed([text])[0], fingerprint=embedder.fingerprint)


def harm(text: str, embedding: Embedding | None) -> float:
    return sum(risk.probability for risk in score_categories(text, embedding))


def held_out() -> list[tuple[str, bool]]:
    rows = [
        json.loads(line)
        for path in sorted(DATA.glob("high_risk*.jsonl"))
        for line in path.read_text("utf-8").splitlines()
    ]
    return [
        (row["text"], row["category"] != "none")
        for row in rows
        if int(hashlib.sha256(row["text"].encode()).hexdigest(), 16) % 5 == 0
    ]


@pytest.mark.parametrize(("seeing", "recall", "precision"), [(True, 0.93, 0.77), (False, 0.92, 0.73)])
def test_high_risk_is_found_among_questions_held_out(seeing: bool, recall: float, precision: float) -> None:
    rows = held_out()
    assert len(rows) > 900
    called = [harm(text, embed(text) if seeing else None) >= RouteConfig().harm_above for text, _ in rows]
    right = sum(each and truth for each, (_, truth) in zip(called, rows, strict=True))
    assert right / sum(truth for _, truth in rows) >= recall
    assert right / sum(called) >= precision


def test_only_a_whole_vector_of_the_shipped_embedder_is_read() -> None:
    text = "My chest feels tight since lunch"
    seen = embed(text)
    other = replace(seen, fingerprint=replace(seen.fingerprint, table_sha256="0" * 64))
    assert score_categories(text, seen) != score_categories(text)
    assert score_categories(text, other) == score_categories(text)
    assert score_categories(text, embed(text, load_embedder("static", dimension=128))) == score_categories(text)
    assert score_categories(text, embed(text, load_embedder("hashed"))) == score_categories(text)


def test_the_vector_of_a_text_that_is_not_read_whole_is_left_out() -> None:
    text = "and so we went on " * 60 + "may I stop my insulin?"
    assert score_categories(text, embed(text)) == score_categories(text)


@given(st.text(max_size=200), st.booleans())
def test_categories_share_a_probability(text: str, seeing: bool) -> None:
    found = score_categories(text, embed(text) if seeing else None)
    assert tuple(risk.category for risk in found) == CATEGORIES
    assert all(risk.probability > 0.0 and risk.harm_above is None for risk in found)
    assert sum(risk.probability for risk in found) < 1.0


def test_the_network_computes_what_it_says() -> None:
    tokens = ["my", "rash"]
    draw = np.random.default_rng(0)
    topics = topic_features(tokens)
    network = CategoryNetwork(
        hashed=draw.integers(-127, 128, (64, 8)).astype(np.int8),
        hashed_scale=draw.random(8).astype(np.float32) / 100,
        dense=draw.normal(size=(2 + len(topics), 8)).astype(np.float32),
        bias=draw.normal(size=8).astype(np.float32),
        outputs=draw.normal(size=(3, 5)).astype(np.float32),
        slopes=(1.0, 0.5),
        shifts=(0.0, -1.0),
        table_sha256="",
        dimension=2,
    )
    found = category_features(tokens, 64)
    for vector, slope, shift in ((None, 1.0, 0.0), (np.array([0.6, 0.8], dtype=np.float32), 0.5, -1.0)):
        dense = np.concatenate([np.zeros(2) if vector is None else vector, topics])
        total = sum(network.hashed[bucket] * network.hashed_scale for bucket in found) / math.sqrt(len(found))
        total = total + dense @ network.dense + network.bias
        output = np.maximum(total[:3], 0.0) @ network.outputs + total[3:]
        power = np.exp(output[1:])
        anything = sigmoid(slope * (math.log(power.sum()) - output[0]) + shift)
        assert network.score(tokens, vector) == pytest.approx((anything * power / power.sum()).tolist(), rel=1e-4)


def test_the_model_file_stays_small() -> None:
    assert len((files("leo_core.stages.risk") / "models" / "categories.npz").read_bytes()) < 1_500_000


# ------------------------------------------------------------------------------------------ the user's own


def test_a_category_is_found_by_examples() -> None:
    (model,) = fit_categories((CHILDREN,), STATIC.embed, STATIC.fingerprint)
    for text in ("May a three-year-old drink juice every day?", "How do I get my toddler to sleep?"):
        found = model.score(embed(text))
        assert found is not None
        assert found.reached, text
    for text in ("How do I centre a div?", "What is the capital of Peru?", "Which books do adults like?"):
        found = model.score(embed(text))
        assert found is not None
        assert not found.reached, text


def test_a_counter_example_lowers_what_is_like_it() -> None:
    text = "Is a baby elephant heavier than a car?"
    plain = fit_categories((CHILDREN,), STATIC.embed, STATIC.fingerprint)[0].score(embed(text))
    more = replace(CHILDREN, counter_examples=("How heavy is a baby elephant?", "How heavy is a baby whale?"))
    told = fit_categories((more,), STATIC.embed, STATIC.fingerprint)[0].score(embed(text))
    assert plain is not None
    assert told is not None
    assert told.probability < plain.probability


def test_a_category_is_silent_without_a_vector_of_its_embedder() -> None:
    (model,) = fit_categories((CHILDREN,), STATIC.embed, STATIC.fingerprint)
    assert model.score(None) is None
    assert model.score(embed("my toddler", load_embedder("hashed"))) is None


def test_no_category_embeds_nothing() -> None:
    def fail(texts: object) -> None:
        raise AssertionError(texts)

    assert fit_categories((), fail, STATIC.fingerprint) == ()


def test_examples_that_an_embedder_cannot_tell_apart_are_refused() -> None:
    def same(texts: list[str]) -> np.ndarray:
        return np.tile(np.eye(8, dtype=np.float32)[0], (len(texts), 1))

    with pytest.raises(ConfigError, match="children"):
        fit_categories((CHILDREN,), same, STATIC.fingerprint)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 50.0))
def test_the_fit_stands_where_the_gradient_is_nought(seed: int, strength: float) -> None:
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(30, 4)) / 2.0
    y = (np.arange(30) < 10).astype(float)
    weight = np.where(y > 0, 1.5, 0.75)
    weights, intercept = _fit(x, y, weight, strength)
    wrong = weight * (y - 1 / (1 + np.exp(-(x @ weights + intercept))))
    assert x.T @ wrong == pytest.approx(weights / strength, abs=1e-4)
    assert wrong.sum() == pytest.approx(0.0, abs=1e-4)


def test_the_background_is_harmless_and_of_no_held_out_question() -> None:
    held = {text for text, _ in held_out()}
    questions = background_questions()
    assert len(set(questions)) == 400
    assert not held & set(questions)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"name": " "}, "name"),
        ({"name": "safety"}, "name"),
        ({"examples": ("a", "b", "c", "d", "d")}, "fewer than 5"),
        ({"examples": "a single text"}, "one text"),
        ({"examples": ("a", "b", "c", "d", " ")}, "empty"),
        ({"counter_examples": CHILDREN.examples[:1]}, "same text"),
        ({"harm_above": 1.5}, "harm_above"),
        ({"harm_above": math.nan}, "harm_above"),
    ],
)
def test_categories_that_make_no_sense_are_refused(change: dict[str, object], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        replace(CHILDREN, **change)


def test_two_categories_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="children"):
        RiskConfig(categories=(CHILDREN, CHILDREN))


def test_own_categories_stand_beside_the_shipped_ones_and_leave_their_harm_alone() -> None:
    models = fit_categories((CHILDREN,), STATIC.embed, STATIC.fingerprint)
    text = "How do I get my toddler to sleep?"
    request = Request(messages=(Message(role="user", content=text),))
    common = {"vector": None, "novelty": Novelty(value=0.5), "state": RiskState.fresh(), "config": RiskConfig()}
    plain = score_request(request, **common, embedding=embed(text))
    found = score_request(request, **common, embedding=embed(text), categories=models)
    assert [each.category for each in found.categories] == [*CATEGORIES, "children"]
    assert found.harmful == plain.harmful
    assert [each.category for each in found.reached] == ["children"]
    assert score_request(request, **common, categories=models).reached == ()


def make(category: UserCategory, **settings: object) -> LEO:
    config = LEOConfig(risk=RiskConfig(categories=(category,)), route=RouteConfig(small_when_novel=True, explore=False))
    small, large = ScriptedModel("small", replies="Yes.", cost=1e-6), ScriptedModel("large", replies="Yes.", cost=0.05)
    return LEO(small, large, config=config, seed=1, **settings)


def test_a_category_of_the_users_own_takes_the_strong_route() -> None:
    text = "Which cartoons do toddlers like?"
    with make(CHILDREN) as leo:
        answer = leo.ask(text)
        assert answer.route is Route.LARGE
        assert "category children" in answer.decision.why
        assert leo.ask("What is the capital of Peru?").route is not Route.LARGE
    with make(replace(CHILDREN, harm_above=1.0)) as leo:
        assert leo.ask(text).route is not Route.LARGE


def test_any_embedder_can_read_the_examples() -> None:
    own = CallableEmbedder(lambda texts: load_embedder("hashed").embed(texts), name="mine", dimension=256)
    with make(CHILDREN, embedder=own) as leo:
        assert leo.ask("My toddler of two refuses to eat vegetables, what now?").route is Route.LARGE


def test_an_embedder_that_cannot_read_the_examples_is_an_error_at_once() -> None:
    def fail(texts: list[str]) -> None:
        raise OSError(len(texts))

    with pytest.raises(ProviderError, match="mine"):
        make(CHILDREN, embedder=CallableEmbedder(fail, name="mine", dimension=8))
