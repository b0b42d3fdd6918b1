"""From the reply of a Chat Completions call, whole or streamed, to a draft.

A tool call whose arguments are not a JSON object makes the whole reply a ``MalformedReplyError``: such a call cannot be
carried out, and another attempt or another member can do better.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from leo_core.errors import MalformedReplyError, ProviderUnavailableError
from leo_core.providers.payload import parse_arguments
from leo_core.providers.reply import Reply
from leo_core.records import Chunk, Json, ToolCall, ToolCallDelta, Usage

__all__ = ["OpenAIStream", "read_openai_reply"]

_FINISH: Final = {"function_call": "tool_calls"}
_FACTS: Final = ("id", "system_fingerprint", "service_tier", "created")


def read_openai_reply(body: Mapping[str, Json], *, provider: str, model: str) -> Reply:
    """Read a whole reply.

    Args:
        body: The reply's JSON.
        provider: Named in errors.
        model: The model that was asked.

    Raises:
        MalformedReplyError: There is no choice in it, or a tool call's arguments are not a JSON object.
    """
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0].get("message"), Mapping):
        message = "the reply has no choices"
        raise MalformedReplyError(message, provider=provider, model=model)
    fold = OpenAIStream(provider=provider, model=model)
    deltas = [
        {"index": choice.get("index") or 0, **choice, "delta": _numbered(choice["message"])} for choice in choices
    ]
    fold.push({**body, "choices": deltas})
    return fold.finish()


def _numbered(message: Mapping[str, Json]) -> dict[str, Json]:
    calls = [{**call, "index": number} for number, call in enumerate(message.get("tool_calls") or ())]
    return {**message, "tool_calls": calls}


class _Call:
    """A tool call that is being put together."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.id = ""
        self.name = ""
        self.arguments = ""


