"""From a request to the body of a Messages call.

System turns move to ``system`` wherever they stood. Turns of one speaker that follow each other become one, so that all
results of parallel tool calls stand together, as the protocol demands. Empty text is left out, for the protocol refuses
it; so is reasoning without the provider's signature. ``json_object`` has no form here and becomes an instruction;
``json_schema`` goes out natively (``output_config``) or, where the model is too old for that, as a forced tool.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

from leo_core.errors import RequestError
from leo_core.providers.blocks import Part, read_parts
from leo_core.providers.json_schema import close_objects
from leo_core.providers.payload import cannot_carry, check_encodable, check_messages, named_tool, split_options

if TYPE_CHECKING:
    from leo_core.records import Json, Message, Request, ToolCall

__all__ = ["ANSWER_TOOL", "StructuredOutput", "build_anthropic_payload"]

StructuredOutput = Literal["native", "tool"]

ANSWER_TOOL: Final = "give_answer"
"""Name of the tool whose forced call carries a structured answer."""

_JSON_INSTRUCTION: Final = "Answer with one JSON object and nothing else."
_WORDS: Final = {"any": "any", "required": "any", "auto": "auto", "none": "none"}
_UNSAID: Final = frozenset({"logprobs", "top_logprobs"})
_NATIVE: Final = frozenset({"search_result", "container_upload", "server_tool_use", "mcp_tool_use"})
_PASSED_TEXT: Final = ("cache_control", "citations")


def build_anthropic_payload(
    request: Request, *, model: str, max_tokens: int, structured_output: StructuredOutput = "native"
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The body of the call, and the arguments that the SDK itself takes (``extra_headers`` …).

    Options go into the body as they are, save that ``parallel_tool_calls`` is translated and ``logprobs`` and
    ``top_logprobs``, which this provider does not give and which change no answer, are left out.

    Args:
        request: What is asked.
        model: Name of the model; ``request.model`` overrides it.
        max_tokens: Limit of output tokens where the request sets none; the protocol demands one.
        structured_output: How a JSON schema is asked for.

    Raises:
        RequestError: The request is malformed, or cannot be encoded.
        CapabilityError: A content block has no form in this protocol.
    """
    check_messages(request)
    options, call = split_options(request.options)
    parallel = options.pop("parallel_tool_calls", None)
    body = {
        "model": request.model or model,
        "max_tokens": request.sampling.max_tokens or max_tokens,
        "messages": _turns(request.messages),
        **_system(request),
        **_sampling(request),
        **_tools(request, parallel),
    }
    body |= _structured(request, structured_output)
    body |= {name: value for name, value in options.items() if name not in _UNSAID}
    check_encodable(body)
    return body, call


def _sampling(request: Request) -> dict[str, Any]:
    sampling = request.sampling
    values = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "stop_sequences": list(sampling.stop) or None,
    }
    return {name: value for name, value in values.items() if value is not None}


def _system(request: Request) -> dict[str, Any]:
    blocks = []
    for message in request.messages:
        for part in read_parts(message) if message.role == "system" else ():
            if part.kind != "text":
                raise cannot_carry(part, "Anthropic, in a system message,")
            blocks += _text(part)
    if (request.response_format or {}).get("type") == "json_object":
        blocks.append({"type": "text", "text": _JSON_INSTRUCTION})
    if len(blocks) == 1 and len(blocks[0]) == 2:  # noqa: PLR2004 - nothing but type and text
        return {"system": blocks[0]["text"]}
    return {"system": blocks} if blocks else {}


def _tools(request: Request, parallel: Json) -> dict[str, Any]:
    named = named_tool(request)
    if not request.tools:
        return {}
    choice: dict[str, Any] | None = None
    if named is not None:
        choice = {"type": "tool", "name": named}
    elif request.tool_choice is not None or parallel is not None:
        choice = {"type": _WORDS[request.tool_choice or "auto"]}
    if choice is not None and parallel is not None and choice["type"] != "none":
        choice["disable_parallel_tool_use"] = not parallel
    return {"tools": [_tool(tool) for tool in request.tools]} | ({"tool_choice": choice} if choice else {})


def _tool(tool: Mapping[str, Json]) -> dict[str, Any]:
    if "parameters" not in tool and tool.get("type") not in (None, "function", "custom"):
        return dict(tool)  # a tool that the provider runs itself, in its own form
    if not tool.get("name") or "parameters" not in tool:
        message = f"a tool needs 'name' and 'parameters'; this one has {', '.join(sorted(tool)) or 'nothing'}"
        raise RequestError(message)
    schema = {"type": "object", **tool["parameters"]}
    strict = bool(tool.get("strict"))
    wire: dict[str, Any] = {"name": tool["name"], "input_schema": close_objects(schema) if strict else schema}
    if strict:
        wire["strict"] = True
    return wire | {name: tool[name] for name in ("description", "cache_control") if tool.get(name)}


