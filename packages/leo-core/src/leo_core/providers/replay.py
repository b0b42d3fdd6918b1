"""Recorded answers of real models, served from a file.

The file is JSON Lines, plain or gzipped; every row holds ``question`` and ``answers``, a mapping from model names to
``{"text": …}``. Other fields, such as gold answers and grades, are never kept.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import math
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from leo_core.errors import ConfigError, InvalidRequestError, ProviderTimeoutError
from leo_core.providers.draft_chunks import draft_chunks
from leo_core.providers.names import family_of
from leo_core.records import Capabilities, Chunk, Draft, Json, Message, Request, Usage
from leo_core.telemetry.cost import cost_of
from leo_core.telemetry.prices import Price, PriceTable, load_prices

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

__all__ = ["Recording", "ReplayModel"]

_CHARACTERS_PER_TOKEN: Final = 4
_FIRST_TOKEN_S: Final = 0.4
_TOKENS_PER_S: Final = 80.0


class Recording:
    """A file of recorded answers; read once, at first use, and shared by the models made from it.

    Args:
        path: The file.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._lock = threading.Lock()
        self._answers: Mapping[str, Mapping[str, str]] | None = None
        self._models: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def is_loaded(self) -> bool:
        """Whether the file has been read."""
        return self._answers is not None

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models with answers, in the order in which the file names them."""
        self.load()
        return self._models

    def load(self) -> Mapping[str, Mapping[str, str]]:
        """Answers by question and model.

        Raises:
            ConfigError: The file cannot be read or has another form.
        """
        with self._lock:
            if self._answers is None:
                self._answers, self._models = _read(self._path)
            return self._answers

    def find(self, question: str, model: str) -> str | None:
        """What a model answered to a question."""
        return self.load().get(question.strip(), {}).get(model)

    def model(self, name: str, **options: object) -> ReplayModel:
        """The model of that name; ``options`` as those of :class:`ReplayModel`."""
        return ReplayModel(self, name, **options)  # type: ignore[arg-type]  # checked by ReplayModel's own signature

    def __repr__(self) -> str:
        """What matters, and no secret."""
        return f"Recording({str(self._path)!r})"

    def __getstate__(self) -> dict[str, object]:
        """Without what cannot be pickled."""
        return {"_path": self._path}

    def __setstate__(self, state: Mapping[str, Path]) -> None:
        """As it was, with everything closed."""
        self.__init__(state["_path"])  # type: ignore[misc]  # a fresh, unread recording of the same file


def _read(path: Path) -> tuple[dict[str, dict[str, str]], tuple[str, ...]]:
    answers: dict[str, dict[str, str]] = {}
    models: dict[str, None] = {}
    try:
        with _open(path) as lines:
            for line in lines:
                row = json.loads(line)
                texts = {name: answer["text"] for name, answer in row["answers"].items()}
                answers[row["question"].strip()] = texts
                models.update(dict.fromkeys(texts))
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"cannot read recorded answers from {str(path)!r} (row {len(answers) + 1}): {error!r}"
        raise ConfigError(message) from error
    return answers, tuple(models)


def _open(path: Path) -> IO[str]:
    return gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8")


class ReplayModel:
    """A model whose answers were recorded.

    A question is found by the exact text of the last user turn, without white space at its ends. Tokens are estimated
    (characters / 4, which the draft's metadata says) and priced by the dated price table.

    Args:
        path: A file of recorded answers, or a :class:`Recording` that several models share.
        model: Name of the model in the file.
        latency: Whether to wait as a provider would: 0.4 s to the first token, then 80 tokens per second.
        prices: A price table, or prices by model name that go on top of the shipped ones.
        id: Id of the member; ``"replay:<model>"`` by default.
        family: Family of the model; read from its name by default.
    """

    def __init__(
        self,
        path: str | Path | Recording,
        model: str,
        *,
        latency: bool = False,
        prices: PriceTable | Mapping[str, Price | Mapping[str, float]] | None = None,
        id: str | None = None,  # noqa: A002 - the port's own word
        family: str | None = None,
    ) -> None:
        self._recording = path if isinstance(path, Recording) else Recording(path)
        self._model, self._latency = model, latency
        self._prices = prices if isinstance(prices, PriceTable) else load_prices().with_prices(prices or {})
        self._id, self._family = id or f"replay:{model}", family or family_of(model)

    @property
    def id(self) -> str:
        """Id of the member."""
        return self._id

    @property
    def family(self) -> str:
        """Family of the recorded model."""
        return self._family

    @property
    def capabilities(self) -> Capabilities:
        """Text only."""
        return Capabilities(tools=False, structured_output=False, images=False, audio=False, files=False)

    @property
    def fingerprint(self) -> Mapping[str, Json]:
        """The recording's file name and the model."""
        return {"provider": "replay", "model": self._model, "recording": self._recording.path.name}

    def __repr__(self) -> str:
        """What matters, and no secret."""
        return f"ReplayModel({str(self._recording.path)!r}, {self._model!r})"

    def estimate(self, request: Request) -> Usage:
        """Usage of this request: exact where the answer is recorded, else with 1,024 output tokens."""
        known = self._recording.find(request.question, self._model)
        usage = _usage(request, known) if known is not None else replace(_usage(request, ""), output_tokens=1_024)
        return replace(usage, cost_usd=self.price(usage))

    def price(self, usage: Usage) -> float | None:
        """What these tokens would cost; ``None`` when the price is unknown."""
        return cost_of(usage, self._model, self._prices)

    def generate(self, request: Request) -> Draft:
        """The recorded answer."""
        draft = self._draft(request)
        wait_s = self._wait_s(draft, request)
        if wait_s > 0:
            time.sleep(wait_s)
        return draft

    async def agenerate(self, request: Request) -> Draft:
        """The recorded answer; the file is read in a thread."""
        draft = await self._adraft(request)
        wait_s = self._wait_s(draft, request)
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        return draft

    def stream(self, request: Request) -> Iterator[Chunk]:
        """The recorded answer, word by word."""
        draft = self._draft(request)
        chunks = tuple(draft_chunks(draft))
        pause_s = self._wait_s(draft, request) / len(chunks)
        for chunk in chunks:
            if pause_s > 0:
                time.sleep(pause_s)
            yield chunk

    async def astream(self, request: Request) -> AsyncIterator[Chunk]:
        """The recorded answer, word by word."""
        draft = await self._adraft(request)
        chunks = tuple(draft_chunks(draft))
        pause_s = self._wait_s(draft, request) / len(chunks)
        for chunk in chunks:
            if pause_s > 0:
                await asyncio.sleep(pause_s)
            yield chunk

    def close(self) -> None:
        """Nothing to release."""

    async def _adraft(self, request: Request) -> Draft:
        if not self._recording.is_loaded:
            await asyncio.to_thread(self._recording.load)
        return self._draft(request)

    def _draft(self, request: Request) -> Draft:
        text = self._recording.find(request.question, self._model)
        if text is None:
            known = self._model in self._recording.models
            what = "this question" if known else f"any question; it has {', '.join(self._recording.models)}"
            message = f"the recording {self._recording.path.name!r} has no answer of {self._model!r} to {what}"
            raise InvalidRequestError(message, provider="replay", model=self._model)
        usage = _usage(request, text)
        latency_s = _FIRST_TOKEN_S + usage.output_tokens / _TOKENS_PER_S if self._latency else 0.0
        return Draft(
            member=self._id,
            model=self._model,
            message=Message(role="assistant", content=text),
            usage=replace(usage, cost_usd=self.price(usage)),
            latency_s=latency_s,
            metadata={"model_name": self._model, "model_provider": "replay", "usage_estimated": True},
        )

    def _wait_s(self, draft: Draft, request: Request) -> float:
        limit_s = request.constraints.max_latency_s
        if limit_s is not None and draft.latency_s > limit_s:
            message = f"replay of {self._model!r} takes {draft.latency_s:.2f} s, longer than the {limit_s:g} s allowed"
            raise ProviderTimeoutError(message, provider="replay", model=self._model)
        return draft.latency_s


def _usage(request: Request, text: str) -> Usage:
    prompt = sum(len(message.text) for message in request.messages)
    return Usage(
        input_tokens=math.ceil(prompt / _CHARACTERS_PER_TOKEN),
        output_tokens=math.ceil(len(text) / _CHARACTERS_PER_TOKEN),
        calls=1,
    )
