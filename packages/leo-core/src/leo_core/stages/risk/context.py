"""Find the text that a prompt supplies to answer from."""

from __future__ import annotations

import re
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
_CODE = re.compile(r"\bdef \w+\(|\[PYTHON\]|```|;\s*\n|\breturn\b")
_LONG_WORDS = 80
_SHORTEST = 20


def find_context(request: Request) -> str:
    """The context supplied with the question, or an empty string.

    Read are: the results of tools that did not fail; text under a heading such as ``Context:`` or ``Sources:``; text in
    ``<context>`` tags, between triple quotes or rules of dashes; and, where the last user turn has more than 80 words
    before its last paragraph and holds no code, those paragraphs.
    """
    parts = [message.text for message in request.messages if message.role == "tool" and not message.tool_error]
    parts += [marked for message in request.messages if message.role == "system" for marked in _marked(message.text)]
    question = request.question
    parts += _marked(question) or _leading(question)
    return "\n".join(part.strip() for part in parts if len(part.strip()) >= _SHORTEST)


def _marked(text: str) -> list[str]:
    tagged = [match[1] for match in _TAGGED.findall(text)] if "</" in text else []
    if tagged:
        return tagged
    heading = _HEADING.search(text) if ":" in text else None
    if heading is not None:
        ending = _ENDING.search(text, heading.end())
        return [text[heading.end() : ending.start() if ending is not None else len(text)]]
    fenced = '"""' in text or "----" in text
    return _FENCED.findall(text) if fenced and not _CODE.search(text) else []


def _leading(text: str) -> list[str]:
    paragraphs, _, _last = text.rpartition("\n\n")
    return [paragraphs] if len(paragraphs.split()) > _LONG_WORDS and not _CODE.search(text) else []