def _structured(request: Request, how: StructuredOutput) -> dict[str, Any]:
    wanted = request.response_format or {"type": "json_object"}
    if wanted.get("type") == "json_object":
        return {}
    if wanted.get("type") != "json_schema" or not isinstance(wanted.get("schema"), Mapping):
        message = (
            f"unknown response_format type {wanted.get('type')!r}; use 'json_object' or 'json_schema' with a schema"
        )
        raise RequestError(message)
    if how == "native":
        return {"output_config": {"format": {"type": "json_schema", "schema": close_objects(wanted["schema"])}}}
    if request.tools:
        message = "a forced answer tool cannot be combined with bound tools; use structured_output='native'"
        raise RequestError(message)
    tool = {
        "name": ANSWER_TOOL,
        "description": "Give the answer.",
        "input_schema": {"type": "object", **wanted["schema"]},
    }
    return {"tools": [tool], "tool_choice": {"type": "tool", "name": ANSWER_TOOL}}


# ---------------------------------------------------------------------------------------------- turns


def _turns(messages: Iterable[Message]) -> list[dict[str, Any]]:
    turns: list[dict[str, Any]] = []
    for number, message in enumerate(messages):
        if message.role == "system":
            continue
        role = "assistant" if message.role == "assistant" else "user"
        content = _turn(message)
        if not content and role == "user":
            text = f"message {number} is empty, which Anthropic refuses"
            raise RequestError(text)
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += content
        elif content:
            turns.append({"role": role, "content": content})
    if not turns:
        text = "the request has nothing but system messages; Anthropic needs a user's turn"
        raise RequestError(text)
    return turns


def _turn(message: Message) -> list[dict[str, Any]]:
    parts = read_parts(message)
    if message.role == "tool":
        inner = [block for part in parts for block in _result_content(part)]
        return [_result(str(message.tool_call_id), inner, failed=message.tool_error)]
    if message.role == "user":
        results = [block for part in parts if part.kind == "tool_result" for block in _blocks(part)]
        return results + [block for part in parts if part.kind != "tool_result" for block in _blocks(part)]
    seen = {part.call.id for part in parts if part.call is not None}
    later = [call for call in message.tool_calls if call.id not in seen]
    return [block for part in parts for block in _blocks(part)] + [_use(call) for call in later]


def _use(call: ToolCall) -> dict[str, Any]:
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": dict(call.arguments)}


def _result(call_id: str, content: list[dict[str, Any]], *, failed: bool) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "tool_result", "tool_use_id": call_id}
    return block | ({"content": content} if content else {}) | ({"is_error": True} if failed else {})


def _result_content(part: Part) -> list[dict[str, Any]]:
    if part.kind not in ("text", "image", "file") and part.type not in _NATIVE:
        raise cannot_carry(part, "Anthropic, in a tool's result,")
    return _blocks(part)


# --------------------------------------------------------------------------------------------- blocks


def _blocks(part: Part) -> list[dict[str, Any]]:
    """A part on the wire: one block, or none where there is nothing to say."""
    if part.kind in ("text", "refusal"):
        return _text(part)
    if part.kind == "reasoning":
        return _thinking(part)
    if part.kind == "echo":
        return []
    if part.kind == "tool_call" and part.call is not None:
        return [_use(part.call) | _hints(part)]
    if part.kind == "tool_result":
        inner = [block for piece in part.results for block in _result_content(piece)]
        failed = bool(part.block.get("is_error"))
        return [_result(part.block["tool_use_id"], inner, failed=failed) | _hints(part)]
    return [_media(part)]


def _text(part: Part) -> list[dict[str, Any]]:
    if not part.text:
        return []
    kept = {name: part.block[name] for name in _PASSED_TEXT if part.block.get(name)}
    return [{"type": "text", "text": part.text, **kept}]


def _thinking(part: Part) -> list[dict[str, Any]]:
    block = part.block
    if block.get("type") == "redacted_thinking":
        return [{"type": "redacted_thinking", "data": block.get("data", "")}]
    extras = block.get("extras")
    signature = block.get("signature") or (extras.get("signature") if isinstance(extras, Mapping) else None)
    return [{"type": "thinking", "thinking": part.text, "signature": signature}] if signature else []


def _hints(part: Part) -> dict[str, Any]:
    hint = part.block.get("cache_control")
    return {"cache_control": hint} if hint else {}


def _media(part: Part) -> dict[str, Any]:
    native = part.type in _NATIVE or part.type.endswith("_tool_result")
    if (part.kind == "other" and native) or (part.type == "document" and part.kind == "other"):
        return dict(part.block)
    if part.kind == "image" or (part.kind == "file" and part.mime_type.startswith("image/")):
        return {"type": "image", "source": _source(part)} | _hints(part)
    if part.kind == "file":
        return _document(part)
    raise cannot_carry(part, "Anthropic")


def _document(part: Part) -> dict[str, Any]:
    kept = {name: part.block[name] for name in ("context", "citations", "cache_control") if part.block.get(name)}
    title = {"title": part.filename} if part.filename else {}
    if part.text:
        return (
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": part.text}}
            | title
            | kept
        )
    if part.base64 is not None and part.mime_type not in ("application/pdf", ""):
        raise cannot_carry(part, "Anthropic", f"a document must be a PDF or text, not {part.mime_type}")
    return {"type": "document", "source": _source(part, "application/pdf")} | title | kept


def _source(part: Part, default_type: str = "") -> dict[str, Any]:
    if part.file_id:
        return {"type": "file", "file_id": part.file_id}
    if part.url:
        return {"type": "url", "url": part.url}
    mime_type = part.mime_type or default_type
    if not mime_type:
        message = f"a content block of type {part.type!r} with inline data needs a mime_type"
        raise RequestError(message)
    return {"type": "base64", "media_type": mime_type, "data": part.base64}
