"""Canonical values of answers: what a reply finally says, in one spelling."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from leo_core.stages.consensus.dates import read_moment
from leo_core.stages.consensus.extraction import FoundAnswer, extract_answer, is_refusal
from leo_core.stages.consensus.free_text import Wording, normalise
from leo_core.stages.consensus.literals import read_literal, spell_json, spell_literal, spell_number
from leo_core.stages.consensus.programs import spell_program
from leo_core.stages.consensus.quantities import Quantity, last_quantity, read_quantity

if TYPE_CHECKING:
    from collections.abc import Callable

    from leo_core.records import Message
    from leo_core.stages.consensus.questions import QuestionTraits

__all__ = ["CanonicalAnswer", "canonicalise"]

_POLAR = re.compile(r"(yes|yeah|yep|no|nope|true|false|correct|incorrect)\b(?!-)", re.IGNORECASE)
_AFFIRMATIVE = frozenset({"yes", "yeah", "yep", "true", "correct"})
_WRAPPERS = (
    ("**", "**"),
    ("__", "__"),
    ("```", "```"),
    ("`", "`"),
    ("$$", "$$"),
    ("$", "$"),
    ("\\(", "\\)"),
    ("\\[", "\\]"),
)
_QUOTES = (('"', '"'), ("'", "'"), ("\u201c", "\u201d"), ("\u2018", "\u2019"))
_MARKS = _WRAPPERS + _QUOTES
_OPENING = tuple(left for left, _ in _MARKS)
_TEXT_BLOCKS = frozenset({"text", "reasoning", "thinking"})
_ASSERTION = re.compile(r"assert\s+[^\n]{1,2000}?==\s*")
_MAX_TEXT = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CanonicalAnswer:
    """What a reply finally says.

    Attributes:
        kind: ``none`` (no answer), ``refusal`` (the reply says that it has none), ``tools``, ``blocks``,
            ``choice``, ``yes-no``, ``number``, ``date``, ``time``,
            ``literal``, ``program``, ``string`` (a value of a program) or ``text``.
        form: Its one spelling; answers of one kind and form are the same.
        quantity: Of a number.
        wording: Of a text.
    """

    kind: str
    form: str
    quantity: Quantity | None = field(default=None, compare=False)
    wording: Wording | None = field(default=None, compare=False)


def canonicalise(message: Message, traits: QuestionTraits) -> CanonicalAnswer:
    """Find out what a reply finally says; never raises, whatever the reply, and takes time linear in its length."""
    if message.tool_calls:
        return _read_tools(message)
    text = message.text
    if not text.strip():
        return _read_blocks(message)
    if is_refusal(text):
        return CanonicalAnswer(kind="refusal", form="")
    found = extract_answer(text, traits)
    if traits.code:
        return _read_program_value(found)
    return _read_value(found, traits)


def _read_tools(message: Message) -> CanonicalAnswer:
    """Calls by name and arguments; their order and ids do not matter, text beside them neither."""
    spelled = [(call.name, spell_json(call.arguments)) for call in message.tool_calls]
    if any(arguments is None for _, arguments in spelled):
        return CanonicalAnswer(kind="none", form="")
    return CanonicalAnswer(kind="tools", form=" ".join(sorted(f"{name}({arguments})" for name, arguments in spelled)))


def _read_blocks(message: Message) -> CanonicalAnswer:
    """A reply without text: its images and files, if it has any."""
    blocks = [] if isinstance(message.content, str) else message.content
    shown = [block for block in blocks if block.get("type") not in _TEXT_BLOCKS]
    spelled = spell_json([{key: value for key, value in block.items() if key != "id"} for block in shown])
    if not shown or spelled is None:
        return CanonicalAnswer(kind="none", form="")
    return CanonicalAnswer(kind="blocks", form=spelled)


def _read_program_value(found: FoundAnswer) -> CanonicalAnswer:
    """The answer to "what does this program give": a literal; without quotes, a string if it is nothing else."""
    if found.program:
        return CanonicalAnswer(kind="program", form=spell_program(found.text))
    text = _unwrap(found.text, _WRAPPERS[:4]) if found.text.strip() else found.text
    assertion = _ASSERTION.match(text.lstrip())
    text = text.lstrip()[assertion.end() :] if assertion else text
    literal = read_literal(text)
    if literal is None:
        return CanonicalAnswer(kind="string", form=(text.strip() or text)[:_MAX_TEXT])
    kind, content = literal
    if kind == "str":
        string = str(content)
        inner = read_literal(string)
        if inner is None or inner[0] in {"list", "tuple", "set", "dict", "str"}:
            return CanonicalAnswer(kind="string", form=string)
    return CanonicalAnswer(kind="literal", form=spell_literal(literal, typed=True))


def _read_value(found: FoundAnswer, traits: QuestionTraits) -> CanonicalAnswer:
    if found.program:
        return CanonicalAnswer(kind="program", form=spell_program(found.text))
    text = _unwrap(found.text.strip(), _MARKS)
    readers: tuple[Callable[[str, QuestionTraits], CanonicalAnswer | None], ...] = (
        _read_choice,
        _read_polar,
        _read_moment,
        _read_number,
        _read_structure,
    )
    for reader in readers:
        answer = reader(text, traits)
        if answer is not None:
            return answer
    if traits.numeric:
        rescued = _rescue_number(text)
        if rescued is not None:
            return rescued
    plain = normalise(text)
    return CanonicalAnswer(kind="text", form=plain.casefold().rstrip(".!?,;: "), wording=Wording(plain))


def _unwrap(text: str, wrappers: tuple[tuple[str, str], ...]) -> str:
    """Without marks around the whole: emphasis, code marks, dollar signs, quotes; at most six layers."""
    for _ in range(6):
        if not text.startswith(_OPENING):
            return text
        for left, right in wrappers:
            if not text.startswith(left):
                continue
            inner = text[len(left) : -len(right)]
            if text.endswith(right) and len(text) > len(left) + len(right) and right not in inner:
                text = inner.strip() if left not in {"'", '"'} else inner
                break
        else:
            return text
    return text


def _read_choice(text: str, traits: QuestionTraits) -> CanonicalAnswer | None:
    """The letter of an option, given as a letter or by the option's text."""
    if not traits.options:
        return None
    letters = dict(traits.options)
    leading = re.match(r"[(\[]?([A-Ja-j])(?:[)\].:,]|\s*$)", text)
    if leading and leading.group(1).upper() in letters:
        return CanonicalAnswer(kind="choice", form=leading.group(1).upper())
    plain = normalise(text).casefold().rstrip(".")
    matching = [letter for letter, option in traits.options if normalise(option).casefold().rstrip(".") == plain]
    return CanonicalAnswer(kind="choice", form=matching[0]) if len(matching) == 1 else None


