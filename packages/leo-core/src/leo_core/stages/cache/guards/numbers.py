"""Numbers, ordinals, units and currencies must agree."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from leo_core.stages.cache.guards.clock import CLOCK
from leo_core.stages.cache.guards.numerals import (
    DECADES,
    ORDINALS,
    SCALES,
    SMALL,
    SUFFIXES,
    TENS,
    WORDS,
    read_digits,
    read_spelled,
    scale,
    write,
)
from leo_core.stages.cache.guards.units import SYMBOLS, UNITS

if TYPE_CHECKING:
    from leo_core.stages.cache.guards.units import Unit
    from leo_core.stages.cache.guards.words import Words

__all__ = ["Quantities", "find_number_conflict", "read_quantities"]

_PARTS = {"half": 2, "halves": 2, "third": 3, "thirds": 3, "quarter": 4, "quarters": 4, "fifth": 5, "fifths": 5}
_PARTS |= {"tenth": 10, "tenths": 10, "eighth": 8, "eighths": 8, "sixth": 6, "sixths": 6, "fourths": 4}
_ROMAN = {"ii": "2", "iii": "3", "iv": "4", "vi": "6", "vii": "7", "viii": "8", "ix": "9", "xi": "11", "xii": "12"}
_TIME_NOUN_BEFORE = frozenset({"a", "per", "each", "every", "one"})
_ONE_BEFORE = frozenset({"a", "an", "per", "each", "every", "square", "single"})
_LABELS = frozenset(
    """day part chapter phase step level grade type season episode book volume act scene section page unit week month
    year round stage tier class version line lane gate platform terminal room floor question option figure table group
    team track exercise lesson module quarter war problem task case plan door channel""".split()  # noqa: SIM905 - words read better as a text
)
"""Nouns after which a number is a name: "day one" is not "day two"."""
_SHARES = {"50": "0.5", "25": "0.25", "75": "0.75"}
_PERCENTS = {share: percent for percent, share in _SHARES.items()}
_PAIRS = frozenset({"both", "pair", "couple", "either", "neither", "twin"})
_NUMBER_STARTS = frozenset({*SMALL, *TENS, *WORDS, *ORDINALS, *SCALES, *DECADES, "half", "quarter", "first"})
_TELLING = _NUMBER_STARTS | UNITS.keys() | _ROMAN.keys() | {f"{each}'s" for each in _ROMAN} | _PAIRS
_DEGREES = frozenset({"°", "degree", "degrees"})
_TEMPERATURES = {
    "c": "celsius",
    "f": "fahrenheit",
    "celsius": "celsius",
    "fahrenheit": "fahrenheit",
    "centigrade": "celsius",
}
_DIGIT = re.compile(r"\d")
_CLOSE = 1e-6
_ROUNDED = 1e-3
_AMBIGUOUS = (frozenset({"lb", "gbp"}), frozenset({"bit/s", "basis-point"}))
"""Units with a spelling in common: "pounds", "bps"."""


@dataclass(slots=True, kw_only=True)
class Quantities:
    """What a text says in figures.

    Attributes:
        values: The numbers, as canonical text.
        measured: Numbers with the unit that follows (or the currency sign before) them.
        units: Units by dimension.
        spare: Numbers that a word implies without being one: "one", "first", "an hour", "both".
        spans: Start, end and value of every number among the tokens.
        sizes: What a measured number is in the base unit of its dimension.
        times: Folded times of day.
        asked: Whether the quantity itself is what is asked about: "how much is 1 km".
    """

    values: set[str] = field(default_factory=set)
    measured: dict[str, set[str]] = field(default_factory=dict)
    units: dict[str, set[str]] = field(default_factory=dict)
    spare: set[str] = field(default_factory=set)
    spans: list[tuple[int, int, str]] = field(default_factory=list)
    sizes: dict[str, tuple[str, float]] = field(default_factory=dict)
    times: frozenset[str] = frozenset()
    asked: bool = False


_NOTHING = Quantities()


def read_quantities(words: Words) -> Quantities:
    """Numbers and units of a text."""
    if words.bag.isdisjoint(_TELLING) and not _DIGIT.search(words.text):
        return _NOTHING
    found, tokens = Quantities(), words.lower
    found.asked = tokens[:3] == ("how", "much", "is") or "convert" in words.bag
    if CLOCK in words.text:
        found.times = frozenset(token for token in tokens if token[0] == CLOCK)
        found.spare.update(token.lstrip(f"{CLOCK}?").split(":")[0] for token in found.times if token.endswith(":00"))
    at, size = 0, len(tokens)
    while at < size:
        token = tokens[at]
        unit = UNITS.get(token)
        if unit is not None:
            found.units.setdefault(unit.dimension, set()).add(unit.name)
            if at and tokens[at - 1] in _ONE_BEFORE:
                found.spare.add("1")
        elif token in _PAIRS:
            found.spare.add("2")
        elif token[0].isdigit() or token in _NUMBER_STARTS:
            at = _read_number(words, at, found)
            continue
        elif (roman := token.removesuffix("'s")) in _ROMAN and words.cased[at][: len(roman)].isupper():
            found.values.add(_ROMAN[roman])
            found.spans.append((at, at + 1, _ROMAN[roman]))
        at += 1
    return found


def find_number_conflict(a: Quantities, b: Quantities) -> str | None:
    """Reason in words, or ``None`` when numbers and units agree."""
    left, right = a.values, b.values
    if left != right:
        extra, missing = _without_shares(left - right, right - left, a, b)
        if extra and missing and not (a.asked or b.asked) and _same_sizes(extra, missing, a, b):
            return None
        if extra - b.spare or missing - a.spare:
            return f"numbers differ: {_show(left)}, {_show(right)}"
    for value, units in a.measured.items():
        others = b.measured.get(value)
        if others and units.isdisjoint(others) and not any(units | others >= each for each in _AMBIGUOUS):
            return f"units differ: {value} {_show(units)}, {value} {_show(others)}"
    for dimension, units in a.units.items():
        others = b.units.get(dimension)
        if others and units - others and others - units:
            return f"units differ: {_show(units)}, {_show(others)}"
    return None


def _without_shares(extra: set[str], missing: set[str], a: Quantities, b: Quantities) -> tuple[set[str], set[str]]:
    """The numbers without those that are a share in one text and percent in the other: 0.4 and 40 %."""
    same = [
        (one, two)
        for one in extra
        for two in missing
        if ("percent" in a.measured.get(one, ()) and _is_hundredth(two, one))
        or ("percent" in b.measured.get(two, ()) and _is_hundredth(one, two))
    ]
    return extra.difference(one for one, _ in same), missing.difference(two for _, two in same)


def _is_hundredth(share: str, percent: str) -> bool:
    try:
        return abs(float(share) * 100 - float(percent)) < _ROUNDED
    except ValueError:
        return False


def _same_sizes(extra: set[str], missing: set[str], a: Quantities, b: Quantities) -> bool:
    """Whether the unmatched numbers are the same quantities in other units: 90 minutes, 1.5 hours."""
    ours, theirs = ([side.sizes.get(value) for value in each] for side, each in ((a, extra), (b, missing)))
    if None in ours or None in theirs:
        return False
    pairs = sorted(filter(None, ours)), sorted(filter(None, theirs))
    if len(pairs[0]) != len(pairs[1]):
        return False
    return all(
        one[0] == two[0] and abs(one[1] - two[1]) <= _CLOSE * max(one[1], two[1])
        for one, two in zip(*pairs, strict=True)
    )


def _read_number(words: Words, at: int, found: Quantities) -> int:
    """Read the number at ``at``; returns the position after it."""
    tokens, start = words.lower, at
    token = tokens[at]
    if token[0].isdigit():
        value, at = _read_digits(tokens, at, words.text)
    elif token in DECADES:
        value, at = DECADES[token], at + 1
    elif token in {"half", "quarter"}:
        return _read_part(words, at, found)
    elif token in ORDINALS:
        if _is_unit_of_time(tokens, at):
            found.units.setdefault("time", set()).add("second")
            return at + 1
        value, at = _read_ordinal(tokens, at), at + 1
    elif token in WORDS:
        value, at = str(WORDS[token]), at + 1
    elif token == "first":  # noqa: S105 - no password: a token of text
        found.spare.add("1")
        return at + 1
    else:
        value, at = read_spelled(tokens, at)
        if value == "1" and at == start + 1 and token == "one" and _fraction(tokens, at, value)[1] == at:  # noqa: S105 - no password: a token of text
            (found.values if start and tokens[start - 1] in _LABELS else found.spare).add("1")
            found.spans.append((start, at, "1"))
            return at
    if token not in ORDINALS:
        value, at = _fraction(tokens, at, value)
    _measure(words, start, at, value, found)
    found.values.add(value)
    found.spans.append((start, at, value))
    return at


def _is_unit_of_time(tokens: tuple[str, ...], at: int) -> bool:
    """Whether "second" is the unit: "a second", "20 second"."""
    before = tokens[at - 1] if at else ""
    return tokens[at] == "second" and at > 0 and (before in _TIME_NOUN_BEFORE or before[-1].isdigit() or before in TENS)


def _read_ordinal(tokens: tuple[str, ...], at: int) -> str:
    """An ordinal, or the fraction in "a fifth of"."""
    part = _PARTS.get(tokens[at])
    if part and tokens[at + 1 : at + 2] == ("of",) and at and tokens[at - 1] in {"a", "an", "one"}:
        return write(round(1 / part, 6))
    return str(ORDINALS[tokens[at]])


def _read_part(words: Words, at: int, found: Quantities) -> int:
    """Read "half an hour" or "a quarter of": a number only before a unit or "of"."""
    tokens = words.lower
    if (
        at > 3  # noqa: PLR2004 - "three hours and a" comes before it
        and tokens[at - 2 : at] == ("and", "a")
        and tokens[at - 3] in UNITS
        and tokens[at - 4] in {"a", "an", "one"}
    ):
        value = "1.5" if tokens[at] == "half" else "1.25"
        unit = UNITS[tokens[at - 3]]
        _add_measure(value, unit, (), found)
        found.values.add(value)
        found.spans.append((at, at + 1, value))
        return at + 1
    after = at + 1
    while after < len(tokens) and tokens[after] in {"a", "an", "of", "the"}:
        after += 1
    if after < len(tokens) and (tokens[after] in UNITS or tokens[after] in SCALES):
        value = "0.5" if tokens[at] == "half" else "0.25"
        if tokens[after] in SCALES:
            value, after = scale(value, SCALES[tokens[after]]), after + 1
        _measure(words, at, after, value, found)
        found.values.add(value)
        found.spans.append((at, after, value))
        return after
    if tokens[at] == "half" or after > at + 1:
        value = "0.5" if tokens[at] == "half" else "0.25"
        found.values.add(value)
        found.spans.append((at, at + 1, value))
    else:
        found.spare.update(("0.25", "25"))
    return at + 1


def _read_digits(tokens: tuple[str, ...], at: int, text: str) -> tuple[str, int]:
    written = tokens[at]
    value, at = read_digits(written), at + 1
    after = tokens[at] if at < len(tokens) else ""
    if after in SCALES:
        return scale(value, SCALES[after]), at + 1
    if after == "m" and f"{written} m" in text.lower() and not (at > 1 and tokens[at - 2] in UNITS):
        return value, at
    if after in SUFFIXES and (after != "m" or not tokens[at + 1 : at + 2] or tokens[at + 1] not in _LENGTHS):
        return scale(value, SUFFIXES[after]), at + 1
    return value, at


_LENGTHS = frozenset(
    {"long", "tall", "wide", "high", "deep", "pool", "away", "sprint", "race", "run", "above", "below"}
)


def _fraction(tokens: tuple[str, ...], at: int, value: str) -> tuple[str, int]:
    """Read "and a half" or "thirds" after a number; "one third"."""
    following = tokens[at : at + 3]
    if following[:2] in {("and", "a"), ("and", "one")} and following[2:3] and following[2] in {"half", "quarter"}:
        more = float(value) + (0.5 if following[2] == "half" else 0.25)
        after = tokens[at + 3] if at + 3 < len(tokens) else ""
        return (scale(str(more), SCALES[after]), at + 4) if after in SCALES else (write(more), at + 3)
    if len(following) > 0 and following[0] in _PARTS and value.isdigit() and 1 <= int(value) < _PARTS[following[0]]:
        return write(round(int(value) / _PARTS[following[0]], 6)), at + 1
    return value, at


def _measure(words: Words, start: int, end: int, value: str, found: Quantities) -> None:
    tokens = words.lower
    after = tokens[end] if end < len(tokens) else ""
    before = tokens[start - 1] if start else ""
    unit = UNITS.get(after if after != "second" else "seconds")
    symbol = words.cased[end] if after else ""
    if symbol in SYMBOLS and (unit is None or symbol[1:].lower() not in {"b", ""}):
        unit = SYMBOLS[symbol]
    if after in _DEGREES and tokens[end + 1 : end + 2] and tokens[end + 1] in _TEMPERATURES:
        unit = UNITS[_TEMPERATURES[tokens[end + 1]]]
    if before in UNITS and UNITS[before].dimension == "currency":
        unit = UNITS[before]
    if unit is not None:
        _add_measure(value, unit, tokens[end + 1 : end + 4], found)
        if unit.name == "percent" and value in _SHARES:
            found.spare.add(_SHARES[value])
    elif value in _PERCENTS:
        found.spare.add(_PERCENTS[value])


def _add_measure(value: str, unit: Unit, rest: tuple[str, ...], found: Quantities) -> None:
    found.measured.setdefault(value, set()).add(unit.name)
    if unit.size:
        amount = float(value) if value.replace(".", "", 1).isdecimal() else 0.0
        if rest == ("and", "a", "half"):
            amount += 0.5
        found.sizes[value] = (unit.dimension, amount * unit.size)


def _show(values: set[str]) -> str:
    return " and ".join(sorted(values)) if values else "none"
