"""Several samples of one model as members of a jury (self-consistency, Wang et al. 2023)."""

from __future__ import annotations

from contextlib import aclosing, closing
from dataclasses import replace
from typing import TYPE_CHECKING

from leo_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from leo_core.ports import Model
    from leo_core.records import Capabilities, Chunk, Draft, Json, Request, Usage

__all__ = ["MOST_SAMPLES", "SampledModel", "samples_of"]

MOST_SAMPLES = 64
_TEMPERATURE = 0.7
_HOTTEST = 2.0


def samples_of(model: Model, count: int, *, temperature: float | None = _TEMPERATURE) -> tuple[SampledModel, ...]:
    """So many members that all ask one model, each for a sample of its own.

    They are one family: what they say in chorus counts for less than the chorus of as many different models.

    Args:
        model: The model.
        count: How many samples, in 2..64.
        temperature: Where a request asks for less, samples are drawn at this, in (0, 2]: at 0 they would all be the
            same. A request that names none leaves it to the provider, whose own default is warm, and which some models
            accept alone. ``None`` leaves every request as it is.

    Raises:
        ConfigError: The number or the temperature is out of range.
    """
    if not 2 <= count <= MOST_SAMPLES:  # noqa: PLR2004 - one sample is the model itself
        message = f"{model.id} is to be sampled {count} times; give 2 to {MOST_SAMPLES} samples"
        raise ConfigError(message)
    if temperature is not None and not 0.0 < temperature <= _HOTTEST:
        message = f"temperature is {temperature!r}; it must be in (0, {_HOTTEST:g}], or None to leave the request's"
        raise ConfigError(message)
    return tuple(SampledModel(model, number, temperature) for number in range(1, count + 1))


class SampledModel:
    """One sample of a model; see :func:`samples_of`.

    Args:
        model: The model that is asked.
        number: Which sample; from 1 on.
        temperature: Least temperature of a request that names one; ``None`` leaves it as it is.
    """

    def __init__(self, model: Model, number: int, temperature: float | None) -> None:
        self._model, self._number, self._temperature = model, number, temperature

    def __repr__(self) -> str:
        return f"SampledModel({self._model!r}, {self._number})"

    @property
    def id(self) -> str:
        """Id of the model, an asterisk, and the number of the sample."""
        return f"{self._model.id}*{self._number}"

    @property
    def family(self) -> str:
        """That of the model."""
        return self._model.family

    @property
    def capabilities(self) -> Capabilities:
        """Those of the model."""
        return self._model.capabilities

    @property
    def fingerprint(self) -> Mapping[str, Json]:
        """That of the model, with temperature and number of the sample."""
        return {**self._model.fingerprint, "sample": self._number, "sample_temperature": self._temperature}

    @property
    def max_retries(self) -> int:
        """How often a call of the model may be made again."""
        return int(getattr(self._model, "max_retries", 0))

    def once(self) -> SampledModel:
        """The same sample of a model that makes each call once."""
        single = getattr(self._model, "once", None)
        return SampledModel(single(), self._number, self._temperature) if callable(single) else self

    def estimate(self, request: Request) -> Usage:
        """Upper estimate of the usage of this request, as of the model."""
        return self._model.estimate(self._ask(request))

    def price(self, usage: Usage) -> float | None:
        """What these tokens would cost with the model, in US dollars; ``None`` when the price is unknown."""
        return self._model.price(usage)

    def generate(self, request: Request) -> Draft:
        """One sample."""
        return replace(self._model.generate(self._ask(request)), member=self.id)

    async def agenerate(self, request: Request) -> Draft:
        """One sample, without blocking the loop."""
        return replace(await self._model.agenerate(self._ask(request)), member=self.id)

    def stream(self, request: Request) -> Iterator[Chunk]:
        """One sample in pieces."""
        with closing(self._model.stream(self._ask(request))) as chunks:  # type: ignore[type-var]  # streams are generators
            for chunk in chunks:
                yield self._name(chunk)

    async def astream(self, request: Request) -> AsyncIterator[Chunk]:
        """One sample in pieces, without blocking the loop."""
        async with aclosing(self._model.astream(self._ask(request))) as chunks:  # type: ignore[type-var]  # as above
            async for chunk in chunks:
                yield self._name(chunk)

    def close(self) -> None:
        """Close the model; idempotent."""
        self._model.close()

    def _ask(self, request: Request) -> Request:
        """The request of this sample: warm enough, and with a seed of its own where the request has one."""
        sampling = request.sampling
        if self._temperature is not None and sampling.temperature is not None:
            sampling = replace(sampling, temperature=max(sampling.temperature, self._temperature))
        if sampling.seed is not None:
            sampling = replace(sampling, seed=sampling.seed + self._number - 1)
        return replace(request, sampling=sampling)

    def _name(self, chunk: Chunk) -> Chunk:
        return chunk if chunk.draft is None else replace(chunk, draft=replace(chunk.draft, member=self.id))
