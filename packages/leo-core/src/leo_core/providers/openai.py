"""OpenAI, and every server that is compatible with its Chat Completions API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from leo_core.errors import ConfigError
from leo_core.providers.openai_reply import OpenAIStream, read_openai_reply
from leo_core.providers.openai_request import build_openai_payload
from leo_core.providers.remote import Call, RemoteModel
from leo_core.records import Capabilities, Json, Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leo_core.providers.reply import Reply
    from leo_core.telemetry.prices import Price, PriceTable

__all__ = ["OpenAIModel"]


class OpenAIModel(RemoteModel):
    """A model of OpenAI, or of a compatible server.

    Nothing is opened before the first call. Clients are shared between threads and kept per event loop; a model may be
    shared freely. A request's ``max_latency_s`` bounds the whole call, and then the SDK does not retry; otherwise
    ``timeout_s`` bounds each attempt's wait for data. (A whole sync call checks its bound between reads; asked through
    LEO it ends in time.)

    Args:
        model: Name of the model, such as ``"gpt-5-mini"``.
        api_key: Key; without one the SDK reads its own environment variable (``OPENAI_API_KEY``).
        base_url: Address of a compatible server, such as ``"http://127.0.0.1:8000/v1"``.
        timeout_s: Longest wait, in seconds.
        max_retries: Retries on 408, 409, 429, 5xx and lost connections. Asked through LEO they are LEO's own, within
            the deadline (``ResilienceConfig``); a model that is used by itself leaves them to the SDK.
        capabilities: What the model can do; by default everything, save audio for a model of OpenAI whose name does
            not say so.
        prices: A price table, or prices by model name that go on top of the shipped ones.
        id: Id of the member; ``"openai:<model>"`` by default.
        family: Family of the model; read from its name by default.
        stream_usage: Whether to ask a stream for its usage; switch it off for servers that refuse ``stream_options``.
            Usage is then estimated, and the draft's metadata says so.
        **client_options: Further arguments of the SDK's clients, such as ``organization`` or ``default_headers``;
            ``http_client`` serves the sync methods and ``http_async_client`` the async ones.

    Raises:
        MissingExtraError: The package ``openai`` is not installed.
        ConfigError: An argument is out of range; or, at the first call, there is no key.
    """

    provider: ClassVar[str] = "openai"
    sdk: ClassVar[str] = "openai"

    def __init__(
        self,
        model: str,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        timeout_s: float = 60.0,
        max_retries: int = 2,
        capabilities: Capabilities | None = None,
        prices: PriceTable | Mapping[str, Price | Mapping[str, float]] | None = None,
        id: str | None = None,  # noqa: A002 - the port's own word
        family: str | None = None,
        stream_usage: bool = True,
        **client_options: Any,
    ) -> None:
        self._stream_usage = stream_usage
        self._is_openai = base_url is None or (urlsplit(base_url).hostname or "").endswith("openai.com")
        super().__init__(
            model,
            api_key=api_key,
            base_url=base_url,
            timeout_s=timeout_s,
            max_retries=max_retries,
            capabilities=capabilities or Capabilities(audio=not self._is_openai or "audio" in model),
            prices=prices,
            id=id,
            family=family,
            client_options=client_options,
        )

    def _payload(self, request: Request) -> tuple[dict[str, Any], dict[str, Any]]:
        limit_name = "max_completion_tokens" if self._is_openai else "max_tokens"
        return build_openai_payload(request, model=self._model, limit_name=limit_name)

    def _stream_options(self) -> Mapping[str, Any]:
        return {"stream_options": {"include_usage": True}} if self._stream_usage else {}

    def _read(self, body: Mapping[str, Json], call: Call) -> Reply:
        return read_openai_reply(body, provider=self.provider, model=call.model)

    def _fold(self, call: Call) -> OpenAIStream:
        return OpenAIStream(provider=self.provider, model=call.model)

    def _resource(self, client: Any) -> Any:
        return client.chat.completions

    def _open_client(self) -> Any:
        return self._open("OpenAI", self._client_options.get("http_client"))

    def _open_async_client(self) -> Any:
        return self._open("AsyncOpenAI", self._client_options.get("http_async_client"))

    def _open(self, kind: str, http_client: Any) -> Any:
        options = {name: value for name, value in self._client_options.items() if not name.startswith("http_")}
        options |= {"api_key": self._api_key, "base_url": self._base_url, "max_retries": 0}
        import openai  # noqa: PLC0415 - the SDK is loaded when it is used

        try:
            return self._make_client(kind, options | ({"http_client": http_client} if http_client else {}))
        except openai.OpenAIError as error:
            message = "OpenAI needs a key: pass api_key=…, or set the environment variable OPENAI_API_KEY"
            raise ConfigError(message) from error
