"""Tokens of a prompt, as ``trim_messages(token_counter=model)`` and others ask a chat model for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseChatModel

from leo_core.providers.tokens import estimate_input_tokens, estimate_text_tokens
from leo_core.records import Request
from leo_langchain._convert import to_messages, to_tool
from leo_langchain._structured import to_openai_tool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.messages import BaseMessage

__all__ = ["CountingChatModel"]


class CountingChatModel(BaseChatModel):
    """A chat model that estimates tokens as budgets do: LangChain's own way needs a tokenizer from the network."""

    def get_num_tokens(self, text: str) -> int:
        """Upper estimate of the tokens of a text; exact with ``custom_get_token_ids``."""
        return estimate_text_tokens(text) if self.custom_get_token_ids is None else super().get_num_tokens(text)

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        """Upper estimate of the tokens of messages and tools; with ``custom_get_token_ids`` as LangChain counts.

        Raises:
            RequestError: A message has an unknown role.
        """
        if self.custom_get_token_ids is not None:
            return super().get_num_tokens_from_messages(messages, tools)
        bound = tuple(to_tool(to_openai_tool(tool, None)) for tool in tools or ())
        return estimate_input_tokens(Request(messages=to_messages(messages), tools=bound))
