"""How well passages bear a claim out, in numbers."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from leo_core.records import Objection

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from leo_core.stages.grounding.reading import Claim, Knowledge, Passage
    from leo_core.stages.grounding.support import Evidence, Library

__all__ = ["FEATURES", "describe_claim"]

FEATURES = (
    "word_support",
    "content_support",
    "rare_support",
    "rare_support_anywhere",
    "soft_support",
    "least_soft",
    "pair_support",
    "triple_support",
    "longest_run",
    "unsupported",
    "rarest_missing",
    "missing_numbers",
    "elsewhere_numbers",
    "missing_names",
    "negation",
    "opposites",
    "from_question",
    "cosine",
    "cover",
    "personal",
    "asks_back",
    "size",
)
"""Names of the features, in order; shares lie in [0, 1], counts are log(1 + n)."""

_PERSONAL = frozenset("i i'm i've i'd i'll me my we our you your ich wir je nous yo nosotros".split())  # noqa: SIM905 - words read better as a text
_RAREST = 10.0
_CLOSE = 0.5
"""Share of the content that passages have to hold before their negation and opposites are compared with the claim's."""


def describe_claim(
    claim: Claim, evidence: Evidence, library: Library, knowledge: Knowledge
) -> tuple[dict[str, float], tuple[Objection, ...]]:
    """Features of a claim by name, and the objections to it."""
    read, passages = claim.reading, evidence.passages
    held = frozenset(stem for passage in passages for stem in passage.reading.stems)
    weights = {stem: knowledge.weigh(stem) for stem in read.content}
    missing = [stem for stem in read.content if stem not in library.stems]
    soft = _soften(read.content, held, weights, passages, knowledge)
    objections = list(_find_missing(claim, evidence, library, knowledge, missing))
    objections += _find_reversals(claim, evidence, knowledge)
    kinds = {each.kind: len(each.found) for each in objections}
    share = evidence.shares[-1] if evidence.shares else 0.0
    features = {
        "word_support": _share(read.stems, held),
        "content_support": _share(read.content, held),
        "rare_support": share,
        "rare_support_anywhere": 1.0 - sum(weights[stem] for stem in missing) / (sum(weights.values()) or 1.0),
        "soft_support": sum(soft[stem] * weights[stem] for stem in soft) / (sum(weights.values()) or 1.0),
        "least_soft": min(soft.values(), default=1.0),
        "pair_support": _gram_support(read.stems, passages, 2),
        "triple_support": _gram_support(read.stems, passages, 3),
        "longest_run": _longest_run(read.stems, passages),
        "unsupported": math.log1p(len(missing)),
        "rarest_missing": max((weights[stem] for stem in missing), default=0.0) / _RAREST,
        "missing_numbers": math.log1p(kinds.get("numbers", 0)),
        "elsewhere_numbers": math.log1p(len(_elsewhere(claim, passages))),
        "missing_names": math.log1p(kinds.get("names", 0)),
        "negation": float("negation" in kinds),
        "opposites": float("opposites" in kinds),
        "from_question": sum(stem in library.asked.content for stem in missing) / len(missing) if missing else 0.0,
        "cosine": _cosine(claim, passages, knowledge),
        "cover": _share({stem: "" for passage in passages for stem in passage.reading.content}, set(read.stems)),
        "personal": math.log1p(sum(word in _PERSONAL for word in read.words)),
        "asks_back": float("?" in claim.text),
        "size": math.log1p(len(read.words)) - 3.0,
    }
    return features, tuple(objections)


def _share(found: Iterable[str], held: frozenset[str] | set[str]) -> float:
    each = list(found)
    return sum(item in held for item in each) / len(each) if each else 1.0


def _soften(
    content: dict[str, str],
    held: frozenset[str],
    weights: dict[str, float],
    passages: Sequence[Passage],
    knowledge: Knowledge,
) -> dict[str, float]:
    """Per content word of the claim: 1 where a passage has it, else the cosine with the nearest word of a passage."""
    absent = [stem for stem in content if stem not in held]
    theirs = sorted({word for passage in passages for word in passage.reading.content.values()})
    soft = dict.fromkeys(weights, 1.0)
    if not absent or not theirs:
        return soft | dict.fromkeys(absent, 0.0)
    rows = knowledge.embed([*(content[stem] for stem in absent), *theirs])
    nearest = np.maximum((rows[: len(absent)] @ rows[len(absent) :].T).max(axis=1), 0.0)
    return soft | dict(zip(absent, nearest.tolist(), strict=True))


def _find_missing(
    claim: Claim, evidence: Evidence, library: Library, knowledge: Knowledge, missing: list[str]
) -> Iterable[Objection]:
    """Numbers, names and words of the claim that no source has."""
    read = claim.reading
    numbers = read.numbers - library.numbers - library.asked.numbers
    if numbers and evidence.passages:
        numbers -= knowledge.read_facts(" ".join(passage.text for passage in evidence.passages)).values
    if numbers:
        yield Objection("numbers", tuple(sorted(numbers)))
    names = [stem for stem in missing if stem in read.names and stem not in library.asked.stems]
    if names:
        yield Objection("names", tuple(read.content[stem] for stem in names))
    words = [read.content[stem] for stem in missing if stem not in names and not read.content[stem][0].isdigit()]
    if words:
        yield Objection("words", tuple(words))


def _find_reversals(claim: Claim, evidence: Evidence, knowledge: Knowledge) -> Iterable[Objection]:
    """Negation between a claim and the passage that is closest to it, opposites in any of its passages."""
    if not evidence.passages or evidence.shares[-1] < _CLOSE:
        return
    if evidence.shares[0] >= _CLOSE:
        negated = knowledge.read_facts(evidence.passages[0].text).negated
        if knowledge.read_facts(claim.text).negated != negated:
            yield Objection("negation", ())
    opposites = (knowledge.find_opposites(claim.text, passage.text) for passage in evidence.passages)
    found = next((pair for pair in opposites if pair is not None), None)
    if found is not None:
        yield Objection("opposites", found)


def _elsewhere(claim: Claim, passages: Sequence[Passage]) -> frozenset[str]:
    """Numbers of the claim that its passages do not have."""
    return claim.reading.numbers - frozenset(number for passage in passages for number in passage.reading.numbers)


def _cosine(claim: Claim, passages: Sequence[Passage], knowledge: Knowledge) -> float:
    if not passages:
        return 0.0
    rows = knowledge.embed([claim.text, " ".join(passage.text for passage in passages)])
    return float(rows[0] @ rows[1])


def _gram_support(stems: tuple[str, ...], passages: Sequence[Passage], size: int) -> float:
    held = {gram for passage in passages for gram in _grams(passage.reading.stems, size)}
    found = list(_grams(stems, size))
    if not found:
        return float(bool(passages)) if len(stems) < size else 0.0
    return sum(gram in held for gram in found) / len(found)


def _grams(stems: tuple[str, ...], size: int) -> Iterable[tuple[str, ...]]:
    return zip(*(stems[start:] for start in range(size)), strict=False)


def _longest_run(stems: tuple[str, ...], passages: Sequence[Passage]) -> float:
    """Share of the claim's words in the longest run that the passages have, by pairs of following words."""
    words = {stem for passage in passages for stem in passage.reading.stems}
    pairs = {pair for passage in passages for pair in pairwise(passage.reading.stems)}
    longest = run = int(bool(stems) and stems[0] in words)
    for before, after in pairwise(stems):
        run = run + 1 if (before, after) in pairs else int(after in words)
        longest = max(longest, run)
    return longest / len(stems) if stems else 1.0
