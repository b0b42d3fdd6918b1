"""Numerals in words and digits, and their values."""

from __future__ import annotations

__all__ = [
    "DECADES",
    "ORDINALS",
    "SCALES",
    "SMALL",
    "SUFFIXES",
    "TENS",
    "WORDS",
    "read_digits",
    "read_spelled",
    "scale",
    "write",
]

SMALL = {
    word: value
    for value, word in enumerate(
        """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen""".split()  # noqa: SIM905 - words read better as a text
    )
}
TENS = {
    word: 10 * (at + 2)
    for at, word in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"])
}
DECADES = {
    word: str(1920 + 10 * at)
    for at, word in enumerate(["twenties", "thirties", "forties", "fifties", "sixties", "seventies", "eighties"])
} | {"nineties": "1990"}
SCALES = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "lakh": 10**5}
SCALES |= {"hundreds": 100, "thousands": 10**3, "millions": 10**6, "billions": 10**9, "crore": 10**7, "lakhs": 10**5}
SUFFIXES = {"k": 10**3, "m": 10**6, "bn": 10**9, "b": 10**9, "mn": 10**6}
WORDS = {"dozen": 12, "twice": 2, "double": 2, "triple": 3, "thrice": 3, "treble": 3, "quadruple": 4}
ORDINALS = {
    word: at + 2
    for at, word in enumerate(
        ["second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth"]
    )
}
ORDINALS |= {"thirteenth": 13, "fourteenth": 14, "fifteenth": 15, "sixteenth": 16, "seventeenth": 17, "hundredth": 100}
ORDINALS |= {"eighteenth": 18, "nineteenth": 19, "twentieth": 20, "thirtieth": 30, "fortieth": 40, "fiftieth": 50}
_PARTS_OF = frozenset({"2", "3", "4", "5", "6", "8", "10"})
_ORDINAL_UNITS = ORDINALS | {"first": 1}


def read_spelled(tokens: tuple[str, ...], at: int) -> tuple[str, int]:
    """A number in words from ``at`` on: "two hundred and five thousand"."""
    total, current = 0, 0
    while at < len(tokens):
        token = tokens[at]
        if token in SMALL:
            current += SMALL[token]
        elif token in TENS:
            current += TENS[token]
        elif token in {"hundred", "hundreds"}:
            current = max(current, 1) * 100
        elif token in SCALES:
            total, current = total + max(current, 1) * SCALES[token], 0
        elif _ORDINAL_UNITS.get(token, 10) < 10 <= current % 100 and current % 10 == 0:  # noqa: PLR2004 - "twenty-first": a unit after a ten
            return str(total + current + _ORDINAL_UNITS[token]), at + 1
        elif token != "and" or not (total or current >= 100) or not _continues(tokens, at + 1):  # noqa: S105, PLR2004 - S105 takes a word for a password; 100 is "a hundred and"
            break
        at += 1
        if token in SMALL and not (at < len(tokens) and tokens[at] in SCALES):
            break
    return str(total + current), at


def _continues(tokens: tuple[str, ...], at: int) -> bool:
    return at < len(tokens) and (tokens[at] in SMALL or tokens[at] in TENS)


def read_digits(token: str) -> str:
    """A number in digits as canonical text: no leading zeros, no thousands separators."""
    plain = token.rstrip("stndrh") if token[-1].isalpha() else token
    if "," in plain and all(len(group) == 3 for group in plain.split(",")[1:]):  # noqa: PLR2004 - thousands come in threes
        plain = plain.replace(",", "")
    if plain.count(".") == 1 and plain.replace(".", "").isdigit():
        whole, fraction = plain.split(".")
        fraction = fraction.rstrip("0")
        return f"{int(whole)}.{fraction}" if fraction else str(int(whole)) if len(whole) < 18 else whole  # noqa: PLR2004 - digits that any 64-bit reader holds
    if plain.count("/") == 1:
        over, under = plain.split("/")
        if under in _PARTS_OF and int(over) < int(under):
            return write(round(int(over) / int(under), 6))
    return plain.lstrip("0") or "0" if plain.isdigit() else plain


def scale(value: str, factor: int) -> str:
    """The product as canonical text."""
    try:
        return write(float(value) * factor)
    except ValueError:
        return f"{value}x{factor}"


def write(value: float) -> str:
    """A number as canonical text."""
    return str(int(value)) if value == int(value) else repr(value)
