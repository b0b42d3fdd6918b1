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
_HEADING = re.compile(rf"(?im)^[^\w\n]*(?:(?:new|retrieved) )?(?:{_NAMES})\b[^\n:]{{0,60}}:[ \t]*\n?")
_SENTENCE = re.compile(rf"(?im)^[^\w\n]*here are the (?:relevant )?(?:{_NAMES})\b[^\n:]{{0,60}}:[ \t\r]*\n")
_ENDING = re.compile(
    r"(?im)^[^\w\n]*(?:question|query|task|instructions?|user|answer|given (?:the|this))\b[^\n]{0,80}:?"
)
_ASKED = re.compile(r"(?im)^[^\w\n]*(?:question|query)\b[^\n:]{0,40}:")
_ANSWERED = re.compile(r"(?im)^[^\w\n]*answer:")
_INSTRUCTION = re.compile(r"(?im)^[ \t]*instructions?:")
_TAGGED = re.compile(rf"(?is)<({_NAMES})\b[^<>]*>((?:(?!<\1\b).)*?)</\1>")
_FENCED = re.compile(r"(?s)(?:\"\"\"|(?<!-)-{4,}\n)(.+?)(?:\"\"\"|\n-{4,})")
_RULE = re.compile(r"(?m)^[ \t]*(-{4,})[ \t\r]*$")
_NAMED = re.compile(rf"(?i)\b(?:{_NAMES})\b")
_EARLIER = re.compile(r"(?i)\b(?:existing|original) answer:[ \t]*\n?")
_EARLIER_ENDING = re.compile(
    r"(?im)^[ \t]*(?:new answer:|instruction:|we have the opportunity\b|-{4,})|below are several\b"
)
_FOLLOWING = re.compile(r"(?i)\bfollowing (?:pieces of )?(?:retrieved )?(?:context|passages|documents|excerpts)\b")
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
    no code, those paragraphs. In a system message also the paragraphs after one that speaks of the "following context"
    or documents, as LangChain's do. Where such text is to refine an "existing answer", that answer is context too: it
    stands on what was supplied before.
    """
    parts = [message.text for message in request.messages if message.role == "tool" and not message.tool_error]
    system = [message.text for message in request.messages if message.role == "system"]
    parts += [part for text in system for part in _marked(text) or _following(text)]
    question = request.question
    parts += _marked(question) or _leading(question)
    return "\n".join(part.strip() for part in parts if len(part.strip()) >= _SHORTEST)


def _marked(text: str) -> list[str]:
    spans = (_tagged(text) or _headed(text)) + _ruled(text)
    if spans:
        earlier = _earlier(text)
        found = [text[start:end] for start, end in _join(spans + earlier)]
        return ["\n".join(part.strip() for part in found)] if earlier else found
    fenced = '"""' in text or "----" in text
    return _FENCED.findall(text) if fenced and not _CODE.search(text) else []


def _tagged(text: str) -> list[tuple[int, int]]:
    return [match.span(2) for match in _TAGGED.finditer(text)] if "</" in text else []


def _headed(text: str) -> list[tuple[int, int]]:
    """Below the first heading, up to the question; or below a sentence that announces what ends before instructions."""
    heading = _HEADING.search(text) if ":" in text else None
    if heading is None:
        sentence = _SENTENCE.search(text) if ":" in text else None
        endings = list(_INSTRUCTION.finditer(text, sentence.end())) if sentence is not None else []
        return [(sentence.end(), endings[-1].start())] if sentence is not None and endings else []
    ending = _ENDING.search(text, heading.end())
    if ending is None:
        return [(heading.end(), len(text))]
    if _ASKED.match(text, ending.start()) or _ANSWERED.match(text, ending.start()):
        asked = list(_ASKED.finditer(text, ending.start()))
        ending = asked[-1] if asked else ending  # documents may hold questions too: the last one is asked
    return [(heading.end(), ending.start())]


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


def _earlier(text: str) -> list[tuple[int, int]]:
    """The answer that is to be refined."""
    opening = _EARLIER.search(text)
    if opening is None:
        return []
    ending = _EARLIER_ENDING.search(text, opening.end())
    return [(opening.end(), ending.start() if ending is not None else len(text))]


def _join(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The spans in order, those that overlap as one."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start < joined[-1][1]:
            start, end = joined[-1][0], max(end, joined.pop()[1])  # noqa: PLW2901 - the two as one
        joined.append((start, end))
    return joined


def _following(text: str) -> list[str]:
    """The paragraphs after the one that announces them."""
    announced = _FOLLOWING.search(text)
    return [text[announced.end() :].partition("\n\n")[2]] if announced is not None else []


def _leading(text: str) -> list[str]:
    paragraphs, _, _last = text.rpartition("\n\n")
    return [paragraphs] if len(paragraphs.split()) > _LONG_WORDS and not _CODE.search(text) else []
