"""LEO as an LLM of LlamaIndex."""

from __future__ import annotations

import asyncio
from collections.abc import Callable  # noqa: TC003 - pydantic reads the field's type
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    LLMMetadata,
    MessageRole,
)
from llama_index.core.constants import DEFAULT_CONTEXT_WINDOW, DEFAULT_NUM_OUTPUTS
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.function_calling import FunctionCallingLLM
from pydantic import ConfigDict, Field, PrivateAttr, SecretStr, field_serializer

from leo_core.adapting.closing import Closeable
from leo_core.adapting.lazy import Lazy, LazyEngine
from leo_core.adapting.members import MemberPicker, Panel, check_members, name_member
from leo_core.adapting.plain import plain
from leo_core.adapting.settings import configure, refuse_unknown, reveal
from leo_core.config import LEOConfig, Preset
from leo_core.engine.arguments import check_arguments
from leo_core.errors import ConfigError
from leo_core.privacy.config import PrivacyConfig, pick_privacy
from leo_core.providers.extractive import OFFLINE_JURY
from leo_core.records import StreamPolicy  # noqa: TC001 - pydantic reads the field's type
from leo_llamaindex._annotate import current_sheet, watch_synthesizers
from leo_llamaindex._answers import ResponseWriter, describe_answer, to_completion, to_response, to_usage_dict
from leo_llamaindex._convert import reads_disk
from leo_llamaindex._request import build_request
from leo_llamaindex._settings import current_tags
from leo_llamaindex._tools import keep_one_call, read_tool_calls, to_tool
from leo_llamaindex.events import report_answer
from leo_llamaindex.members import LLMS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Mapping, Sequence

    from llama_index.core.llms.llm import ToolSelection
    from llama_index.core.tools import BaseTool

    from leo_core import LEO
    from leo_core.records import Answer, Request
    from leo_llamaindex._annotate import Sheet

__all__ = ["LEOLLM"]

_FIXED = frozenset({
    "small", "large", "jury", "model", "max_wrong_hits", "store", "signing_key", "seal_key", "privacy", "config",
    "embedder", "listeners", "checker", "engine_seed", "prices", "api_key", "base_url", "timeout", "max_retries",
})  # fmt: skip
_DEFAULTS = (
    "temperature", "top_p", "max_tokens", "seed", "stop", "tenant", "max_error", "max_cost_usd", "route", "cache",
    "stream_policy",
)  # fmt: skip


