"""Finds the final answer inside a reply."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leo_core.records import Json
    from leo_core.stages.consensus.questions import QuestionTraits

__all__ = ["FoundAnswer", "extract_answer", "is_refusal"]

_MAX_REPLY = 50_000
_MAX_ANSWER = 20_000

_FENCE = re.compile(r"```[ \t]{0,8}(\w{0,20})[^\n`]*\n(.*?)(?:```|\Z)", re.DOTALL)
_DATA_LANGUAGES = frozenset({"", "json", "text", "txt", "plaintext", "markdown", "md"})
_ANSWER_KEY = re.compile(
    r'(?:^|[{,\n])[ \t\r\n]{0,80}"(?:final[_ ]?)?answer"[ \t\r\n]{0,80}:[ \t\r\n]{0,80}', re.IGNORECASE
)
_VALUE_END = re.compile(r'"[ \t\r\n]{0,80}\}[ \t\r\n]{0,80}(?:```|\Z)')
_HASHES = re.compile(r"^[ \t]*####[ \t]*(\S.{0,2000})$", re.MULTILINE)
_PHRASE = re.compile(
    r"\banswer\b(?:[ \t]{1,8}to[ \t]{1,8}the[ \t]{1,8}question)?\s{0,8}\*{0,2}\s{0,8}(?:(?:is|was)\b\s{0,8}:?|[:=])"
    r"\s{0,8}\*{0,2}[ \t]{0,8}(\S[^\n]{0,2000})",
    re.IGNORECASE,
)
_MAYBE_PHRASE = re.compile(
    r"answer(?:[ \t]{1,8}to[ \t]{1,8}the[ \t]{1,8}quest[iı]\u0307?on)?[\s*]{0,18}(?:[iı]\u0307?s|was|[:=])"
)
"""What every such phrase holds once case is folded; looked for first, since it is found quickest."""
_SENTENCE_END = re.compile(r"[.!?](?=\s+[A-Z\"'(]|\s*$)")
_LETTER_NAMED = re.compile(
    r"\b(?:answer|option|choice)\b\W{0,6}(?:is\b\W{0,6})?(?:option\b\W{0,4})?\(?([A-J])\b(?!['\u2019])"
)
_LETTER_FIRST = re.compile(r"[\s*_(\[]{0,8}([A-J])(?:[)\].:*_]|\s*$)")
_LETTER_LAST = re.compile(r"(?:^|\s)[*_(\[]{1,3}([A-J])[*_)\]]{1,3}[.\s]*$")


_MOST_REFUSAL = 240
_REFUSAL = re.compile(
    r"(?:(?:i am |i'm )?sorry[,.]?\s*(?:but\s+)?)?"
    r"(?:i (?:can(?:not|'t| not)|could(?: not|n't)|am unable to|am not able to|do(?: not|n't) (?:know|have))"
    r"|i'm (?:unable|not able) to|unable to answer|no answer (?:is )?(?:can be )?(?:found|given)"
    r"|the (?:given )?context does(?: not|n't) (?:say|contain|mention|give))\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundAnswer:
    """The final answer of a reply.

    Attributes:
        text: The answer as it stands there.
        explicit: Whether the reply marks it as its answer; otherwise ``text`` is the whole reply.
        program: Whether ``text`` is a program from fenced code blocks.
    """

    text: str
    explicit: bool = False
    program: bool = False


def is_refusal(reply: str) -> bool:
    """Whether a reply only says that it has no answer: short, opening with such words, and without a figure."""
    text = reply.strip()
    return len(text) <= _MOST_REFUSAL and _REFUSAL.match(text) is not None and not any(map(str.isdigit, text))


def extract_answer(reply: str, traits: QuestionTraits) -> FoundAnswer:
    r"""Find the final answer of a reply.

    Tried in this order: an ``"answer"`` field of a JSON object, ``\boxed{}``, ``####``, the letter of a
    multiple-choice question, "the answer is", fenced code; else the whole reply. Of several the last one counts.
    A reply longer than 50,000 characters is judged by its end. Time is linear in the length.
    """
    text = reply[-_MAX_REPLY:]
    text = text.rpartition("</think>")[2]
    folded = text.casefold()
    marked = _from_field(text) if 'answer"' in folded else None
    if marked is None:
        marked = _from_box(text)
    if marked is None and "####" in text:
        marked = _last_group(_HASHES, text)
    if marked is None and traits.options:
        marked = _from_letter(text, traits)
    if marked is None and _MAYBE_PHRASE.search(folded):
        marked = _from_phrase(text)
    if marked is not None:
        return FoundAnswer(text=marked[:_MAX_ANSWER], explicit=True)
    if "```" in text:
        return _from_fences(text)
    return FoundAnswer(text=text.strip()[-_MAX_ANSWER:])


def _from_field(text: str) -> str | None:
    """The value of the last ``"answer"`` key; tolerates line breaks in strings and a cut-off object."""
    last = None
    for last in _ANSWER_KEY.finditer(text):  # noqa: B007 - the last one is wanted
        pass
    if last is None:
        return None
    tail = text[last.end() :]
    try:
        value, end = json.JSONDecoder(strict=False).raw_decode(tail)
    except (ValueError, RecursionError):
        return _raw_value(tail)
    if isinstance(value, str) and tail[end : end + 1].strip().strip(",}`"):
        return _raw_value(tail)  # a quote inside the string was not escaped
    return _as_text(value, tail)


def _as_text(value: Json, source: str) -> str:
    """A decoded JSON value as the text that is canonicalised."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | dict):
        try:
            return json.dumps(value, ensure_ascii=False)
        except (ValueError, RecursionError):  # pragma: no cover - the decoder refuses such depth before
            return source
    return source.split("\n", 1)[0].strip().rstrip(",}` \t")


