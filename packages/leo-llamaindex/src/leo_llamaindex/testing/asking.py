"""Asking an LLM in all of LlamaIndex's ways, and reading what came back."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from blockbuster import BlockingError, blockbuster_ctx
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["METHODS", "QUESTION", "ask", "call", "never_blocked", "text_of", "usage_of"]

METHODS = (
    "chat",
    "complete",
    "achat",
    "acomplete",
    "stream_chat",
    "stream_complete",
    "astream_chat",
    "astream_complete",
)
"""The eight methods of an LLM."""

QUESTION = "What is it?"


def ask(method: str, text: str = QUESTION) -> Any:
    """The argument that a method takes for a question."""
    return [ChatMessage(role=MessageRole.USER, content=text)] if "chat" in method else text


async def call(llm: Any, method: str, text: str = QUESTION, **kwargs: Any) -> list[Any]:
    """Call one of the eight methods; a list of its responses, of one for those that do not stream."""
    result = getattr(llm, method)(ask(method, text), **kwargs)
    if method.startswith("a"):
        result = await result
    if not method.removeprefix("a").startswith("stream"):
        return [result]
    return [response async for response in result] if method.startswith("a") else list(result)


def text_of(response: Any) -> str:
    """The text of a response."""
    text = (response.message.content or "") if isinstance(response, ChatResponse) else response.text
    return str(text)


def usage_of(response: Any) -> tuple[int, int] | None:
    """Tokens of prompt and answer that ``response.raw["usage"]`` tells; ``None`` where it tells none."""
    raw = response.raw if isinstance(response.raw, dict) else dict(response.raw or {})
    usage = raw.get("usage")
    usage = usage if isinstance(usage, dict | None) else usage.model_dump()
    return None if usage is None else (usage["prompt_tokens"], usage["completion_tokens"])


@contextmanager
def never_blocked() -> Iterator[None]:
    """Fail where a call inside the block blocks the running event loop; the coverage tracer's lock does not count."""
    with blockbuster_ctx() as watch:
        for name in ("threading.Lock.acquire", "threading.Lock.acquire_lock"):
            watch.functions[name].can_block_in("coverage/collector.py", "lock_data")
        try:
            yield
        except Exception as error:
            blocking = _find_blocking(error)
            if blocking is None:
                raise
            message = f"an asynchronous method blocks the event loop: {blocking}"
            raise AssertionError(message) from error


def _find_blocking(error: BaseException | None) -> BlockingError | None:
    """The blocking call behind an error: SDKs wrap what happens inside them."""
    while error is not None and not isinstance(error, BlockingError):
        error = error.__cause__ or error.__context__
    return error
