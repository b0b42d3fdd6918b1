"""Calling members: whatever they do becomes a draft or a failure, and what was shown is known."""

from __future__ import annotations

import asyncio

import pytest

from leo_core.engine.calls import Relay, acall, call
from leo_core.engine.drivers import chunk_message
from leo_core.errors import MalformedReplyError, ProviderError
from leo_core.providers.scripted import ScriptedModel
from leo_core.records import Chunk, Draft, Failure, Message, Request, ToolCall, ToolCallDelta, Usage

REQUEST = Request(messages=(Message(role="user", content="?"),))
DRAFT = Draft(member="m", model="m", message=Message(role="assistant", content="one two"), latency_s=2.0)


class Streaming(ScriptedModel):
    """Streams what it was given; iterators without ``close`` are allowed."""

    def __init__(self, *items):
        super().__init__("m", replies="x")
        self.items = items

    def stream(self, request):
        return iter(self._play())

    def _play(self):
        for item in self.items:
            if isinstance(item, Exception):
                raise item
            yield item

    async def astream(self, request):
        for item in self._play():
            yield item


class Bare:
    """An iterator without ``close``."""

    def __init__(self, items):
        self.items = list(items)

    def __iter__(self):
        return self

    def __next__(self):
        if not self.items:
            raise StopIteration
        return self.items.pop(0)

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.items:
            raise StopAsyncIteration
        return self.items.pop(0)


class BareStreaming(Streaming):
    """A member whose streams cannot be closed."""

    def stream(self, request):
        return Bare(self.items)

    def astream(self, request):
        return Bare(self.items)


def relayed(model):
    """The chunks and the reply, synchronously and asynchronously."""
    relay = Relay(model, REQUEST)
    yield list(relay.chunks()), relay

    async def collect():
        other = Relay(model, REQUEST)
        return [chunk async for chunk in other.achunks()], other

    yield asyncio.run(collect())


@pytest.mark.parametrize("kind", [Streaming, BareStreaming])
def test_a_stream_is_relayed_without_its_draft(kind):
    native = object()
    model = kind(Chunk(text="one "), Chunk(native=native), Chunk(), Chunk(text="two", draft=DRAFT))
    for chunks, relay in relayed(model):
        assert [chunk.text for chunk in chunks] == ["one ", "", "two"]
        assert chunks[1].native is native
        assert all(chunk.draft is None for chunk in chunks)
        assert relay.reply == DRAFT
        assert relay.shown


def test_a_stream_without_a_draft_is_a_malformed_reply():
    for chunks, relay in relayed(Streaming()):
        assert chunks == []
        assert not relay.shown
        assert isinstance(relay.reply.error, MalformedReplyError)
        assert relay.reply.shown == ""


@pytest.mark.parametrize(
    ("items", "shown"),
    [
        ((Chunk(text="one "), Chunk(text="two"), KeyError("x")), "one two"),
        ((Chunk(tool_calls=(ToolCallDelta(index=0, name="f"),)), KeyError("x")), " "),
        ((Chunk(native=object()), KeyError("x")), ""),
        ((KeyError("x"),), ""),
        ((Chunk(text="one", draft="no draft"),), ""),
    ],
)
def test_a_stream_that_dies_says_what_was_shown(items, shown):
    for _, relay in relayed(Streaming(*items)):
        assert isinstance(relay.reply, Failure)
        assert isinstance(relay.reply.error, ProviderError)
        assert relay.reply.shown == shown
        assert relay.reply.member == "m"


def test_a_cost_that_is_none_is_unknown_and_a_latency_is_kept_or_measured():
    odd = Draft(member="m", model="m", message=DRAFT.message, usage=Usage(cost_usd=-1.0))
    for given, cost, kept in ((DRAFT, 0.0, True), (odd, None, False)):
        model = ScriptedModel("m", replies=lambda request, given=given: given)
        model.generate = lambda request, given=given: given
        drafted = call(model, REQUEST)
        assert drafted.usage.cost_usd == cost
        assert (drafted.latency_s == 2.0) is kept
        assert drafted.latency_s > 0.0


def test_whatever_a_member_raises_becomes_its_failure():
    def explode(request):
        raise ZeroDivisionError

    good, bad = ScriptedModel("a", replies="1"), ScriptedModel("b", replies=explode)
    for one, other in ((call(good, REQUEST), call(bad, REQUEST)), asyncio.run(both(good, bad))):
        assert (one.member, one.text, other.member) == ("a", "1", "b")
        assert isinstance(other.error.__cause__, ZeroDivisionError)


async def both(good, bad):
    return await acall(good, REQUEST), await acall(bad, REQUEST)


def test_a_message_of_blocks_in_pieces_is_the_message():
    plain = {"type": "text", "text": "Look: "}
    cited = {"type": "text", "text": "a cat", "annotations": [{"type": "citation"}]}
    image = {"type": "image", "url": "https://x/y.png"}
    calls = (ToolCall(id="c1", name="f", arguments={"x": 1}),)
    pieces = list(chunk_message(Message(role="assistant", content=(plain, cited, image), tool_calls=calls)))
    assert [piece.text for piece in pieces] == ["Look: ", "", "", ""]
    assert [block for piece in pieces for block in piece.blocks] == [cited, image]
    assert pieces[-1].tool_calls[0].name == "f"
    assert [piece.text for piece in chunk_message(Message(role="assistant", content="  \n"))] == ["  \n"]
    assert list(chunk_message(Message(role="assistant", content=""))) == []
