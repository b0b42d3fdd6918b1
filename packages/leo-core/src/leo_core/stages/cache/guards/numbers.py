"""Numbers, ordinals, units and currencies must agree."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leo_core.stages.cache.guards.words import Words

__all__ = ["Quantities", "find_number_conflict", "read_quantities"]

_SMALL = {
    word: value
    for value, word in enumerate(
        """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen     eighteen nineteen""".split()  # noqa: SIM905 - words read better as a text
    )
}
_TENS = {
    word: 10 * (at + 2)
    for at, word in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"])
}
_SCALES = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_SUFFIXES = {"k": 10**3, "m": 10**6, "mm": 10**6, "bn": 10**9, "b": 10**9}
_WORDS = {"dozen": 12, "half": 0.5, "quarter": 0.25, "twice": 2, "double": 2, "triple": 3, "once": 1, "thrice": 3}
_ORDINALS = {
    word: at + 2
    for at, word in enumerate(
        ["second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth"]
    )
}
_ROMAN = {"ii": "2", "iii": "3", "iv": "4", "vi": "6", "vii": "7", "viii": "8", "ix": "9", "xi": "11", "xii": "12"}
_TIME_NOUN_BEFORE = frozenset({"a", "per", "each", "every", "one"})

_DIMENSIONS: dict[str, str] = {
    "length": "km=km,kms,kilometer,kilometers,kilometre,kilometres cm=cm,centimeter,centimeters,centimetre,centimetres "
    "mm=mm,millimeter,millimeters metre=meter,meters,metre,metres mile=mile,miles,mi inch=inch,inches "
    "foot=foot,feet,ft yard=yard,yards",
    "mass": "kg=kg,kgs,kilo,kilos,kilogram,kilograms gram=gram,grams mg=mg,milligram,milligrams lb=lb,lbs,pound,pounds "
    "ounce=oz,ounce,ounces ton=ton,tons tonne=tonne,tonnes mcg=mcg,microgram,micrograms",
    "volume": "litre=liter,liters,litre,litres ml=ml,milliliter,milliliters gallon=gallon,gallons cup=cup,cups "
    "pint=pint,pints quart=quart,quarts tablespoon=tablespoon,tablespoons,tbsp teaspoon=teaspoon,teaspoons,tsp",
    "time": "second=seconds,secs,sec minute=minute,minutes,min,mins hour=hour,hours,hr,hrs,hourly day=day,days,daily "
    "week=week,weeks,weekly month=month,months,monthly year=year,years,yearly,annual,annually,yr,yrs "
    "decade=decade,decades century=century,centuries ms=ms,millisecond,milliseconds",
    "temperature": "celsius=celsius,centigrade fahrenheit=fahrenheit kelvin=kelvin",
    "data": "bit=bit,bits byte=byte,bytes kb=kb,kilobyte,kilobytes mb=mb,megabyte,megabytes gb=gb,gigabyte,gigabytes "
    "tb=tb,terabyte,terabytes",
    "currency": "usd=$,usd,dollar,dollars,bucks eur=€,eur,euro,euros gbp=£,gbp,sterling yen=¥,yen,jpy "
    "inr=₹,rupee,rupees,inr "
    "cent=cent,cents chf=chf,franc,francs yuan=yuan,rmb bitcoin=bitcoin,btc ether=ethereum,eth",
    "share": "percent=%,percent,percentage",
    "energy": "watt=watt,watts kw=kw,kilowatt,kilowatts kwh=kwh joule=joule,joules calorie=calorie,calories,kcal",
    "speed": "mph=mph kmh=kmh,kph knot=knots",
    "angle": "degree=degree,degrees,° radian=radian,radians",
}
_AFTER_NUMBER_ONLY = {
    "km": "km", "m": "metre", "g": "gram", "s": "second", "h": "hour", "d": "day", "w": "watt", "c": "celsius",
    "f": "fahrenheit", "l": "litre", "yo": "year", "am": "am", "pm": "pm", "v": "volt",
}  # fmt: skip
_UNITS: dict[str, tuple[str, str]] = {
    word: (dimension, group.split("=")[0])
    for dimension, groups in _DIMENSIONS.items()
    for group in groups.split()
    for word in group.split("=")[1].split(",")
}


class Quantities:
    """What a text says in figures.

    Attributes:
        values: The numbers, as canonical text.
        measured: Numbers with the unit that follows (or the currency sign before) them.
        units: Units by dimension.
        has_one: Whether the word "one" occurs, which may or may not be a number.
    """

    __slots__ = ("has_one", "measured", "units", "values")

    def __init__(self) -> None:
        """Nothing found yet."""
        self.values: set[str] = set()
        self.measured: dict[str, set[str]] = {}
        self.units: dict[str, set[str]] = {}
        self.has_one = False


def read_quantities(words: Words) -> Quantities:
    """Numbers and units of a text."""
    found = Quantities()
    if words.bag.isdisjoint(_TELLING) and not _DIGIT.search(words.text):
        return found
    tokens = words.lower
    at, size = 0, len(tokens)
    while at < size:
        token = tokens[at]
        unit = _UNITS.get(token)
        if unit is not None:
            found.units.setdefault(unit[0], set()).add(unit[1])
        elif token[0].isdigit() or token in _NUMBER_STARTS:
            at = _read_number(tokens, at, found)
            continue
        elif token in _ROMAN and words.cased[at].isupper():
            found.values.add(_ROMAN[token])
        at += 1
    return found


_NUMBER_STARTS = frozenset({*_SMALL, *_TENS, *_WORDS, *_ORDINALS, *_SCALES})
_TELLING = _NUMBER_STARTS | _UNITS.keys() | _ROMAN.keys()
_DIGIT = re.compile(r"\d")


def find_number_conflict(a: Quantities, b: Quantities) -> str | None:
    """Reason in words, or ``None`` when numbers and units agree."""
    left, right = a.values, b.values
    if left != right:
        extra, missing = left - right, right - left
        spare = {"1"} if (not missing and b.has_one) or (not extra and a.has_one) else set()
        if (extra | missing) - spare:
            return f"numbers differ: {_show(left)}, {_show(right)}"
    for value, units in a.measured.items():
        others = b.measured.get(value)
        if others and units.isdisjoint(others):
            return f"units differ: {value} {_show(units)}, {value} {_show(others)}"
    for dimension, units in a.units.items():
        others = b.units.get(dimension)
        if others and units != others:
            return f"units differ: {_show(units)}, {_show(others)}"
    return None


def _read_number(tokens: tuple[str, ...], at: int, found: Quantities) -> int:
    """Read the number at ``at``; returns the position after it."""
    start, token = at, tokens[at]
    if token[0].isdigit():
        value, at = _digits(token), at + 1
        if at < len(tokens) and tokens[at] in _SUFFIXES and "." not in value[-2:]:
            value, at = _scaled(value, _SUFFIXES[tokens[at]]), at + 1
        elif at < len(tokens) and tokens[at] in _SCALES:
            value, at = _scaled(value, _SCALES[tokens[at]]), at + 1
    elif token in _ORDINALS:
        if token == "second" and start and tokens[start - 1] in _TIME_NOUN_BEFORE:  # noqa: S105 - no password: a token of text
            found.units.setdefault("time", set()).add("second")
            return at + 1
        value, at = str(_ORDINALS[token]), at + 1
    elif token in _WORDS:
        value, at = _text(_WORDS[token]), at + 1
    else:
        value, at = _spelled(tokens, at)
        if value == "1" and at == start + 1 and token == "one":  # noqa: S105 - no password: a token of text
            found.has_one = True
            return at
    found.values.add(value)
    _measure(tokens, start, at, value, found)
    return at


def _measure(tokens: tuple[str, ...], start: int, end: int, value: str, found: Quantities) -> None:
    after = tokens[end] if end < len(tokens) else ""
    before = tokens[start - 1] if start else ""
    unit = _UNITS.get(after)
    name = unit[1] if unit else _AFTER_NUMBER_ONLY.get(after)
    if name is None and before in "$€£¥₹" and before:
        name = _UNITS[before][1]
    if name is not None:
        found.measured.setdefault(value, set()).add(name)


def _spelled(tokens: tuple[str, ...], at: int) -> tuple[str, int]:
    """A number in words from ``at`` on: "two hundred and five thousand"."""
    total, current = 0, 0
    while at < len(tokens):
        token = tokens[at]
        if token in _SMALL:
            current += _SMALL[token]
        elif token in _TENS:
            current += _TENS[token]
        elif token == "hundred":  # noqa: S105 - no password: a token of text
            current = max(current, 1) * 100
        elif token in _SCALES:
            total, current = total + max(current, 1) * _SCALES[token], 0
        elif token != "and" or not (total or current >= 100) or not _continues(tokens, at + 1):  # noqa: S105, PLR2004
            break
        at += 1
        if token in _SMALL and not (at < len(tokens) and tokens[at] in _SCALES):
            break
    return str(total + current), at


def _continues(tokens: tuple[str, ...], at: int) -> bool:
    return at < len(tokens) and (tokens[at] in _SMALL or tokens[at] in _TENS)


def _digits(token: str) -> str:
    plain = token.rstrip("stndrh") if token[-1].isalpha() else token
    if "," in plain and all(len(group) == 3 for group in plain.split(",")[1:]):  # noqa: PLR2004
        plain = plain.replace(",", "")
    if plain.count(".") == 1 and plain.replace(".", "").isdigit():
        whole, fraction = plain.split(".")
        fraction = fraction.rstrip("0")
        return f"{int(whole)}.{fraction}" if fraction else str(int(whole)) if len(whole) < 18 else whole  # noqa: PLR2004
    return plain.lstrip("0") or "0" if plain.isdigit() else plain


def _scaled(value: str, scale: int) -> str:
    try:
        return _text(float(value) * scale)
    except ValueError:
        return f"{value}x{scale}"


def _text(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _show(values: set[str]) -> str:
    return " and ".join(sorted(values)) if values else "none"
