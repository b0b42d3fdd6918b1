r"""Request identity: what makes two requests the same one (``definitions``, section 0).

The keys are SHA-256 over canonical JSON (RFC 8785) of a *canonical request*. RFC 8785 refuses some JSON that
providers accept, so values are first brought to a *safe form*, one-to-one:

========================  =====================================================================
value                     safe form
========================  =====================================================================
string                    the string with U+001A doubled; a lone surrogate becomes U+001A, then
                          its four hex digits, then U+001A
integer in ±(2^53 − 1)    itself
other integer             ``{"\u001aint": decimal digits}``
finite float              ``{"\u001afloat": shortest repr}``, but an integral float in ±(2^53 − 1)
                          is the integer (1.0 and 1 are the same JSON number)
NaN, ±Infinity            ``{"\u001afloat": "nan" | "inf" | "-inf"}``
bytes                     ``{"\u001abytes": hex}``
mapping                   mapping; keys that are no strings take the safe form of their JSON as text
anything else             ``{"\u001aother": type name, "text": repr}``
========================  =====================================================================

A real mapping key never begins with a single U+001A because strings double it, so no content can imitate a
safe form, and lists, mappings and strings are delimited by JSON itself: two different canonical requests
never have the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import rfc8785

from leo_core.records import Identity

if TYPE_CHECKING:
    from leo_core.records import Json, Message, Request

__all__ = ["canonical_bytes", "canonical_message", "identify"]

_DOMAIN = "leo.request.v1"
_SAFE_INTEGER = 2**53 - 1
_MARK = "\x1a"
_ASCII = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))
_LONGEST_COMPARED = 16_384
"""Characters of the longest question that is compared with others; a vector says little of a longer one."""
_EPHEMERAL = frozenset(
    {
        "additional_kwargs",
        "cachePoint",
        "cache_control",
        "cache_point",
        "created_at",
        "id",
        "index",
        "response_metadata",
        "usage",
        "usage_metadata",
    }
)
"""Keys of a content block that change between turns, or steer a provider's own prompt cache, and not the answer."""


def identify(request: Request, *, models: bytes) -> Identity:
    """The keys of a request.

    Args:
        request: What is asked.
        models: Fingerprint of the policy and its members, everything outside the request that can change the answer,
            as :func:`canonical_bytes` of a JSON value: it is the same for many requests.

    Returns:
        ``exact_key`` and ``scope_key`` (hex SHA-256), the text that is compared, and whether semantic matching is
        admissible. Never raises for content that a provider would accept (see the module's table).
    """
    position = _last_user_turn(request.messages)
    messages = [canonical_bytes(canonical_message(message)) for message in request.messages]
    scope = _canonical_scope(request, models)
    without_turn = [b"null" if at == position else message for at, message in enumerate(messages)]
    why_exact = _why_exact(request, position)
    return Identity(
        exact_key=_key("exact", messages, scope),
        scope_key=_key("scope", without_turn, scope),
        text=request.messages[position].text if position >= 0 else "",
        semantic=not why_exact,
        why_exact=why_exact,
    )


