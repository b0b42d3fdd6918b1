"""The public way to ground an answer, with what LEO ships: embedder, word weights, guards."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from leo_core.errors import RequestError
from leo_core.records import Grounding, Source
from leo_core.stages.grounding.policy import ground_answer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from leo_core.stages.cache.pair import PairModel
    from leo_core.stages.embed.static import StaticEmbedder

__all__ = ["ShippedKnowledge", "ground", "load_knowledge"]

_KEPT = 4096


@dataclass(frozen=True, slots=True)
class _Facts:
    values: frozenset[str]
    negated: bool


class ShippedKnowledge:
    """What the package knows of words: rarity (pair model), vectors (static embedder), the guards' readings.

    Args:
        model: The pair model.
        embedder: The static embedder.
    """

    def __init__(self, model: PairModel, embedder: StaticEmbedder) -> None:
        from leo_core.stages.cache.guards import words  # noqa: PLC0415 - loaded when it is used

        self._table, self._embedder = model.table, embedder
        self.stem = words.stem
        self.read_facts = lru_cache(maxsize=_KEPT)(_read_facts)

    def weigh(self, stem: str) -> float:
        """Inverse document frequency of a stem."""
        return self._table.idf.get(stem, self._table.default_idf)

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Unit rows of texts."""
        return self._embedder.embed(texts)

    def find_opposites(self, one: str, other: str) -> tuple[str, str] | None:
        """A word of each text that is the opposite of the other."""
        from leo_core.stages.cache.guards.polarity import find_opposites  # noqa: PLC0415 - loaded when it is used
        from leo_core.stages.cache.guards.words import read_words  # noqa: PLC0415 - as above

        return find_opposites(read_words(one), read_words(other))


def _read_facts(text: str) -> _Facts:
    from leo_core.stages.cache.guards import read_profile  # noqa: PLC0415 - loaded when it is used

    profile = read_profile(text)
    return _Facts(frozenset(profile.quantities.values | profile.quantities.spare), profile.negated)


@lru_cache(maxsize=1)
def load_knowledge() -> ShippedKnowledge:
    """What ships with the package, read once."""
    from leo_core.stages.cache.pair import load_pair_model  # noqa: PLC0415 - loaded when it is used
    from leo_core.stages.embed.load import load_static  # noqa: PLC0415 - loads numba

    return ShippedKnowledge(load_pair_model(), load_static())


def ground(answer: str, sources: Sequence[str | Source] | Mapping[str, str], *, question: str = "") -> Grounding:
    """Which sentences of an answer its sources support, where, and how likely they do not.

    Runs on this machine with what the package ships; no model is asked.

    Args:
        answer: The answer.
        sources: What it may stand on: texts (their ids are "0", "1", …), texts by id, or :class:`Source` records.
            Without any, nothing is supported.
        question: What was asked. It helps to choose between passages, and a number or a name of it needs no source.

    Returns:
        Risk of the answer and of each sentence, calibrated on held-out contexts, with the passages that bear it out
        (source id and characters) and what speaks against it.

    Raises:
        RequestError: Answer, question or a source is no text, or two sources have the same id.
    """
    _check_texts({"an answer": answer, "a question": question})
    return ground_answer(answer, _read_sources(sources), question=question, knowledge=load_knowledge())


def _read_sources(sources: Sequence[str | Source] | Mapping[str, str]) -> list[Source]:
    if isinstance(sources, str):
        message = "sources are several texts: give a list, or a mapping of ids to texts"
        raise RequestError(message)
    if hasattr(sources, "items"):
        found = [Source(str(name), text) for name, text in sources.items()]
    else:
        found = [each if isinstance(each, Source) else Source(str(at), each) for at, each in enumerate(sources)]
    for source in found:
        _check_texts({"a source": source.text})
    if len({source.id for source in found}) < len(found):
        message = "two sources have the same id; give each its own"
        raise RequestError(message)
    return found


def _check_texts(given: Mapping[str, object]) -> None:
    for name, text in given.items():
        if not isinstance(text, str):
            message = f"{name} is a text, not {type(text).__name__}"
            raise RequestError(message)
