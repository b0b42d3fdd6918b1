"""What every ``Model`` keeps, whatever stands behind it.

A test class inherits :class:`ModelContract` and gives the fixture ``model``; it may give ``question``, to which the
model has the same answer every time.
"""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
from contextlib import aclosing, closing

import pytest

from leo_core.errors import LEOError
from leo_core.ports import Model
from leo_core.records import Capabilities, Chunk, Draft, Message, Request, Usage
from tests.contracts.event_loop import never_blocked

SECRET = "sk-very-secret-0123456789"


def ask(text: str, **fields: object) -> Request:
    """A request with one user turn."""
    return Request(messages=(Message(role="user", content=text),), **fields)


def same_reply(one: Draft, other: Draft) -> bool:
    """Whether two drafts say the same."""
    calls = [[(call.name, dict(call.arguments)) for call in draft.message.tool_calls] for draft in (one, other)]
    return (one.text, one.model, one.finish_reason, calls[0]) == (
        other.text,
        other.model,
        other.finish_reason,
        calls[1],
    )


class ModelContract:
    """The contract; see the port."""

    question = "What is the capital of France?"

    @pytest.fixture
    def request_(self) -> Request:
        """The request that is answered."""
        return ask(self.question)

    def test_is_a_model(self, model: Model) -> None:
        """It has the port's methods, and plain values for what it is."""
        assert isinstance(model, Model)
        assert model.id
        assert model.family
        assert isinstance(model.capabilities, Capabilities)

    def test_generate(self, model: Model, request_: Request) -> None:
        """A draft is whole: who, which model, what, how much, how long."""
        draft = model.generate(request_)
        assert draft.member == model.id
        assert draft.model
        assert draft.message.role == "assistant"
        assert draft.text
        assert draft.usage.calls == 1
        assert draft.usage.input_tokens > 0
        assert draft.usage.output_tokens > 0
        assert draft.finish_reason == "stop"
        assert draft.latency_s >= 0
        assert draft.metadata["model_name"] == draft.model
        json.dumps(dict(draft.metadata))

    async def test_sync_async_and_streams_agree(self, model: Model, request_: Request) -> None:
        """The four ways of asking give the same reply, and the pieces of a stream join to it."""
        whole = await asyncio.to_thread(model.generate, request_)
        chunks = await asyncio.to_thread(lambda: list(model.stream(request_)))
        with never_blocked():
            awaited = await model.agenerate(request_)
            achunks = [chunk async for chunk in model.astream(request_)]
        for draft in (awaited, self.whole(chunks), self.whole(achunks)):
            assert same_reply(draft, whole)
            assert draft.usage == whole.usage

    @staticmethod
    def whole(chunks: list[Chunk]) -> Draft:
        """The draft of a stream, after checking its form."""
        assert [chunk.draft is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
        draft = chunks[-1].draft
        assert draft is not None
        assert "".join(chunk.text for chunk in chunks) == draft.text
        assert all(chunk.text or chunk.tool_calls or chunk.blocks for chunk in chunks[:-1])
        return draft

    async def test_streams_may_be_left(self, model: Model, request_: Request) -> None:
        """A stream that is closed early leaves the model usable."""

        def leave() -> None:
            with closing(model.stream(request_)) as chunks:
                next(iter(chunks))

        await asyncio.to_thread(leave)
        with never_blocked():
            async with aclosing(model.astream(request_)) as chunks:
                await anext(aiter(chunks))
            assert (await model.agenerate(request_)).text

    def test_usable_in_one_loop_after_another(self, model: Model, request_: Request) -> None:
        """Nothing of one event loop is used in the next."""
        first, second = (asyncio.run(model.agenerate(request_)) for _ in range(2))
        assert same_reply(first, second)

    async def test_concurrent(self, model: Model, request_: Request) -> None:
        """Tasks and threads may share it."""
        with never_blocked():
            drafts = await asyncio.gather(*(model.agenerate(request_) for _ in range(8)))
        drafts += await asyncio.gather(*(asyncio.to_thread(model.generate, request_) for _ in range(4)))
        assert all(same_reply(draft, drafts[0]) for draft in drafts)

    def test_close_is_idempotent(self, model: Model, request_: Request) -> None:
        """Closing twice, used or unused, does nothing more than closing once."""
        model.close()
        model.generate(request_)
        model.close()
        model.close()

    async def test_close_inside_the_loop(self, model: Model, request_: Request) -> None:
        """Closing from inside a loop closes what the loop opened."""
        await model.agenerate(request_)
        model.close()
        model.close()
        await asyncio.sleep(0.01)

    def test_fingerprint_and_repr(self, model: Model, request_: Request) -> None:
        """The fingerprint is JSON and stable; neither it nor the repr holds a secret."""
        before = json.dumps(dict(model.fingerprint), sort_keys=True)
        model.generate(request_)
        assert json.dumps(dict(model.fingerprint), sort_keys=True) == before
        assert SECRET not in before + repr(model) + str(model)

    def test_estimate_and_price(self, model: Model, request_: Request) -> None:
        """The estimate is an upper one and priced like any usage; a price grows with the tokens."""
        estimate = model.estimate(request_)
        draft = model.generate(request_)
        assert estimate.calls == 1
        assert estimate.input_tokens >= draft.usage.input_tokens * 0.5
        assert estimate.output_tokens >= draft.usage.output_tokens
        for usage in (estimate, draft.usage):
            assert usage.cost_usd is None or usage.cost_usd == pytest.approx(model.price(usage))
        less, more = (model.price(Usage(input_tokens=count, output_tokens=count)) for count in (10, 10_000))
        assert (less is None) == (more is None)
        assert less is None or more is None or 0 <= less <= more

    def test_copies_and_pickles(self, model: Model, request_: Request) -> None:
        """It survives copying and pickling, after use too."""
        whole = model.generate(request_)
        for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            try:
                assert same_reply(twin.generate(request_), whole)
            finally:
                twin.close()


class FailureContract:
    """What every model keeps when its provider fails; a class gives ``failing`` and ``expected``."""

    def check_raises(self, model: Model, request: Request, kind: type[LEOError]) -> LEOError:
        """All four ways raise the same kind of error, without a secret in it."""
        errors: list[LEOError] = []
        for run in (
            lambda: model.generate(request),
            lambda: list(model.stream(request)),
            lambda: asyncio.run(_agenerate(model, request)),
            lambda: asyncio.run(_astream(model, request)),
        ):
            with pytest.raises(kind) as caught:
                run()
            errors.append(caught.value)
        for error in errors:
            assert type(error) is type(errors[0])
            assert SECRET not in f"{error!s}{error!r}"
        return errors[0]


async def _agenerate(model: Model, request: Request) -> Draft:
    with never_blocked():
        return await model.agenerate(request)


async def _astream(model: Model, request: Request) -> list[Chunk]:
    with never_blocked():
        return [chunk async for chunk in model.astream(request)]
