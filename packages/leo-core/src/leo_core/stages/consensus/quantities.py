"""Numbers in answers: separators, signs, fractions, scale words, number words, currencies and units."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from leo_core.stages.consensus.units import find_unit

__all__ = ["Quantity", "last_quantity", "read_quantity", "same_quantity"]

_MAX_LENGTH = 400
_MAX_DIGITS = 300
_MAX_UNIT_WORDS = 6
_TOLERANCE = Fraction(1, 10**9)

_NUMBER = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"
_QUANTITY = re.compile(
    rf"(?P<sign>[-+]?)\s*(?P<currency>us\$|\$|€|£|¥|₹|usd|eur|gbp|rs\.?)?\s*(?P<inner>[-+]?)"
    rf"(?P<number>{_NUMBER})(?:e(?P<exponent>[-+]?[0-9]{{1,4}})|\s*[x\u00d7*]\s*10\s*\^\s*(?P<power>-?[0-9]{{1,4}}))?"
    rf"(?:(?P<slash>\s*/\s*)(?P<denominator>[0-9]{{1,300}})(?![0-9.])"
    rf"|\s+(?P<over>[0-9]{{1,300}})\s*/\s*(?P<under>[0-9]{{1,300}})(?![0-9.]))?"
    r"(?P<scale>k\b|\s*(?:thousand|million|billion|trillion|mn|bn)\b)?(?P<unit>.*)"
)
_DIGIT = re.compile(r"[0-9]")
_NEGATIVE = re.compile(r"(?:minus|negative)\s+")
_EUROPEAN = re.compile(r"(?P<whole>[0-9]{1,3}(?:\.[0-9]{3})+),(?P<part>[0-9]{1,9})(?![0-9])")
_DECIMAL_COMMA = re.compile(r"(?P<whole>[0-9]+),(?P<part>[0-9]{1,2})(?![0-9,])")
_SPACED = re.compile(r"(?<![0-9.,])[0-9]{1,3}(?:[  ' ][0-9]{3})+(?![0-9])")
_HEDGE = re.compile(
    r"(?:(?:approximately|approx\.?|about|around|roughly|exactly|nearly|almost|a total of|total of|total|only|just"
    r"|[~≈≃])\s*)+"
)
_ASSIGNED = re.compile(r"[a-z]\w{0,20}\s*(?:=|:)\s*")
_SCALES = {"k": 10**3, "thousand": 10**3, "million": 10**6, "mn": 10**6, "billion": 10**9, "bn": 10**9}
_SCALES["trillion"] = 10**12
_GLYPHS = {"\u2212": "-", "\u2013": "-", "\u2014": "-", "\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u2044": "/"}
_GLYPHS |= {"½": " 1/2", "¼": " 1/4", "¾": " 3/4", "⅓": " 1/3", "⅔": " 2/3", "⅛": " 1/8"}
_MAP = {ord(glyph): plain for glyph, plain in _GLYPHS.items()}
_LATEX = (
    (re.compile(r"\\d?frac\s*\{([0-9]{1,300})\}\s*\{([0-9]{1,300})\}"), r" \1/\2"),
    (re.compile(r"\\(?:text|mathrm|mbox|textbf|mathbf)\s*\{([^{}]*)\}"), r" \1 "),
    (re.compile(r"\\[,;!: ]|\\left|\\right|\{,\}(?=$)"), ""),
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"\^\s*\{?\\circ\}?"), "°"),
    (re.compile(r"\\times|\\cdot"), "\u00d7"),
    (re.compile(r"\\([$%#&_])"), r"\1"),
    (re.compile(r"\^\{(-?[0-9]{1,4})\}"), r"^\1"),
)
_PAIR = re.compile(rf"({_NUMBER})\s*([a-z'\"]+)\.?(?:\s*(?:,|and)\s*|\s*)")
_LAST = re.compile(rf"(?<![\w.])-?[$€£¥₹]?{_NUMBER}(?:/[0-9]{{1,9}})?%?(?!\w)")
_UNIT_AFTER = re.compile(
    r"[ -]?(?P<unit>(?!(?:in|at|as|am|pm|per|is|or|to|no|are)\b)[^\W\d_]{2,20}|[°%]?[^\W\d_]{1,2}(?=\W*$)|°[CF])\b"
)
"""A unit after a number; what may be another word, such as "in", only at the very end."""
_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_WORDS = {word: value for value, word in enumerate(_ONES.split())}
_WORDS |= {word: 10 * value for value, word in enumerate(_TENS.split(), start=2)}
_NEGATIONS = frozenset({"not", "no", "never", "without", "or", "to", "between"})
_START = re.compile(rf"[-+\s0-9.$€£¥₹]|us\$|usd|eur|gbp|rs|{'|'.join(_WORDS)}")
"""How every quantity starts, in lower case and without hedges."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A number with its unit.

    Attributes:
        value: The number in the unit's own size, exact.
        decimals: Decimals that were written; ``None`` when the number is a fraction.
        unit: Its unit as written, in lower case; empty for none.
        dimension: Dimension of a known unit; empty when there is none or it is not in the table.
        size: Size of a known unit inside its dimension.
    """

    value: Fraction
    decimals: int | None
    unit: str = ""
    dimension: str = ""
    size: Fraction = Fraction(1)


def read_quantity(text: str) -> Quantity | None:
    """Read a text that is one quantity and nothing else, such as ``$1,450.00``, ``2 1/2 hours`` or ``forty-two``.

    Returns:
        The quantity, or ``None``: also for texts over 400 characters and numbers over 300 digits.
    """
    if len(text) > _MAX_LENGTH:
        return None
    plain = _simplify(text)
    if not _START.match(plain):
        return None
    words = _read_words(plain)
    if words is not None:
        return words
    if not _DIGIT.search(plain):
        return None
    plain = _join_digits(plain)
    compound = _read_compound(plain)
    if compound is not None:
        return compound
    match = _QUANTITY.fullmatch(plain)
    return _build(match) if match else None


def last_quantity(text: str) -> Quantity | None:
    """The last number in a text, with the currency or per cent sign that touches it, or the known unit after it."""
    found, end = None, text[-4000:].translate(_MAP)
    for found in _LAST.finditer(end):  # noqa: B007 - the last is wanted
        pass
    if found is None:
        return None
    unit = _UNIT_AFTER.match(end, found.end())
    measured = read_quantity(f"{found.group()} {unit.group('unit')}") if unit else None
    return measured if measured is not None and measured.dimension else read_quantity(found.group())


def same_quantity(a: Quantity, b: Quantity, *, numeric: bool, percent: bool) -> bool:
    """Whether two quantities are the same answer.

    Known units must have one dimension and are converted. A missing unit fits any; unknown units ("tiles", "pages")
    must be equal unless the question asks for a number anyway. A bare number beside per cent means per cent when
    the question speaks of it or the number is above 1, and a share otherwise. Numbers are equal when exactly so, or
    when the one with fewer decimals (two at least) is the other, rounded.

    Args:
        a: One.
        b: The other.
        numeric: The question asks for a quantity.
        percent: The question speaks of per cent.
    """
    if _are_pounds(a, b) or _are_pounds(b, a):
        return _same_number(a, b)
    if a.dimension and b.dimension:
        if a.dimension != b.dimension:
            return False
        return _same_number(a, b) if a.size == b.size else _close(a.value * a.size, b.value * b.size)
    if "percent" in {a.dimension, b.dimension} and not (a.unit and b.unit):
        return _same_percent(a, b, percent=percent)
    if a.unit and b.unit and not numeric and _stem(a.unit) != _stem(b.unit):
        return False
    return _same_number(a, b)


def _are_pounds(a: Quantity, b: Quantity) -> bool:
    """Whether one says "pounds", which may be money or mass, and the other says which."""
    return a.unit in {"pound", "pounds"} and (b.dimension == "gbp" or b.unit in {"lb", "lbs"})


def _same_percent(a: Quantity, b: Quantity, *, percent: bool) -> bool:
    share, bare = (a, b) if a.dimension else (b, a)
    if percent or abs(bare.value) > 1:
        return _same_number(share, bare)
    return _close(share.value / 100, bare.value)


def _same_number(a: Quantity, b: Quantity) -> bool:
    if _close(a.value, b.value):
        return True
    coarse, fine = sorted((a, b), key=lambda quantity: (quantity.decimals is None, quantity.decimals or 0))
    if coarse.decimals is None or coarse.decimals < 2 or coarse.decimals == fine.decimals:  # noqa: PLR2004 - one place is too coarse
        return False
    step = Fraction(1, 10**coarse.decimals)
    return abs(coarse.value) >= 10 * step and abs(coarse.value - fine.value) <= step / 2


def _close(a: Fraction, b: Fraction) -> bool:
    return abs(a - b) <= _TOLERANCE * max(abs(a), abs(b))


def _stem(unit: str) -> str:
    return " ".join(word.removesuffix("s") for word in unit.split())


def _simplify(text: str) -> str:
    """Lower case, one kind of minus and space, no LaTeX, no hedges, no closing stop."""
    plain = text if text.isascii() else text.translate(_MAP)
    if "\\" in plain or "{" in plain:
        for pattern, replacement in _LATEX:
            plain = pattern.sub(replacement, plain)
    plain = plain.strip().lower().rstrip(".!;,").strip()
    hedge = _HEDGE.match(plain)
    plain = plain[hedge.end() :].lstrip(": ") if hedge else plain
    assigned = _ASSIGNED.match(plain)
    plain = plain[assigned.end() :] if assigned else plain
    negative = _NEGATIVE.match(plain)
    return f"-{plain[negative.end() :]}" if negative else plain


def _join_digits(plain: str) -> str:
    """Numbers without separators of thousands but commas, and with a point before their decimals."""
    plain = _EUROPEAN.sub(lambda m: m["whole"].replace(".", "") + "." + m["part"], plain, count=1)
    plain = _DECIMAL_COMMA.sub(r"\g<whole>.\g<part>", plain, count=1)
    return _SPACED.sub(lambda m: re.sub(r"[^0-9]", "", m.group()), plain, count=1)


def _build(match: re.Match[str]) -> Quantity | None:
    """The quantity of a match of ``_QUANTITY``."""
    number = match["number"].replace(",", "")
    exponent = int(match["exponent"] or match["power"] or 0)
    if len(number) > _MAX_DIGITS or abs(exponent) > _MAX_DIGITS or (match["sign"] and match["inner"]):
        return None
    value = Fraction(number) * Fraction(10) ** exponent
    denominator = int(match["denominator"] or match["under"] or 1)
    if denominator == 0:
        return None
    value = value + Fraction(int(match["over"]), denominator) if match["over"] else value / denominator
    scale = _SCALES[match["scale"].strip()] if match["scale"] else 1
    negative = "-" in {match["sign"], match["inner"]}
    decimals = None if denominator > 1 else max(0, len(number.partition(".")[2]) - exponent) if scale == 1 else 0
    return _with_unit(-value * scale if negative else value * scale, decimals, match["currency"] or "", match["unit"])


def _with_unit(value: Fraction, decimals: int | None, currency: str, rest: str) -> Quantity | None:
    """Attach the unit; ``None`` when what follows the number is no unit."""
    unit = rest.strip().removeprefix("of ").strip(" .*_)")
    words = unit.split()
    spoken = re.sub(r"[^a-z' ]", " ", unit).split()
    if len(words) > _MAX_UNIT_WORDS or re.search(r"[0-9=+:;,(){}\[\]<>|]", re.sub(r"m\^?2$", "", unit)):
        return None
    if _NEGATIONS & set(spoken):
        return None
    known = find_unit(currency or unit) or (
        find_unit(words[0]) if len(words) > 1 and words[1] in {"of", "in"} else None
    )
    if known is None and currency == "" and rest[:1].isalpha() and not find_unit(unit):
        return None  # "3d", "4th": no unit, and not a number either
    if known is None:
        return Quantity(value=value, decimals=decimals, unit=unit)
    return Quantity(value=value, decimals=decimals, unit=currency or unit, dimension=known[0], size=known[1])


def _read_compound(plain: str) -> Quantity | None:
    """Quantities of one dimension side by side, such as ``1 hour 30 minutes``."""
    total, dimension, position, count = Fraction(0), "", 0, 0
    while position < len(plain):
        match = _PAIR.match(plain, position)
        known = find_unit(match[2]) if match else None
        if match is None or known is None or (dimension and known[0] != dimension) or len(match[1]) > _MAX_DIGITS:
            return None
        dimension = known[0]
        total += Fraction(match[1].replace(",", "")) * known[1]
        position, count = match.end(), count + 1
    return Quantity(value=total, decimals=None, unit=f"({dimension})", dimension=dimension) if count > 1 else None


def _read_words(plain: str) -> Quantity | None:
    """A number in words up to the billions, with its unit: ``forty-two``, ``three hundred and five apples``."""
    words = plain.replace("-", " ").split()
    total, group, used = 0, 0, 0
    for word in words:
        if word in _WORDS:
            group += _WORDS[word]
        elif word == "hundred" and group:
            group *= 100
        elif word in _SCALES and word.isalpha() and len(word) > 2 and group:  # noqa: PLR2004 - shorter ones are letters of units
            total, group = total + group * _SCALES[word], 0
        elif not (word == "and" and used):
            break
        used += 1
    if not used or words[used - 1] == "and":
        return None
    return _with_unit(Fraction(total + group), 0, "", " " + " ".join(words[used:]))
