"""Stand-ins for personal data: ``<EMAIL_1>`` in a request, and what it stands for again in the answer.

Equal values of a request have the same stand-in, in all of its messages; their numbers follow the order in which they
come. So two requests that differ in nothing but whose data they hold become the same text. A stand-in that stands in
the request already, in so many letters, is not given to a value.

What a model is given names no value, so that its answer cannot depend on one: an answer to one user's request is the
answer to the other's, each with their own values in the place of the stand-ins.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any, Final

from leo_core.errors import PersonalDataError
from leo_core.privacy.personal.personal_data import find_personal_data
from leo_core.privacy.personal.redaction_config import PERSONAL_KINDS
from leo_core.records import Redaction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leo_core.privacy.personal.redaction_config import PersonalDataConfig
    from leo_core.records import Json, Message, Request

__all__ = ["StandIns", "cover_request", "holds_personal_data", "list_stand_ins", "reveal_message"]

_STAND_IN: Final = re.compile(f"<(?:{'|'.join(kind.upper() for kind in PERSONAL_KINDS)})_[1-9][0-9]*>")
_TEXTS: Final = frozenset(
    {"text", "reasoning", "thinking", "title", "context", "content", "refusal", "cited_text", "quote", "input_text"}
)
"""Names of the fields of content blocks that hold what somebody wrote; others hold data, addresses and types."""
_VALUES: Final = frozenset({"input", "args", "arguments", "parameters", "output", "result"})
"""Names of those that hold arguments and results of calls: all texts in them are looked at, but for data."""
_DATA: Final = frozenset({"data", "base64", "url", "image_url", "file_data", "signature", "encrypted_content"})
_LONG_NUMBER: Final = 10**7
"""Whole numbers from here on are looked at like texts, in the arguments of tool calls."""


class StandIns:
    """The stand-ins of one request, and what they stand for. Its repr shows how many, and it is not pickled.

    Args:
        kinds: What is looked for.
        taken: Stand-ins that the request itself holds, as letters.
    """

    def __init__(self, kinds: Sequence[str] = PERSONAL_KINDS, taken: frozenset[str] = frozenset()) -> None:
        self._kinds, self._taken = frozenset(kinds), taken
        self._by_value: dict[tuple[str, str], str] = {}
        self._numbers: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"StandIns({dict(self.counts)!r})"

    def __reduce__(self) -> str:
        message = "stand-ins hold personal data and are not pickled"
        raise TypeError(message)

    @property
    def counts(self) -> dict[str, int]:
        """How many different values there are of each kind, by its name."""
        return dict(sorted(Counter(kind for kind, _ in self._by_value).items()))

    @property
    def values(self) -> dict[str, str]:
        """What each stand-in stands for."""
        return {stand_in: value for (_, value), stand_in in self._by_value.items()}

    def cover(self, text: str) -> str:
        """The text with stand-ins in the place of what is found in it."""
        parts, at = [], 0
        for finding in find_personal_data(text, self._kinds):
            parts += [text[at : finding.start], self._stand_in(finding.kind, text[finding.start : finding.end])]
            at = finding.end
        return "".join((*parts, text[at:])) if parts else text

    def _stand_in(self, kind: str, value: str) -> str:
        known = self._by_value.get((kind, value))
        if known is not None:
            return known
        while True:
            self._numbers[kind] += 1
            made = f"<{kind.upper()}_{self._numbers[kind]}>"
            if made not in self._taken:
                self._by_value[kind, value] = made
                return made


_NONE: Final = StandIns()
"""Those of a request in which nothing is looked for."""


def cover_request(request: Request, config: PersonalDataConfig) -> tuple[Request, StandIns]:
    """The request as it may leave the caller's hands, and what its stand-ins stand for.

    Looked at are the texts of the messages, and arguments and results of tool calls; not tools, options, tags, and ids.
    A request in which something was found carries the counts (``Request.redaction``). One whose texts were changed is
    no longer handed over in the framework's own form, and the speaker's name is left out where it is personal.

    Raises:
        PersonalDataError: The mode is ``"block"`` and something was found.
    """
    if config.mode == "off" or request.redaction is not None:
        return request, _NONE
    stand_ins = StandIns(config.kinds, frozenset(_find_taken(request)))
    messages = tuple(_cover_message(message, stand_ins) for message in request.messages)
    counts = stand_ins.counts
    if not counts:
        return request, stand_ins
    if config.mode == "block":
        found = ", ".join(f"{kind}: {count}" for kind, count in counts.items())
        message = (
            f"the request holds personal data ({found}), which this policy refuses; take it out, "
            "or set the mode of personal_data to 'redact' or 'reversible'"
        )
        raise PersonalDataError(message, counts=counts)
    if config.mode == "detect":
        return replace(request, redaction=Redaction(mode="detect", counts=counts)), StandIns()
    redaction = Redaction(mode=config.mode, counts=counts)
    covered = replace(request, messages=messages, native=None, redaction=redaction)
    return covered, stand_ins if config.mode == "reversible" else StandIns()


def holds_personal_data(request: Request, config: PersonalDataConfig) -> bool:
    """Whether something is found in the request that this policy does not let pass as it is."""
    if config.mode in ("off", "detect"):
        return False
    stand_ins = StandIns(config.kinds)
    for message in request.messages:
        _cover_message(message, stand_ins)
    return bool(stand_ins.counts)


def reveal_message(message: Message, values: Mapping[str, str]) -> Message:
    """The message with what its stand-ins stand for: in its texts, its blocks, and the arguments of its tool calls."""
    if not values:
        return message
    return replace(
        message,
        content=reveal(message.content, values),
        tool_calls=tuple(replace(call, arguments=reveal(call.arguments, values)) for call in message.tool_calls),
    )


def reveal(value: Any, values: Mapping[str, str]) -> Any:
    """A text, or all texts in a JSON value, with what their stand-ins stand for; ids of blocks and calls are kept."""
    if isinstance(value, str):
        return _STAND_IN.sub(lambda found: values.get(found[0], found[0]), value)
    if isinstance(value, Mapping):
        return {reveal(name, values): reveal(item, values) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        kind = tuple if isinstance(value, tuple) else list
        return kind(reveal(item, values) for item in value)
    return value


def list_stand_ins(text: str) -> tuple[str, ...]:
    """The different stand-ins in a text, sorted."""
    return tuple(sorted(set(_STAND_IN.findall(text)))) if "<" in text else ()


def in_json(values: Mapping[str, str]) -> dict[str, str]:
    """Stand-ins as they are spelled inside a JSON text, with and without escapes, and their values spelled likewise."""
    spelled = {stand_in: json.dumps(value)[1:-1] for stand_in, value in values.items()}
    ways = product(("\\u003c", "\\u003C"), ("\\u003e", "\\u003E"))
    escaped = {f"{less}{name[1:-1]}{more}": value for (less, more), (name, value) in product(ways, spelled.items())}
    return spelled | escaped


def _find_taken(request: Request) -> Iterator[str]:
    for message in request.messages:
        written = message.content if isinstance(message.content, str) else json.dumps(list(message.content))
        yield from _STAND_IN.findall(written)
        for call in message.tool_calls:
            yield from _STAND_IN.findall(json.dumps(dict(call.arguments)))


def _cover_message(message: Message, stand_ins: StandIns) -> Message:
    content: str | tuple[Mapping[str, Json], ...]
    if isinstance(message.content, str):
        content = stand_ins.cover(message.content)
    else:
        content = tuple(_cover_block(block, stand_ins) for block in message.content)
    name = message.name
    if name is not None and message.role != "tool" and stand_ins.cover(name) != name:
        name = None
    return replace(
        message,
        content=content,
        name=name,
        tool_calls=tuple(
            replace(call, arguments=_cover_json(call.arguments, stand_ins)) for call in message.tool_calls
        ),
    )


def _cover_block(block: Any, stand_ins: StandIns, *, is_text: bool = False, is_value: bool = False) -> Any:
    """A content block with stand-ins in its texts, at any depth.

    Args:
        block: The block, or a part of one.
        stand_ins: Gives stand-ins.
        is_text: Whether the part itself is something that somebody wrote.
        is_value: Whether it is of the arguments or the result of a call: then all in it is.
    """
    if isinstance(block, Mapping):
        is_written = block.get("type") == "text"  # a document in the form of Anthropic has its text as data
        return {
            name: _cover_block(
                item,
                stand_ins,
                is_text=name in _TEXTS or (is_written and name == "data") or (is_value and name not in _DATA),
                is_value=name in _VALUES or (is_value and name not in _DATA),
            )
            for name, item in block.items()
        }
    if isinstance(block, Sequence) and not isinstance(block, str | bytes | bytearray):
        return [_cover_block(item, stand_ins, is_text=is_text, is_value=is_value) for item in block]
    return _cover_json(block, stand_ins) if is_text or is_value else block


def _cover_json(value: Any, stand_ins: StandIns) -> Any:
    """A JSON value with stand-ins in all of its texts, and for long numbers that are personal."""
    if isinstance(value, str):
        return stand_ins.cover(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= _LONG_NUMBER:
        covered = stand_ins.cover(str(value))
        return value if covered == str(value) else covered
    if isinstance(value, Mapping):
        return {name: _cover_json(item, stand_ins) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [_cover_json(item, stand_ins) for item in value]
    return value