def _raw_value(tail: str) -> str | None:
    """The rest after the key when it is no JSON: up to its closing brace, without fence and outer quotes."""
    close = _VALUE_END.search(tail) if tail.startswith('"') else None
    value = tail[: close.start() + 1] if close else tail.strip().removesuffix("```").strip()
    value = value.removesuffix("}").strip().rstrip(",").strip()
    if value.startswith('"'):
        value = value[1:].removesuffix('"')
    return value or None


def _from_box(text: str) -> str | None:
    r"""The content of the last ``\boxed{…}``, braces balanced."""
    start = text.rfind("\\boxed{")
    if start < 0:
        return None
    depth = 0
    for position in range(start + len("\\boxed"), len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return text[start + len("\\boxed{") : position]
    return None


def _last_group(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.findall(text)
    return found[-1].strip() if found else None


def _from_phrase(text: str) -> str | None:
    """The rest of the sentence after the last "the answer is"."""
    rest = _last_group(_PHRASE, text)
    if rest is None:
        return None
    if rest.startswith("```"):
        return None
    end = _SENTENCE_END.search(rest)
    return (rest[: end.start()] if end else rest).strip() or None


def _from_letter(text: str, traits: QuestionTraits) -> str | None:
    """The letter that a reply to a multiple-choice question names, or the one whose option it repeats."""
    letters = {letter for letter, _ in traits.options}
    stripped = text.strip()
    named = _LETTER_NAMED.findall(stripped)
    first = _LETTER_FIRST.match(stripped)
    last = _LETTER_LAST.search(stripped[-80:])
    candidates = [named[-1] if named else None, first and first.group(1), last and last.group(1)]
    return next((letter for letter in candidates if letter in letters), None)


def _from_fences(text: str) -> FoundAnswer:
    """The code of a reply's fenced blocks; else the whole reply, without a fence around all of it."""
    blocks = _FENCE.findall(text)
    programs = [body for language, body in blocks if language.lower() not in _DATA_LANGUAGES]
    if programs:
        return FoundAnswer(text="\n".join(programs)[:_MAX_ANSWER], program=True)
    stripped = text.strip()
    if len(blocks) == 1 and stripped.startswith("```"):
        return FoundAnswer(text=blocks[0][1].strip()[:_MAX_ANSWER])
    return FoundAnswer(text=stripped[-_MAX_ANSWER:])
