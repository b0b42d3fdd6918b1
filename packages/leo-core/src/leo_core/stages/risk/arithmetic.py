"""Re-check the equations that an answer writes down."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Equation", "evaluate", "find_equations"]

_LONGEST = 40
_READ = 6000
_MOST = 60
_BREAK = re.compile(r"[\n;:=<>≈]|\.\s|,\s|\\n")
_TOKEN = re.compile(r"\d+(?:\.\d+)?|\.\d+|[-+*/()%]|[^\W\d_]+")
_RESULT = re.compile(r"\s*\(?\s*(-?(?:\d+(?:\.\d+)?|\.\d+))")
_CONTINUES = re.compile(r"\s*\)?(?:\s*[^\W\d_]+){0,2}\s*[-+*/]\s*\(*\d")
_VARIABLE = re.compile(r"\d[a-zA-Z]\b|(?<![\w'])[b-zB-Z](?![\w'])|[²³^√!]")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_TIMES = re.compile(r"(?<=[\d\s)])[x×·](?=\s*[\d(])|\\times|\\cdot|(?<=\d)\*\*?(?=\d)")
_MONEY = re.compile(r"[$€£]|\*\*(?!\d)")
_NOISE = re.compile(r"\\|_{2,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Equation:
    """One checked equation: what the left side comes to, what the answer says, and whether they agree.

    Attributes:
        computed: Value of the left side.
        stated: What the answer says it is.
        right: Whether they agree.
        operands: Numbers of the left side, in order.
        operators: Its operators, in order.
    """

    computed: float
    stated: float
    right: bool
    operands: tuple[float, ...] = ()
    operators: tuple[str, ...] = ()


def find_equations(text: str) -> tuple[Equation, ...]:
    """Equations ``expression = number`` of a text, in order.

    Algebra (an expression with a variable) is passed over. The expression is made of numbers and ``+ - * / × ÷ %`` and
    parentheses; words between them (units) are skipped. Left sides without an operator are no equations. A stated
    result may be rounded to the decimals it shows.
    """
    if "=" not in text[:_READ]:
        return ()
    plain = _THOUSANDS.sub("", _MONEY.sub("", text[:_READ]))
    clean = _NOISE.sub("", _TIMES.sub("*", plain)).replace("÷", "/")
    found = []
    for position in [match.start() for match in re.finditer("=", clean)][:_MOST]:
        equation = _equation_at(clean, position)
        if equation is not None:
            found.append(equation)
    return tuple(found)


def evaluate(tokens: list[str]) -> float | None:
    """Value of an arithmetic expression; ``None`` when it is malformed or divides by zero."""
    rest = list(reversed(tokens))
    value = _sum(rest)
    return None if rest else value


def _equation_at(text: str, position: int) -> Equation | None:
    left = _BREAK.split(text[max(0, position - 3 * _LONGEST) : position])[-1]
    result = _RESULT.match(text, position + 1)
    tokens = _expression(left)
    if result is None or _VARIABLE.search(left) or not any(token in "+-*/" for token in tokens[1:]):  # noqa: S105 - no password: a token of text
        return None
    computed, stated = evaluate(tokens), _stated(text, position + 1, result)
    if computed is None or stated is None:
        return None
    decimals = len(result[1].partition(".")[2])
    tolerance = 0.51 * 10.0**-decimals if decimals else 1e-6 * max(1.0, abs(stated))
    percent = text[result.end() : result.end() + 1] == "%"
    right = abs(computed - stated) <= tolerance or (percent and abs(100.0 * computed - stated) <= max(tolerance, 0.51))
    return Equation(
        computed=computed,
        stated=stated,
        right=right,
        operands=tuple(float(token) for token in tokens if token[0].isdecimal() or token[0] == "."),
        operators=tuple(token for token in tokens if token in "+-*/"),  # noqa: S105 - no password: a token of text
    )


def _stated(text: str, start: int, result: re.Match[str]) -> float | None:
    """The number after the sign, or in a chain ``… = 40 + 24 = …`` the value of the expression that begins with it."""
    if _CONTINUES.match(text, result.end()) is None:
        return float(result[1])
    chained = _BREAK.split(text[start : start + 2 * _LONGEST])[0]
    return None if _VARIABLE.search(chained) else evaluate(_expression(chained))


def _expression(left: str) -> list[str]:
    """The arithmetic tokens at the end of the left side; a run of more than two words begins a new expression."""
    tokens: list[str] = []
    skipped = 0
    for token in _TOKEN.findall(left):
        if not token[0].isdecimal() and token[0] not in ".+-*/()%":
            skipped += 1
            if tokens and tokens[-1] == "/":
                tokens.pop()
            if token == "of" and tokens and tokens[-1] == "%":  # noqa: S105 - no password: a token of text
                tokens.append("*")
            elif skipped > 2:  # noqa: PLR2004 - a unit has one or two words
                tokens = []
            continue
        if tokens and token[0].isdecimal() and (tokens[-1][0].isdecimal() or tokens[-1] in ")%"):
            tokens = []
        skipped = 0
        tokens.append(token)
    return tokens[-_LONGEST:]


def _sum(rest: list[str]) -> float | None:
    value = _product(rest)
    while value is not None and rest and rest[-1] in "+-":
        sign = 1.0 if rest.pop() == "+" else -1.0
        term = _product(rest)
        value = None if term is None else value + sign * term
    return value


def _product(rest: list[str]) -> float | None:
    value = _atom(rest)
    while value is not None and rest and rest[-1] in "*/":
        operator, factor = rest.pop(), _atom(rest)
        if factor is None or (operator == "/" and factor == 0.0):
            return None
        value = value * factor if operator == "*" else value / factor
    return value


def _atom(rest: list[str]) -> float | None:
    if not rest:
        return None
    token = rest.pop()
    if token in "+-":  # noqa: S105 - no password: a token of text
        inner = _atom(rest)
        return None if inner is None else (inner if token == "+" else -inner)  # noqa: S105 - no password: a token of text
    if token == "(":  # noqa: S105 - no password: a token of text
        inner = _sum(rest)
        if not rest or rest.pop() != ")":
            return None
        return inner
    if not token[0].isdecimal() and token[0] != ".":
        return None
    value = float(token)
    while rest and rest[-1] == "%":
        rest.pop()
        value /= 100.0
    return value
