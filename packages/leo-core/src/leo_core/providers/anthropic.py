"""Anthropic, through its Messages API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from leo_core.errors import ConfigError
from leo_core.providers.anthropic_reply import AnthropicStream, read_anthropic_reply
from leo_core.providers.anthropic_request import StructuredOutput, build_anthropic_payload
from leo_core.providers.remote import Call, RemoteModel
from leo_core.records import Capabilities, Json, Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leo_core.providers.reply import Reply
    from leo_core.telemetry.prices import Price, PriceTable

__all__ = ["AnthropicModel"]

_CREDENTIALS: Final = ("api_key", "auth_token", "credentials")


class AnthropicModel(RemoteModel):
    """A model of Anthropic.

    Nothing is opened before the first call. Clients are shared between threads and kept per event loop; a model may be
    shared freely. A request's ``max_latency_s`` bounds the whole call, and then the SDK does not retry; otherwise
    ``timeout_s`` bounds each attempt's wait for data. (A whole sync call checks its bound between reads; asked through
    LEO it ends in time.)
    A request's ``seed`` has no form here and is not sent.

    Args:
        model: Name of the model, such as ``"claude-haiku-4-5"``.
        api_key: Key; without one the SDK reads its own environment (``ANTHROPIC_API_KEY`` …).
        base_url: Address of a compatible server.
        timeout_s: Longest wait, in seconds.
        max_retries: Retries on 408, 409, 429, 5xx and lost connections. Asked through LEO they are LEO's own, within
            the deadline (``ResilienceConfig``); a model that is used by itself leaves them to the SDK.
        max_tokens: Limit of output tokens where the request sets none; the protocol demands one.
        structured_output: How a JSON schema is asked for: ``"native"``, or ``"tool"`` (a forced tool, whose arguments
            become the text) for models that are too old for it.
        capabilities: What the model can do; everything but audio by default.
        prices: A price table, or prices by model name that go on top of the shipped ones.
        id: Id of the member; ``"anthropic:<model>"`` by default.
        family: Family of the model; read from its name by default.
        **client_options: Further arguments of the SDK's clients, such as ``default_headers``; ``http_client`` serves
            the sync methods and ``http_async_client`` the async ones.

    Raises:
        MissingExtraError: The package ``anthropic`` is not installed.
        ConfigError: An argument is out of range; or, at the first call, there is no key.
    """

    provider: ClassVar[str] = "anthropic"
    sdk: ClassVar[str] = "anthropic"

    def __init__(
        self,
        model: str,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        timeout_s: float = 60.0,
        max_retries: int = 2,
        max_tokens: int = 4_096,
        structured_output: StructuredOutput = "native",
        capabilities: Capabilities | None = None,
        prices: PriceTable | Mapping[str, Price | Mapping[str, float]] | None = None,
        id: str | None = None,  # noqa: A002 - the port's own word
        family: str | None = None,
        **client_options: Any,
    ) -> None:
        if max_tokens < 1 or structured_output not in ("native", "tool"):
            message = (
                f"max_tokens={max_tokens!r}, structured_output={structured_output!r}: need >= 1, 'native' or 'tool'"
            )
            raise ConfigError(message)
        self._max_tokens, self._structured_output = max_tokens, structured_output
        super().__init__(
            model,
            api_key=api_key,
            base_url=base_url,
            timeout_s=timeout_s,
            max_retries=max_retries,
            capabilities=capabilities or Capabilities(audio=False),
            prices=prices,
            id=id,
            family=family,
            client_options=client_options,
        )

    @property
    def fingerprint(self) -> Mapping[str, Json]:
        """What can change an answer; no secret."""
        own = {"max_tokens": self._max_tokens, "structured_output": self._structured_output}
        return {**super().fingerprint, **own}

    def _payload(self, request: Request) -> tuple[dict[str, Any], dict[str, Any]]:
        return build_anthropic_payload(
            request, model=self._model, max_tokens=self._max_tokens, structured_output=self._structured_output
        )

    def _read(self, body: Mapping[str, Json], call: Call) -> Reply:
        answer_tool = self._asks_by_tool(call)
        return read_anthropic_reply(body, provider=self.provider, model=call.model, answer_tool=answer_tool)

    def _fold(self, call: Call) -> AnthropicStream:
        return AnthropicStream(provider=self.provider, model=call.model, answer_tool=self._asks_by_tool(call))

    def _asks_by_tool(self, call: Call) -> bool:
        wanted = call.request.response_format or {}
        return self._structured_output == "tool" and wanted.get("type") == "json_schema"

    def _resource(self, client: Any) -> Any:
        return client.messages

    def _open_client(self) -> Any:
        return self._open("Anthropic", self._client_options.get("http_client"))

    def _open_async_client(self) -> Any:
        return self._open("AsyncAnthropic", self._client_options.get("http_async_client"))

    def _open(self, kind: str, http_client: Any) -> Any:
        options = {name: value for name, value in self._client_options.items() if not name.startswith("http_")}
        options |= {"api_key": self._api_key, "base_url": self._base_url, "max_retries": 0}
        import anthropic  # noqa: PLC0415 - the SDK is loaded when it is used

        message = "Anthropic needs a key: pass api_key=…, or set the environment variable ANTHROPIC_API_KEY"
        try:
            client = self._make_client(kind, options | ({"http_client": http_client} if http_client else {}))
        except anthropic.AnthropicError as error:
            raise ConfigError(message) from error
        if not any(getattr(client, name, None) for name in _CREDENTIALS) and "default_headers" not in options:
            raise ConfigError(message)
        return client
