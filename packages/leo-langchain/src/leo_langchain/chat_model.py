"""LEO as a chat model of LangChain."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any, Literal, Self, cast

from langchain_core.caches import BaseCache  # noqa: TC002 - pydantic reads it
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.utils import from_env, secret_from_env
from pydantic import Field, PrivateAttr, SecretStr, model_validator

from leo_core.adapting.closing import Closeable
from leo_core.adapting.engines import Engines
from leo_core.adapting.members import MemberNames, MemberPicker, check_members
from leo_core.adapting.plain import plain
from leo_core.adapting.settings import PolicyDigest, configure, refuse_unknown, reveal
from leo_core.config import LEOConfig, Preset
from leo_core.engine.arguments import check_arguments
from leo_core.errors import ConfigError
from leo_core.privacy.config import PrivacyConfig, pick_privacy
from leo_core.providers.extractive import OFFLINE_JURY
from leo_core.records import StreamPolicy  # noqa: TC001 - pydantic reads it
from leo_langchain._answers import ChunkWriter, make_message
from leo_langchain._fingerprint import identify_member
from leo_langchain._late import AlternativeModels, ConfigurableModel
from leo_langchain._profile import intersect_profiles
from leo_langchain._request import build_request
from leo_langchain._runs import describe_model, describe_run
from leo_langchain._scoped import ScopedChatModel
from leo_langchain._structured import bind_schema, to_openai_tool
from leo_langchain._version import __version__
from leo_langchain.callbacks import keep_within
from leo_langchain.members import CHAT_MODELS
from leo_langchain.tenancy import current_session, current_tenant, current_user

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
    from langchain_core.language_models import LangSmithParams, LanguageModelInput, ModelProfile
    from langchain_core.messages import AIMessage, BaseMessage
    from langchain_core.runnables import ConfigurableField, Runnable, RunnableConfig
    from langchain_core.runnables.utils import AnyConfigurableField
    from langchain_core.tools import BaseTool
    from langchain_protocol.protocol import MessagesData

    from leo_core import LEO
    from leo_core.adapting.lazy import LazyEngine
    from leo_core.records import Request

__all__ = ["ChatLEO", "LEOChatModel"]

_ENGINE_FIELDS = tuple(sorted({
    "model", "small", "large", "jury", "max_wrong_hits", "store", "signing_key", "seal_key", "privacy", "config",
    "embedder", "listeners", "checker", "engine_seed", "prices", "api_key", "base_url", "timeout", "max_retries",
}))  # fmt: skip
_DEFAULTS = ("temperature", "top_p", "max_tokens", "seed", "stop", "tenant", "max_error", "max_cost_usd", "route")


class LEOChatModel(Closeable, ScopedChatModel):
    """One chat model made of several: answered by the cheapest route that can be trusted, with a receipt.

    ??? info "Setup"

        ```bash
        pip install leo-langchain "leo-core[openai]"
        ```

    ??? info "Key init args: members and policy"

        small: Asked where that is enough: a name like ``"openai:gpt-5-mini"``, a chat model, or a leo_core model.
        large: Asked where the small one is not enough.
        jury: Asked when a verdict is needed; ``small`` and ``large`` may sit in it.
        max_wrong_hits: The cache's promise: wrong hits over all requests stay at or below this share.
            0 turns semantic hits off.
        max_error, max_cost_usd: Per request.
        store: A path, ``":memory:"``, or a store of leo_core.
        privacy: ``"sealed_local"``, another mode, or a ``PrivacyConfig``: whoever holds the store learns nothing.
        stream_policy: What a stream shows before the verdict: ``"cascade"``, ``"verified"`` or ``"optimistic"``.
        tenant: Whose requests these are, where neither the call nor a ``tenant(...)`` block says so.
        config: Every other setting (``LEOConfig``).

    ??? info "Key init args: completion params"

        model: The one member, where there is neither ``small`` nor ``large``.
        temperature, top_p, max_tokens, seed, stop: Handed to every member.
        api_key, base_url: For members given by name; a mapping by provider where they differ. Without a key each
            provider's SDK reads its own variable (``OPENAI_API_KEY``, ``ANTHROPIC_API_KEY``).
        timeout, max_retries: For members given by name.

    ??? info "Instantiate"

        ```python
        from leo_langchain import LEOChatModel

        model = LEOChatModel(small="openai:gpt-5-mini", large="anthropic:claude-sonnet-4-5", store="leo.db")
        ```

    ??? info "Invoke"

        ```python
        message = model.invoke("How many days has February in 2028?")
        message.response_metadata["leo"]  # route, risk, cost, receipt, …
        ```

    ??? info "Response metadata"

        ``response_metadata["leo"]`` holds plain values: ``route``, ``model``, ``risk``, ``risk_interval``, ``novelty``,
        ``coherence``, ``cost_usd``, ``saved_usd``, ``cache`` (``hit``, ``why``), ``receipt``, ``answer_id``; on a hit
        also ``saved_usage``. ``usage_metadata`` holds what was spent: nothing on a hit.

    The cache is inside: ``stream`` and ``stream_events`` are served from it as well, and LangChain's global cache is
    not consulted. ``cache=False`` turns it off, ``use_cache="exact"`` matches exactly only; a call may say
    ``invoke(..., cache=False)`` or ``cache="exact"`` for itself.
    """

    small: Any = None
    large: Any = None
    jury: tuple[Any, ...] = ()
    max_wrong_hits: float | None = Field(default=None, ge=0.0, lt=1.0)
    max_error: float | None = Field(default=None, ge=0.0, le=1.0)
    max_cost_usd: float | None = Field(default=None, ge=0.0)
    route: str | None = None
    store: Any = ":memory:"
    signing_key: Any = Field(default=None, exclude=True, repr=False)
    seal_key: Any = Field(default=None, exclude=True, repr=False)
    privacy: PrivacyConfig | str | None = Field(default=None, repr=False)
    tenant: str | None = None
    config: LEOConfig | None = None
    embedder: Any = None
    listeners: tuple[Any, ...] = Field(default=(), exclude=True)
    checker: Callable[..., bool | None] | None = Field(default=None, exclude=True)
    engine_seed: int | None = None
    prices: Mapping[str, Any] = Field(default_factory=dict)
    use_cache: bool | Literal["exact"] = True
    stream_policy: StreamPolicy | None = None

    model: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    max_tokens: int | None = None
    stop: list[str] | str | None = None
    timeout: float | None = None
    max_retries: int | None = None
    api_key: SecretStr | dict[str, SecretStr] | None = Field(
        default_factory=secret_from_env("LEO_API_KEY", default=None)
    )
    base_url: str | dict[str, str] | None = Field(default_factory=from_env("LEO_BASE_URL", default=None))
    streaming: bool = False
    cache: BaseCache | bool | None = Field(default=False, exclude=True)

    engines: Engines = Field(default_factory=Engines, exclude=True, repr=False)
    _policy: PolicyDigest = PrivateAttr(default_factory=PolicyDigest)
    _names: MemberNames = PrivateAttr(default_factory=MemberNames)

    # --------------------------------------------------------------------------------------------- construction

    @classmethod
    def from_preset(cls, preset: Preset, **settings: Any) -> Self:
        """A model with a named set of settings (:meth:`leo_core.LEOConfig.preset`).

        Args:
            preset: ``economy``, ``balanced``, ``verified`` or ``private``.
            **settings: As for the constructor, without ``config``.
        """
        return cls(config=LEOConfig.preset(preset), **settings)

    @classmethod
    def offline(cls, **settings: Any) -> Self:
        """A model without a key: three local readers vote on the sentence of the prompt's context that answers.

        They are no language models and know nothing beside that context. Takes what the constructor takes.
        """
        return cls(**{"jury": OFFLINE_JURY, **settings})

    @model_validator(mode="before")
    @classmethod
    def _check_names(cls, given: Any) -> Any:
        """A misspelt argument is an error, not silently nothing; ``cache=False`` means LEO's own cache too."""
        if not isinstance(given, Mapping):
            return given
        known = {*cls.model_fields, *(field.alias for field in cls.model_fields.values() if field.alias)}
        refuse_unknown(given, known, owner="LEOChatModel")
        ruled = {name: value for name, value in given.items() if name != "cache"}  # a cache of LangChain's may be there
        check_arguments(ruled, owner="LEOChatModel", by_pydantic=True)
        if given.get("cache") is False and "use_cache" not in given:
            return {**given, "use_cache": False}
        return given

    @model_validator(mode="after")
    def _check_members(self) -> Self:
        pick_privacy(self.privacy)
        check_members(self._given_members, CHAT_MODELS, owner="LEOChatModel", needed=True)
        if self.model and self._given_members != (self.model,):
            message = "model= is the one member: give either it, or small=, large= and jury="
            raise ConfigError(message)
        return self

    @model_validator(mode="after")
    def _set_leo_langchain_version(self) -> Self:
        self._add_version("leo-langchain", __version__)
        return self

    def _resolve_model_profile(self) -> ModelProfile | None:
        return intersect_profiles(self._given_members)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _ENGINE_FIELDS and "engines" in self.__dict__ and self._engine.built is not None:
            message = f"{name} cannot be changed after the first request: make another LEOChatModel"
            raise ConfigError(message)
        super().__setattr__(name, value)

    def __copy__(self) -> Self:
        """A copy builds its own engine, so that changed settings take effect."""
        copied = super().__copy__()
        copied.engines = Engines()
        return copied

    def __repr_args__(self) -> Any:
        names = ("model", "small", "large")
        yield from ((name, getattr(self, name)) for name in names if getattr(self, name) is not None)
        if self.jury:
            yield "jury", list(self.jury)
        yield "store", self.store

    # ------------------------------------------------------------------------------------------------ the engine

    @property
    def _engine(self) -> LazyEngine:
        """The engine of these settings, which models share that differ in others (``configurable_fields``)."""
        return self.engines.find({name: self.__dict__[name] for name in _ENGINE_FIELDS})

    @property
    def leo(self) -> LEO:
        """The core's engine: ``explain``, ``feedback``, ``public_key``, ``log`` and the rest."""
        return self._engine.get(self._build)

    def _build(self) -> LEO:
        from leo_core import LEO  # noqa: PLC0415 - the engine loads numba

        picker = MemberPicker(own=CHAT_MODELS, options=self._member_options, prices=self.prices)
        panel = picker.pick_panel(self.small or self.model, self.large, self.jury)
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

    async def _aleo(self) -> LEO:
        """The engine, built off the event loop: opening a store touches the disk."""
        return await self._engine.aget(self._build)

    @property
    def _member_options(self) -> dict[str, Any]:
        return {
            "api_key": reveal(self.api_key),
            "base_url": self.base_url,
            "timeout_s": self.timeout,
            "max_retries": self.max_retries,
        }

    @property
    def _given_members(self) -> tuple[Any, ...]:
        given = tuple(member for member in (self.small, self.large, *self.jury) if member is not None)
        return given or ((self.model,) if self.model else ())

    def close(self) -> None:
        """Write what is left and release the store; idempotent. A later request opens it again."""
        self.engines.close()

    # -------------------------------------------------------------------------------------------------- identity

    @property
    def _llm_type(self) -> str:
        return "leo"

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        """Everything that can change an answer, without secrets."""
        return {
            "model": self.model,
            "small": identify_member(self.small),
            "large": identify_member(self.large),
            "jury": [identify_member(member) for member in self.jury],
            "policy_sha256": self._policy.digest(self.config, self.max_wrong_hits, self.privacy),
            "tenant": self._tenant_of(None),
            **{name: getattr(self, name) for name in _DEFAULTS if name != "tenant"},
            "base_url": plain(self.base_url),
            "use_cache": self.use_cache,
            "prices": plain(self.prices),
        }

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """LangChain loads only classes of its own list, so a serialised LEO could not be read back."""
        return False

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        names = self._names.join(self._given_members, CHAT_MODELS)
        given = {name: kwargs.get(name, getattr(self, name)) for name in ("temperature", "max_tokens")}
        stops = stop or kwargs.get("stop") or self.stop
        return describe_model(kwargs.get("model") or self.model or names, stops=stops, **given)

    # ---------------------------------------------------------------------------------------------------- tenancy

    def _named(self, config: RunnableConfig | None, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Keywords with whose call it is; the user as a secret, since LangChain shows tracers and loggers keywords."""
        named = {"tenant": current_tenant(config), "session": current_session(config), "end_user": current_user(config)}
        scoped = {**{name: value for name, value in named.items() if value is not None}, **kwargs}
        if isinstance(scoped.get("end_user"), str):
            scoped["end_user"] = SecretStr(scoped["end_user"])
        return scoped

    def _scoped(self, config: RunnableConfig | None, kwargs: dict[str, Any]) -> dict[str, Any]:
        return keep_within(self._named(config, kwargs), config, self.callbacks, self.max_cost_usd)

    def _tenant_of(self, given: str | None) -> str:
        named = (given, current_tenant(), self.tenant, "default")
        return next(name for name in named if name is not None)

    def _request(self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]) -> Request:
        defaults = {name: getattr(self, name) for name in _DEFAULTS}
        defaults["tenant"] = self._tenant_of(kwargs.get("tenant"))
        defaults["session"] = current_session()
        defaults["end_user"] = current_user()
        defaults["cache"] = self.use_cache
        defaults["stream_policy"] = self.stream_policy
        return build_request(messages, stop, kwargs, defaults=defaults)

    # ---------------------------------------------------------------------------------------------------- answers

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        answer = self.leo.ask(self._request(messages, stop, kwargs))
        describe_run(run_manager, answer)
        return ChatResult(generations=[ChatGeneration(message=make_message(answer))])

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        leo = await self._aleo()
        answer = await leo.aask(self._request(messages, stop, kwargs))
        describe_run(run_manager, answer)
        return ChatResult(generations=[ChatGeneration(message=make_message(answer))])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002 - LangChain gives none to a stream
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        yield from self._chunks(self._request(messages, stop, kwargs), ChunkWriter())

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002 - as above
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        async with aclosing(self._achunks(self._request(messages, stop, kwargs), ChunkWriter())) as chunks:
            async for chunk in chunks:
                yield chunk

    def _stream_chat_model_events(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[MessagesData]:
        from leo_langchain._events import write_events  # noqa: PLC0415 - the bridge is needed for events only

        with closing(self._chunks(self._request(messages, stop, kwargs), ChunkWriter(with_facts=True))) as chunks:
            yield from write_events(chunks, run_manager)

    async def _astream_chat_model_events(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[MessagesData]:
        from leo_langchain._events import awrite_events  # noqa: PLC0415 - as above

        request = self._request(messages, stop, kwargs)
        async with aclosing(self._achunks(request, ChunkWriter(with_facts=True))) as chunks:
            async for event in awrite_events(chunks, run_manager):
                yield event

    def _chunks(self, request: Request, writer: ChunkWriter) -> Generator[ChatGenerationChunk, None, None]:
        with closing(self.leo.stream(request)) as chunks:
            for chunk in chunks:
                yield from writer.write(chunk)

    async def _achunks(self, request: Request, writer: ChunkWriter) -> AsyncGenerator[ChatGenerationChunk, None]:
        leo = await self._aleo()
        async with aclosing(leo.astream(request)) as chunks:
            async for chunk in chunks:
                for piece in writer.write(chunk):
                    yield piece

    # ---------------------------------------------------------------------------------------------- late binding

    def configurable_fields(self, **kwargs: AnyConfigurableField) -> ConfigurableModel:
        """Let the call's configuration set fields: ``small``, ``large``, ``model``, ``temperature`` and others.

        What an engine is made from (members, store, settings) makes another engine, one for each choice; the rest
        leaves the engine with its cache and its receipts as it is.
        """
        plain = cast("ConfigurableModel", super().configurable_fields(**kwargs))
        return ConfigurableModel(default=plain.default, fields=plain.fields)

    def configurable_alternatives(
        self,
        which: ConfigurableField,
        *,
        default_key: str = "default",
        prefix_keys: bool = False,
        **kwargs: Runnable[LanguageModelInput, AIMessage] | Callable[[], Runnable[LanguageModelInput, AIMessage]],
    ) -> AlternativeModels:
        """Let the call's configuration choose another model in the place of this one."""
        return AlternativeModels(
            which=which, default=self, alternatives=kwargs, default_key=default_key, prefix_keys=prefix_keys
        )

    # -------------------------------------------------------------------------------------------- tools, schemas

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: Any = None,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind tools; every member gets them in its own format.

        Args:
            tools: Tools, functions, pydantic classes, or schemas in OpenAI's, Anthropic's or JSON Schema's form.
            tool_choice: ``None``, ``"auto"``, ``"any"``, ``"none"``, or the name of a tool.
            strict: Whether arguments must follow the schema, where a provider can promise that.
            **kwargs: Further keywords of the call, such as ``response_format`` or ``parallel_tool_calls``.
        """
        bound = {"tools": [to_openai_tool(tool, strict) for tool in tools], **kwargs}
        if tool_choice is not None:
            bound["tool_choice"] = tool_choice
        return self.bind(**bound)

    def with_structured_output(
        self,
        schema: dict[str, Any] | type,
        *,
        include_raw: bool = False,
        method: Literal["function_calling", "json_schema", "json_mode"] = "function_calling",
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """Answers in the form of a schema.

        Args:
            schema: A pydantic class, a ``TypedDict``, or a JSON schema.
            include_raw: Whether to return ``{"raw", "parsed", "parsing_error"}``.
            method: ``function_calling`` works with every member; ``json_schema`` uses the provider's structured
                output where there is one; ``json_mode`` asks for any JSON object, whose form the prompt must say.
            strict: Whether the reply must follow the schema, where a provider can promise that.
            **kwargs: None are taken.

        Raises:
            ConfigError: The method or a keyword is unknown, or ``strict`` is given with ``json_mode``.
        """
        if kwargs:
            message = f"with_structured_output does not take {', '.join(sorted(kwargs))}"
            raise ConfigError(message)
        return bind_schema(self, schema, method=method, strict=strict, include_raw=include_raw)


ChatLEO = LEOChatModel
"""The same under the name that LangChain's convention suggests."""
