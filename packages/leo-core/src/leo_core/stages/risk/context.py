"""Find the text that a prompt supplies to answer from."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leo_core.records import Request

__all__ = ["find_context"]

_NAMES = (
    r"context(?: information)?|passages?|documents?|sources?|excerpts?|knowledge|background|article|evidence|"
    r"reference text"
)
# Every pattern takes time in proportion to the text, whatever the text: requests may be megabytes long.
_HEADING = re.compile(rf"(?im)^[^\w\n]*(?:{_NAMES})\b[^\n:]{{0,60}}:[ \t]*\n?")
_ENDING = re.compile(
    r"(?im)^[^\w\n]*(?:question|query|task|instructions?|user|answer|given (?:the|this))\b[^\n]{0,80}:?"
)
_TAGGED = re.compile(rf"(?is)<({_NAMES})\b[^<>]*>((?:(?!<\1\b).)*?)</\1>")
_FENCED = re.compile(r"(?s)(?:\"\"\"|(?<!-)-{4,}\n)(.+?)(?:\"\"\"|\n-{4,})")
_RULE = re.compile(r"(?m)^[ \t]*(-{4,})[ \t\r]*$")
_NAMED = re.compile(rf"(?i)\b(?:{_NAMES})\b")
_CODE = re.compile(r"\bdef \w+\(|\[PYTHON\]|```|;\s*\n|\breturn\b")
_LONG_WORDS = 80
_SHORTEST = 20
_ANNOUNCED_WITHIN = 300
_RULES_READ = 8


def find_context(request: Request) -> str:
    """The context supplied with the question, or an empty string.

    Read are: the results of tools that did not fail; text under a heading such as ``Context:`` or ``Sources:``; text in
    ``<context>`` tags; text between rules of dashes that is announced as context, documents or the like in the 300
    characters before it, up to the last such rule; where there is none of these, and no code, text between triple
    quotes or rules of dashes; and, where the last user turn has more than 80 words before its last paragraph and holds
    no code, those paragraphs.
    """
    parts = [message.text for message in request.messages if message.role == "tool" and not message.tool_error]
    parts += [marked for message in request.messages if message.role == "system" for marked in _marked(message.text)]
    question = request.question
    parts += _marked(question) or _leading(question)
    return "\n".join(part.strip() for part in parts if len(part.strip()) >= _SHORTEST)


def _marked(text: str) -> list[str]:
    spans = _join((_tagged(text) or _headed(text)) + _ruled(text))
    if spans:
        return [text[start:end] for start, end in spans]
    fenced = '"""' in text or "----" in text
    return _FENCED.findall(text) if fenced and not _CODE.search(text) else []


def _tagged(text: str) -> list[tuple[int, int]]:
    return [match.span(2) for match in _TAGGED.finditer(text)] if "</" in text else []


def _headed(text: str) -> list[tuple[int, int]]:
    heading = _HEADING.search(text) if ":" in text else None
    if heading is None:
        return []
    ending = _ENDING.search(text, heading.end())
    return [(heading.end(), ending.start() if ending is not None else len(text))]


def _ruled(text: str) -> list[tuple[int, int]]:
    """Between the first rule of dashes that a context is announced before and the last one that is as long."""
    rules = list(_RULE.finditer(text)) if "----" in text else []
    last = {rule[1]: rule for rule in rules}
    for rule in islice(rules, _RULES_READ):
        closing = last[rule[1]]
        announced = _NAMED.search(text, max(0, rule.start() - _ANNOUNCED_WITHIN), rule.start())
        if announced and closing is not rule:
            return [(rule.end(), closing.start())]
    return []


def _join(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The spans in order, those that overlap as one."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start < joined[-1][1]:
            start, end = joined[-1][0], max(end, joined.pop()[1])  # noqa: PLW2901 - the two as one
        joined.append((start, end))
    return joined


def _leading(text: str) -> list[str]:
    paragraphs, _, _last = text.rpartition("\n\n")
    return [paragraphs] if len(paragraphs.split()) > _LONG_WORDS and not _CODE.search(text) else []
