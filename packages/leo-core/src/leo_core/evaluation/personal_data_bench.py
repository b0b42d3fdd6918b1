"""How much of the personal data in labelled sentences is found, and how much of what is found is some."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from leo_core.errors import ConfigError
from leo_core.privacy.personal.personal_data import find_personal_data
from leo_core.privacy.personal.redaction_config import PERSONAL_KINDS

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["measure_personal_data", "read_labelled"]

_MARK = re.compile(r"\[\[(?P<kind>\w+)\|(?P<value>.*?)\]\]")


def read_labelled(path: Path) -> list[tuple[str, frozenset[tuple[int, int, str]]]]:
    """Sentences, and start, end and kind of what is personal in them: a sentence a line, marked ``[[kind|value]]``.

    Raises:
        ConfigError: The file cannot be read, or a mark has an unknown kind.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        message = f"cannot read {path}: {error}"
        raise ConfigError(message) from error
    return [_read_line(line) for line in lines if line]


def _read_line(line: str) -> tuple[str, frozenset[tuple[int, int, str]]]:
    text, at, labels = "", 0, set()
    for mark in _MARK.finditer(line):
        if mark["kind"] not in PERSONAL_KINDS:
            message = f"the mark {mark[0]!r} has an unknown kind; there are {', '.join(PERSONAL_KINDS)}"
            raise ConfigError(message)
        text += line[at : mark.start()]
        labels.add((len(text), len(text) + len(mark["value"]), mark["kind"]))
        text, at = text + mark["value"], mark.end()
    return text + line[at:], frozenset(labels)


def measure_personal_data(path: Path) -> dict[str, Any]:
    """Precision and recall per kind, and what was missed or found too much.

    A finding counts when kind, start and end are those of the label.
    """
    sentences = read_labelled(path)
    right: Counter[str] = Counter()
    missed: defaultdict[str, list[str]] = defaultdict(list)
    wrong: defaultdict[str, list[str]] = defaultdict(list)
    for text, labels in sentences:
        found = frozenset((each.start, each.end, each.kind) for each in find_personal_data(text))
        right.update(kind for _, _, kind in found & labels)
        for start, end, kind in sorted(labels - found):
            missed[kind].append(text[start:end])
        for start, end, kind in sorted(found - labels):
            wrong[kind].append(text[start:end])
    kinds = sorted({*right, *missed, *wrong})
    return {
        "sentences": len(sentences),
        "without": sum(not labels for _, labels in sentences),
        "kinds": {
            kind: {
                "labelled": right[kind] + len(missed[kind]),
                "found": right[kind] + len(wrong[kind]),
                "precision": _share(right[kind], len(wrong[kind])),
                "recall": _share(right[kind], len(missed[kind])),
                "missed": missed[kind],
                "wrong": wrong[kind],
            }
            for kind in kinds
        },
    }


def _share(part: int, rest: int) -> float | None:
    return part / (part + rest) if part + rest else None