class OpenAIStream:
    """Folds the events of a streamed reply into chunks and, at the end, the reply."""

    def __init__(self, *, provider: str, model: str) -> None:
        self._provider, self._model = provider, model
        self._text: list[str] = []
        self._others: dict[int, list[str]] = {}
        self._reasoning: list[str] = []
        self._reasoning_shown = False
        self._refusal: list[str] = []
        self._calls: list[_Call] = []
        self._by_index: dict[int | None, _Call] = {}
        self._logprobs: list[float] | None = None
        self._finish: str | None = None
        self._usage: Mapping[str, Json] | None = None
        self._facts: dict[str, Json] = {}
        self._seen = False

    def push(self, event: Mapping[str, Json]) -> Chunk | None:
        """Take an event; returns what it adds, if anything."""
        self._seen = True
        self._facts |= {name: event[name] for name in (*_FACTS, "model") if event.get(name) is not None}
        self._usage = event.get("usage") or self._usage
        text, calls = "", []
        for choice in event.get("choices") or ():
            delta = choice.get("delta") or {}
            if choice.get("index"):
                self._others.setdefault(choice["index"], []).append(delta.get("content") or "")
                continue
            text += self._take_delta(delta)
            calls += [self._take_call(piece) for piece in delta.get("tool_calls") or ()]
            self._take_logprobs(choice.get("logprobs"))
            self._finish = choice.get("finish_reason") or self._finish
        blocks = self._reasoning_block() if text or calls or self._finish else ()
        return Chunk(text=text, tool_calls=tuple(calls), blocks=blocks) if text or calls or blocks else None

    def _take_delta(self, delta: Mapping[str, Json]) -> str:
        self._reasoning.append(delta.get("reasoning_content") or delta.get("reasoning") or "")
        refusal = delta.get("refusal") or ""
        self._refusal.append(refusal)
        if isinstance(audio := delta.get("audio"), Mapping):
            self._facts["audio"] = {**self._facts.get("audio", {}), **audio}
        text = (delta.get("content") or "") + refusal
        self._text.append(text)
        return text

    def _take_call(self, piece: Mapping[str, Json]) -> ToolCallDelta:
        function = piece.get("function") or {}
        call = self._slot(piece)
        call.id = call.id or piece.get("id") or ""
        call.name = call.name or function.get("name") or ""
        call.arguments += function.get("arguments") or ""
        return ToolCallDelta(
            index=call.index,
            id=piece.get("id") or None,
            name=function.get("name") or None,
            arguments=function.get("arguments") or "",
        )

    def _slot(self, piece: Mapping[str, Json]) -> _Call:
        """The call that a piece belongs to. Some servers number all calls 0 and tell them apart by their ids."""
        index, identity = piece.get("index"), piece.get("id")
        known = next((call for call in self._calls if identity and call.id == identity), None)
        if known is None and not identity:
            known = self._by_index.get(index, self._calls[-1] if self._calls and index is None else None)
        self._by_index[index] = known or self._open_call()
        return self._by_index[index]

    def _open_call(self) -> _Call:
        self._calls.append(_Call(len(self._calls)))
        return self._calls[-1]

    def _take_logprobs(self, logprobs: Json) -> None:
        rows = logprobs.get("content") if isinstance(logprobs, Mapping) else None
        if rows:
            self._logprobs = [*(self._logprobs or ()), *(float(row["logprob"]) for row in rows)]

    def _reasoning_block(self) -> tuple[dict[str, Json], ...]:
        reasoning = "".join(self._reasoning)
        if not reasoning or self._reasoning_shown:
            return ()
        self._reasoning_shown = True
        return ({"type": "reasoning", "reasoning": reasoning},)

    def finish(self) -> Reply:
        """The whole reply, after the last event.

        Raises:
            MalformedReplyError: Nothing came, or a tool call's arguments are not a JSON object.
            ProviderUnavailableError: The stream ended before the reply did.
        """
        if not self._seen or (self._finish is None and not self._began):
            message = "the stream is empty" if not self._seen else "the reply has no choices"
            raise MalformedReplyError(message, provider=self._provider, model=self._model)
        if self._finish is None:
            message = "the stream ended before the reply did"
            raise ProviderUnavailableError(message, provider=self._provider, model=self._model)
        return self._reply(self._finish)

    @property
    def _began(self) -> bool:
        return bool(self._calls or any(self._text) or any(self._reasoning))

    def _reply(self, finish: str) -> Reply:
        text, reasoning, refusal = "".join(self._text), "".join(self._reasoning), "".join(self._refusal)
        blocks: tuple[dict[str, Json], ...] = ()
        if reasoning:
            said = ({"type": "text", "text": text},) if text else ()
            blocks = ({"type": "reasoning", "reasoning": reasoning}, *said)
        extra: dict[str, Any] = {"refusal": refusal} if refusal else {}
        if self._others:
            extra["alternatives"] = ["".join(texts) for _, texts in sorted(self._others.items())]
        facts = {name: value for name, value in self._facts.items() if name != "model"}
        return Reply(
            model=str(self._facts.get("model") or self._model),
            content=blocks or text,
            tool_calls=self._parsed_calls(self._calls),
            finish_reason=_FINISH.get(finish, finish),
            usage=_usage(self._usage),
            logprobs=None if self._logprobs is None else tuple(self._logprobs),
            metadata={**facts, "finish_reason": finish, **extra},
        )

    def _parsed_calls(self, calls: Iterable[_Call]) -> tuple[ToolCall, ...]:
        parsed = []
        for call in calls:
            try:
                parsed.append(parse_arguments(call.id or f"call_{call.index}", call.name, call.arguments))
            except ValueError as error:
                cut = ", cut off at the limit of tokens" if self._finish == "length" else ""
                message = f"the arguments of the call of tool {call.name!r} are not a JSON object{cut}"
                raise MalformedReplyError(message, provider=self._provider, model=self._model) from error
        return tuple(parsed)


def _usage(usage: Mapping[str, Json] | None) -> Usage | None:
    if not usage:
        return None
    prompt = usage.get("prompt_tokens_details") or {}
    output = usage.get("completion_tokens_details") or {}
    return Usage(
        input_tokens=int(usage.get("prompt_tokens") or 0),
        output_tokens=int(usage.get("completion_tokens") or 0),
        cached_input_tokens=int(prompt.get("cached_tokens") or 0),
        reasoning_tokens=int(output.get("reasoning_tokens") or 0),
        calls=1,
        cost_usd=None,
    )