class LEOLLM(Closeable, FunctionCallingLLM):
    """One LLM made of several: answered by the cheapest route that can be trusted, with a receipt.

    Args:
        small: Asked where that is enough: a name like ``"openai:gpt-5-mini"``, an LLM of LlamaIndex, or a leo_core
            model.
        large: Asked where the small one is not enough.
        jury: Asked when a verdict is needed; ``small`` and ``large`` may sit in it.
        model: The one member, where there is neither ``small`` nor ``large``.
        max_wrong_hits: The cache's promise: wrong hits over all requests stay at or below this share.
            0 turns semantic hits off.
        max_error: Largest acceptable P(wrong), per request.
        max_cost_usd: Most that may be spent, per request.
        route: Forces a route: ``small``, ``large``, ``cascade`` or ``consensus``.
        cache: ``False`` turns the cache off; ``"exact"`` matches exactly only.
        stream_policy: What a stream shows before the verdict: ``"cascade"``, ``"verified"`` or ``"optimistic"``.
        store: A path, ``":memory:"``, or a store of leo_core.
        signing_key: A key or a key file; made beside the store (mode 0600) by default.
        seal_key: File of the key that cache entries are sealed with; made beside the store (mode 0600) by default.
        privacy: ``"sealed_local"``, another mode, or a ``PrivacyConfig``: whoever holds the store learns no prompt, no
            answer and no name.
        tenant: Whose requests these are, where neither the call (``tenant=``) nor ``instrument_tags`` says so.
        config: Every other setting (``LEOConfig``).
        embedder: A name or an embedder of leo_core.
        listeners: Hear the engine's events.
        checker: Judges answers for audits.
        engine_seed: Makes the engine's draws (audits, explorations) repeatable.
        prices: Prices by model name on top of the shipped table.
        temperature, top_p, max_tokens, seed, stop: Handed to every member.
        api_key, base_url: For members given by name; a mapping by provider where they differ. Without a key each
            provider's SDK reads its own variable.
        timeout, max_retries: For members given by name.
        context_window, num_output: What ``metadata`` says, in tokens: by it LlamaIndex fills prompts and memories. By
            default the smallest of the members; one given by name does not know its window, and counts as 3,900.
        annotate_responses: Whether responses of query engines get ``metadata["leo"]``.

    Example:
        >>> from leo_core.providers.scripted import ScriptedModel
        >>> from leo_llamaindex import LEOLLM
        >>> with LEOLLM(small=ScriptedModel("parrot", replies=lambda request: request.question)) as llm:
        ...     llm.complete("Hello?").text
        'Hello?'
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        arbitrary_types_allowed=True, protected_namespaces=(), hide_input_in_errors=True
    )

    small: Any = None
    large: Any = None
    jury: tuple[Any, ...] = ()
    model: str | None = None
    max_wrong_hits: float | None = Field(default=None, ge=0.0, lt=1.0)
    max_error: float | None = Field(default=None, ge=0.0, le=1.0)
    max_cost_usd: float | None = Field(default=None, ge=0.0)
    route: str | None = None
    cache: bool | Literal["exact"] = True
    stream_policy: StreamPolicy | None = None
    store: Any = ":memory:"
    signing_key: Any = Field(default=None, exclude=True, repr=False)
    seal_key: Any = Field(default=None, exclude=True, repr=False)
    privacy: PrivacyConfig | str | None = Field(default=None, repr=False)
    tenant: str | None = None
    config: LEOConfig | None = Field(default=None, repr=False)
    embedder: Any = Field(default=None, exclude=True)
    listeners: tuple[Any, ...] = Field(default=(), exclude=True, repr=False)
    checker: Callable[..., bool | None] | None = Field(default=None, exclude=True, repr=False)
    engine_seed: int | None = Field(default=None, repr=False)
    prices: dict[str, Any] = Field(default_factory=dict, exclude=True, repr=False)

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = Field(default=None, gt=0)
    seed: int | None = None
    stop: list[str] | str | None = None
    api_key: SecretStr | dict[str, SecretStr] | None = Field(default=None, exclude=True, repr=False)
    base_url: str | dict[str, str] | None = Field(default=None, repr=False)
    timeout: float | None = None
    max_retries: int | None = None
    context_window: int | None = Field(default=None, gt=0)
    num_output: int | None = Field(default=None, gt=0)
    annotate_responses: bool = True

    _panel: Lazy[Panel] = PrivateAttr(default_factory=Lazy)
    _engine: LazyEngine = PrivateAttr(default_factory=LazyEngine)
    _tells: bool = PrivateAttr(default=True)

    # --------------------------------------------------------------------------------------------- construction

    @classmethod
    def class_name(cls) -> str:
        """Name of the class, as LlamaIndex serialises it."""
        return "LEOLLM"

    @classmethod
    def from_preset(cls, preset: Preset, **settings: Any) -> Self:
        """An LLM with a named set of settings (:meth:`leo_core.LEOConfig.preset`).

        Args:
            preset: ``economy``, ``balanced``, ``verified`` or ``private``.
            **settings: As for the constructor, without ``config``.
        """
        return cls(config=LEOConfig.preset(preset), **settings)

    @classmethod
    def offline(cls, **settings: Any) -> Self:
        """An LLM without a key: three local readers vote on the sentence of the prompt's context that answers.

        They are no language models and know nothing beside that context. Takes what the constructor takes.
        """
        return cls(**{"jury": OFFLINE_JURY, **settings})

    def __init__(self, **settings: Any) -> None:
        """Check the arguments and make the members; nothing is opened yet.

        Raises:
            ConfigError: An argument is unknown, or there is no usable member.
        """
        optional = ("callback_manager", "store")
        given = {name: value for name, value in settings.items() if value is not None or name not in optional}
        refuse_unknown(given, type(self).model_fields, owner="LEOLLM")
        check_arguments(given, owner="LEOLLM", by_pydantic=True)
        if (model := given.get("model")) is not None:
            if [
                member for member in (given.get("small"), given.get("large"), *(given.get("jury") or ())) if member
            ] not in ([], [model]):
                message = "model= is the one member: give either it, or small=, large= and jury="
                raise ConfigError(message)
            given["small"] = model
        super().__init__(**given)
        pick_privacy(self.privacy)
        check_members(self._members, LLMS, owner="LEOLLM", needed=True)
        if self.annotate_responses:
            watch_synthesizers()

    def __setattr__(self, name: str, value: Any) -> None:
        private = getattr(self, "__pydantic_private__", None)
        if name in _FIXED and private and private["_panel"].built is not None:
            message = f"{name} cannot be changed: make another LEOLLM"
            raise ConfigError(message)
        super().__setattr__(name, value)

    def __copy__(self) -> Self:
        """A copy builds its own members and engine, so that changed settings take effect."""
        copied = super().__copy__()
        copied._panel, copied._engine = Lazy(), LazyEngine()  # noqa: SLF001 - a copy of this class
        return copied

    def __repr_args__(self) -> Any:
        for name in ("small", "large"):
            if getattr(self, name) is not None:
                yield name, name_member(getattr(self, name), LLMS)
        if self.jury:
            yield "jury", [name_member(member, LLMS) for member in self.jury]
        yield "store", plain(self.store)

    def __str__(self) -> str:
        return repr(self)

    @field_serializer("small", "large")
    def _dump_member(self, given: Any) -> str | None:
        return None if given is None else name_member(given, LLMS)

    @field_serializer("jury")
    def _dump_jury(self, given: tuple[Any, ...]) -> list[str]:
        return [name_member(member, LLMS) for member in given]

    @field_serializer("store")
    def _dump_store(self, given: Any) -> str | None:
        return None if plain(given) == f"<{type(given).__qualname__}>" else str(given)

    @field_serializer("base_url")
    def _dump_address(self, given: Any) -> Any:
        return plain(given)

    @field_serializer("config")
    def _dump_config(self, given: LEOConfig | None) -> dict[str, Any] | None:
        return None if given is None else given.to_dict()

    @field_serializer("privacy")
    def _dump_privacy(self, given: PrivacyConfig | str | None) -> Any:
        return given.to_dict() if isinstance(given, PrivacyConfig) else given

    # ------------------------------------------------------------------------------------------------ the engine

    @property
    def leo(self) -> LEO:
        """The core's engine: ``explain``, ``feedback``, ``public_key``, ``log`` and the rest."""
        return self._engine.get(self._build)

    def _build(self) -> LEO:
        from leo_core import LEO  # noqa: PLC0415 - the engine loads numba

        panel = self._panel.get(self._make_panel)
        return LEO(
            small=panel.small,
            large=panel.large,
            jury=panel.jury,
            config=configure(self.config, self.max_wrong_hits, self.privacy),
            store=self.store,
            signing_key=self.signing_key,
            seal_key=self.seal_key,
            embedder=self.embedder,
            listeners=self.listeners,
            checker=self.checker,
            seed=self.engine_seed,
        )

    def _make_panel(self) -> Panel:
        options = {
            "api_key": reveal(self.api_key),
            "base_url": self.base_url,
            "timeout_s": self.timeout,
            "max_retries": self.max_retries,
        }
        picker = MemberPicker(own=LLMS, options=options, prices=self.prices)
        return picker.pick_panel(self.small, self.large, self.jury)

    @property
    def _members(self) -> tuple[Any, ...]:
        return self._panel.get(self._make_panel).members

    async def _aleo(self) -> LEO:
        """The engine, built off the event loop: opening a store touches the disk."""
        return await self._engine.aget(self._build)

    def close(self) -> None:
        """Write what is left and release the store; idempotent. A later request opens it again."""
        self._engine.close()

    # ------------------------------------------------------------------------------------------------- metadata

    @property
    def metadata(self) -> LLMMetadata:
        """What holds for every member: the smallest window, the shortest output; tools where any member has them."""
        abilities = [member.capabilities for member in self._members]
        windows = [can.max_input_tokens or DEFAULT_CONTEXT_WINDOW for can in abilities]
        outputs = [can.max_output_tokens for can in abilities if can.max_output_tokens]
        window = self.context_window or min(windows)
        output = self.num_output or min([self.max_tokens or DEFAULT_NUM_OUTPUTS, *outputs, max(1, window // 2)])
        return LLMMetadata(
            context_window=window,
            num_output=output,
            is_chat_model=True,
            is_function_calling_model=any(can.tools for can in abilities),
            model_name="+".join(member.id for member in self._members),
        )

    def to_payload(self) -> dict[str, Any]:
        """What events say of this LLM; no secret."""
        settings = {name: getattr(self, name) for name in ("temperature", "max_tokens", "max_error", "route")}
        given = {name: value for name, value in settings.items() if value is not None}
        return {**super().to_payload(), "members": [member.id for member in self._members], **given}

    # ---------------------------------------------------------------------------------------------------- asking

    def _request(self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> Request:
        defaults = {name: getattr(self, name) for name in _DEFAULTS}
        return build_request(messages, kwargs, defaults={**defaults, **current_tags()})

    async def _arequest(self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> Request:
        if reads_disk(messages):
            return await asyncio.to_thread(self._request, messages, kwargs)
        return self._request(messages, kwargs)

    def _ask(self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> ChatResponse:
        answer = self.leo.ask(self._request(messages, kwargs))
        self._report(answer, current_sheet())
        return to_response(answer)

    async def _aask(self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> ChatResponse:
        leo = await self._aleo()
        answer = await leo.aask(await self._arequest(messages, kwargs))
        self._report(answer, current_sheet())
        return to_response(answer)

    def _stream(
        self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]
    ) -> Generator[ChatResponse, None, None]:
        return self._responses(self._request(messages, kwargs), current_sheet())

    def _responses(self, request: Request, sheet: Sheet | None) -> Generator[ChatResponse, None, None]:
        writer = ResponseWriter()
        with closing(self.leo.stream(request)) as chunks:
            for chunk in chunks:
                if chunk.answer is not None:
                    self._report(chunk.answer, sheet)
                yield writer.write(chunk)

    async def _astream(
        self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]
    ) -> AsyncGenerator[ChatResponse, None]:
        leo = await self._aleo()
        return self._aresponses(leo, await self._arequest(messages, kwargs), current_sheet())

    async def _aresponses(self, leo: LEO, request: Request, sheet: Sheet | None) -> AsyncGenerator[ChatResponse, None]:
        writer = ResponseWriter()
        async with aclosing(leo.astream(request)) as chunks:
            async for chunk in chunks:
                if chunk.answer is not None:
                    self._report(chunk.answer, sheet)
                yield writer.write(chunk)

    def _report(self, answer: Answer, sheet: Sheet | None) -> None:
        """Tell of an answer, unless this is a member of another LEOLLM, which tells of its own."""
        if not self._tells:
            return
        report_answer(answer)
        if sheet is not None:
            sheet.add({**describe_answer(answer), "usage": to_usage_dict(answer.usage)})

    def _turn(self, prompt: str, *, formatted: bool) -> list[ChatMessage]:
        text = prompt if formatted or self.completion_to_prompt is None else self.completion_to_prompt(prompt)
        return [ChatMessage(role=MessageRole.USER, content=text)]

    # ------------------------------------------------------------------------------------------- public methods

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Answer a conversation; keywords: ``tenant``, ``end_user``, ``session``, constraints, sampling, tools."""
        return self._ask(messages, kwargs)

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """:meth:`chat` without blocking the event loop."""
        return await self._aask(messages, kwargs)

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """Answer a conversation in pieces; hits of the cache too."""
        return self._stream(messages, kwargs)

    @llm_chat_callback()
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        """:meth:`stream_chat` without blocking the event loop."""
        return await self._astream(messages, kwargs)

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:  # noqa: FBT001, FBT002 - LlamaIndex's signature
        """Answer a prompt as a conversation of one user turn."""
        return to_completion(self._ask(self._turn(prompt, formatted=formatted), kwargs))

    @llm_completion_callback()
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:  # noqa: FBT001, FBT002 - LlamaIndex's signature
        """:meth:`complete` without blocking the event loop."""
        return to_completion(await self._aask(self._turn(prompt, formatted=formatted), kwargs))

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:  # noqa: FBT001, FBT002 - LlamaIndex's signature
        """Answer a prompt in pieces."""
        return _completions(self._stream(self._turn(prompt, formatted=formatted), kwargs))

    @llm_completion_callback()
    async def astream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseAsyncGen:  # noqa: FBT001, FBT002 - LlamaIndex's signature
        """:meth:`stream_complete` without blocking the event loop."""
        return _acompletions(await self._astream(self._turn(prompt, formatted=formatted), kwargs))

    # ----------------------------------------------------------------------------------------------------- tools

    def _prepare_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,  # noqa: ARG002, FBT001, FBT002 - the base class's signature
        allow_parallel_tool_calls: bool = False,  # noqa: FBT001, FBT002 - as above
        tool_required: bool = False,  # noqa: FBT001, FBT002 - as above
        tool_choice: Any = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        messages = list(chat_history or [])
        if user_msg is not None:
            asked = ChatMessage(role=MessageRole.USER, content=user_msg) if isinstance(user_msg, str) else user_msg
            messages.append(asked)
        if not tools:
            return {"messages": messages, **kwargs}
        return {
            "messages": messages,
            "tools": [{"type": "function", "function": to_tool(tool)} for tool in tools],
            "tool_choice": tool_choice if tool_choice is not None else ("any" if tool_required else "auto"),
            "parallel_tool_calls": allow_parallel_tool_calls,
            **kwargs,
        }

    def _validate_chat_with_tools_response(
        self,
        response: ChatResponse,
        tools: Sequence[BaseTool],  # noqa: ARG002 - the base class's signature
        allow_parallel_tool_calls: bool = False,  # noqa: FBT001, FBT002 - as above
        **kwargs: Any,  # noqa: ARG002 - as above
    ) -> ChatResponse:
        return response if allow_parallel_tool_calls else keep_one_call(response)

    def get_tool_calls_from_response(
        self,
        response: ChatResponse,
        error_on_no_tool_call: bool = True,  # noqa: FBT001, FBT002 - the base class's signature
        **kwargs: Any,  # noqa: ARG002 - as above
    ) -> list[ToolSelection]:
        """The tool calls of a response, from its blocks or from ``additional_kwargs``.

        Args:
            response: The response.
            error_on_no_tool_call: Whether it has to have one.
            **kwargs: None are used.

        Raises:
            ValueError: There is none, and there has to be.
        """
        calls = read_tool_calls(response)
        if not calls and error_on_no_tool_call:
            message = "the model was to call a tool and answered without a call"
            raise ValueError(message)
        return calls


def _completions(responses: Generator[ChatResponse, None, None]) -> CompletionResponseGen:
    with closing(responses):
        for response in responses:
            yield to_completion(response)


async def _acompletions(responses: AsyncGenerator[ChatResponse, None]) -> CompletionResponseAsyncGen:
    async with aclosing(responses):
        async for response in responses:
            yield to_completion(response)