def _read_polar(text: str, traits: QuestionTraits) -> CanonicalAnswer | None:
    """Yes or no, alone or, to a yes-or-no question, as its first word."""
    match = _POLAR.match(text)
    if match is None or not (traits.polar or not text[match.end() :].strip(" .!")):
        return None
    return CanonicalAnswer(kind="yes-no", form="yes" if match.group(1).lower() in _AFFIRMATIVE else "no")


def _read_moment(text: str, _: QuestionTraits) -> CanonicalAnswer | None:
    found = read_moment(text)
    return CanonicalAnswer(kind=found[0], form=found[1]) if found is not None else None


def _read_number(text: str, traits: QuestionTraits) -> CanonicalAnswer | None:
    """One quantity, or an equation whose right side is one."""
    quantity = read_quantity(text)
    if quantity is None and "=" in text:
        left, _, right = text.rpartition("=")
        if traits.numeric or not re.search(r"[^\W\d_]{2}", left):
            quantity = read_quantity(right.strip())
    return _as_number(quantity) if quantity is not None else None


def _as_number(quantity: Quantity) -> CanonicalAnswer:
    form = f"{spell_number(quantity.value)} {quantity.unit}".strip()
    return CanonicalAnswer(kind="number", form=form, quantity=quantity)


def _rescue_number(text: str) -> CanonicalAnswer | None:
    """Last resort for a question that asks for a quantity: the last number of the reply."""
    quantity = last_quantity(text)
    return _as_number(quantity) if quantity is not None else None


def _read_structure(text: str, _: QuestionTraits) -> CanonicalAnswer | None:
    if not text.startswith(("[", "{", "(")):
        return None
    literal = read_literal(text)
    if literal is None or literal[0] not in {"list", "tuple", "set", "dict"}:
        return None
    return CanonicalAnswer(kind="literal", form=spell_literal(literal, typed=False))