def canonical_message(message: Message) -> dict[str, Json]:
    """What of a message can change the answer: no ids, usage, metadata or prompt-cache marks.

    A message whose content is one plain text block equals the message with that text as a string. Ids of tool calls
    are kept, since tool messages refer to them.
    """
    canonical: dict[str, Json] = {"role": message.role, "content": _canonical_content(message.content)}
    if message.tool_calls:
        canonical["tool_calls"] = [
            {"id": call.id, "name": call.name, "arguments": call.arguments} for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        canonical["tool_call_id"] = message.tool_call_id
    if message.tool_error:
        canonical["tool_error"] = True
    if message.name is not None:
        canonical["name"] = message.name
    return canonical


def canonical_bytes(value: Json) -> bytes:
    """RFC 8785 bytes of the safe form of a JSON value (see the module's table); one-to-one."""
    safe = _safe(value)
    # A safe form has no floats, and ASCII names sort alike by code points and by UTF-16 code units: the two encoders
    # differ in speed only.
    plain = _ASCII.encode(safe)
    return plain.encode("ascii") if plain.isascii() else rfc8785.dumps(safe)


def _key(kind: str, messages: Sequence[bytes], scope: bytes) -> str:
    """SHA-256 of the canonical JSON ``{"domain": …, "request": {"messages": […], …scope}}``, put together of parts.

    Both keys have most parts in common, and "messages" sorts before every name of the scope.
    """
    head = f'{{"domain":"{_DOMAIN}.{kind}","request":{{"messages":['.encode()
    return hashlib.sha256(b"".join((head, b",".join(messages), b"],", scope[1:], b"}"))).hexdigest()


def _canonical_scope(request: Request, models: bytes) -> bytes:
    """Canonical JSON of everything but the messages that can change the answer. Tools are a set.

    Its members are put together in the order of their names.
    """
    sampling = request.sampling
    parts = (
        b'{"model":',
        b"null" if request.model is None else canonical_bytes(request.model),
        b',"models":',
        models,
        b',"options":',
        b"{}" if request.options == {} else canonical_bytes(request.options),
        b',"response_format":',
        b"null" if request.response_format is None else canonical_bytes(request.response_format),
        b',"sampling":',
        _canonical_sampling(
            sampling.temperature, sampling.top_p, sampling.max_tokens, tuple(sampling.stop), sampling.seed
        ),
        b',"tenant":',
        canonical_bytes(request.tenant),
        b',"tool_choice":',
        b"null" if request.tool_choice is None else canonical_bytes(request.tool_choice),
        b',"tools":[',
        b",".join(sorted(canonical_bytes(_without_ephemeral(tool)) for tool in request.tools)),
        b"]}",
    )
    return b"".join(parts)


@lru_cache(maxsize=256, typed=True)  # typed, since True is another JSON value than 1
def _canonical_sampling(temperature: Json, top_p: Json, max_tokens: Json, stop: tuple[str, ...], seed: Json) -> bytes:
    return canonical_bytes(
        {"temperature": temperature, "top_p": top_p, "max_tokens": max_tokens, "stop": list(stop), "seed": seed}
    )


def _canonical_content(content: str | tuple[Mapping[str, Json], ...]) -> Json:
    if isinstance(content, str):
        return content
    blocks = [_without_ephemeral(block) for block in content]
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"} and blocks[0]["type"] == "text":
        return blocks[0]["text"]
    return blocks


def _without_ephemeral(block: Mapping[str, Json]) -> dict[str, Json]:
    """The block without ephemeral keys. An ``id`` that is the payload itself (a stored file) is under ``file_id``."""
    return {key: value for key, value in block.items() if key not in _EPHEMERAL}


def _last_user_turn(messages: Sequence[Message]) -> int:
    return next((at for at in range(len(messages) - 1, -1, -1) if messages[at].role == "user"), -1)


def _why_exact(request: Request, position: int) -> str:  # noqa: PLR0911 - one return per reason
    """Why semantic matching is not admissible; empty when it is."""
    if position < 0:
        return "no user turn"
    if request.tools:
        return "tools are bound"
    tail = request.messages[position + 1 :]
    if any(message.role == "tool" for message in tail):
        return "tool messages in the tail"
    if tail:
        return "the last user turn is not the last message"
    if any(message.role == "tool" for message in request.messages[max(0, position - 1) : position]):
        return "tool messages in the tail"
    turn = request.messages[position]
    if not isinstance(turn.content, str) and any(block.get("type") != "text" for block in turn.content):
        return "the last user turn has content other than text"
    if len(turn.text) > _LONGEST_COMPARED:
        return f"the last user turn is longer than {_LONGEST_COMPARED} characters"
    return "" if turn.text.strip() else "the last user turn has no text"


def _safe(value: Json) -> Json:  # noqa: PLR0911 - one return per row of the table
    if type(value) is dict:  # the common case, before the checks of abstract classes, which cost more than the rest
        return {_safe_name(name): _safe(item) for name, item in value.items()}
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _safe_string(value)
    if isinstance(value, int):
        return int(value) if abs(value) <= _SAFE_INTEGER else {f"{_MARK}int": _decimal(int(value))}
    if isinstance(value, float):
        return _safe_float(value)
    if isinstance(value, Mapping):
        return {_safe_name(name): _safe(item) for name, item in value.items()}
    if isinstance(value, bytes | bytearray):
        return {f"{_MARK}bytes": value.hex()}
    if isinstance(value, Sequence):
        return [_safe(item) for item in value]
    if isinstance(value, set | frozenset):
        return {f"{_MARK}set": sorted((_safe(item) for item in value), key=rfc8785.dumps)}
    return {f"{_MARK}other": type(value).__qualname__, "text": _safe_string(repr(value))}


def _safe_string(text: str) -> str:
    exact = str.__str__(text)
    doubled = exact.replace(_MARK, _MARK + _MARK) if _MARK in exact else exact
    if doubled.isascii():
        return doubled
    return "".join(
        f"{_MARK}{ord(letter):04x}{_MARK}" if "\ud800" <= letter <= "\udfff" else letter for letter in doubled
    )


def _safe_float(value: float) -> Json:
    if value.is_integer() and abs(value) <= _SAFE_INTEGER:
        return int(value)
    return {f"{_MARK}float": repr(float(value))}


def _safe_name(name: object) -> str:
    if isinstance(name, str):
        return _safe_string(name)
    return f"{_MARK}key:{rfc8785.dumps(_safe(name)).decode()}"


def _decimal(value: int) -> str:
    """Decimal digits of an integer of any size (``str`` refuses very long ones)."""
    return hex(value) if value.bit_length() > 10_000 else str(value)  # noqa: PLR2004 - far below the length that str refuses
