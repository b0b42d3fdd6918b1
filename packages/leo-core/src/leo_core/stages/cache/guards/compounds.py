"""Units and currencies of several words, folded to one: "square metres", "Kenyan shillings", "per cent"."""

from __future__ import annotations

import re

from leo_core.stages.cache.guards.currencies import CURRENCY_WORDS, fold_currencies

__all__ = ["fold_compounds"]

_COMPOUND = (
    (re.compile(r"\bkm ?/ ?h\b|\bkilomet(?:er|re)s? (?:per|an) hour\b|\bkm per hour\b", re.IGNORECASE), "kmh"),
    (re.compile(r"\bmi ?/ ?h\b|\bmiles? (?:per|an) hour\b", re.IGNORECASE), "mph"),
    (re.compile(r"\bmet(?:er|re)s? (?:per|a) second\b|\bm/s\b", re.IGNORECASE), "mps"),
    (re.compile(r"\bMbit/s\b|\bMb/s\b|\bmegabits? (?:per|a) second\b"), "mbps"),
    (re.compile(r"\bkbit/s\b|\bkb/s\b|\bkilobits? (?:per|a) second\b"), "kbps"),
    (re.compile(r"\bGbit/s\b|\bGb/s\b|\bgigabits? (?:per|a) second\b"), "gbps"),
    (re.compile(r"\b(?:square|sq\.?)[ -]?(?:met(?:er|re)s?|m)\b", re.IGNORECASE), "sqm"),
    (re.compile(r"\b(?:square|sq\.?)[ -]?(?:kilomet(?:er|re)s?|km)\b", re.IGNORECASE), "sqkm"),
    (re.compile(r"\b(?:square|sq\.?)[ -]?(?:feet|foot|ft)\b", re.IGNORECASE), "sqft"),
    (re.compile(r"\b(?:square|sq\.?)[ -]?(yard|inch|mile|centimeter|centimetre)(?:e?s)?\b", re.IGNORECASE), r"sq\1"),
    (re.compile(r"\b(?:cubic|cu\.?)[ -]?(foot|feet|yard|inch|mile|meter)(?:e?s)?\b", re.IGNORECASE), r"cu\1"),
    (re.compile(r"\bcubic[ -]?(?:metres?|m)\b|m³", re.IGNORECASE), "cumeter"),
    (re.compile(r"\bnautical miles?\b", re.IGNORECASE), "nmi"),
    (re.compile(r"\blight[ -](year|minute|second|hour)s?\b", re.IGNORECASE), r"light\1"),
    (re.compile(r"\bUS ?\$|\b(?:US|American) dollars?\b", re.IGNORECASE), "usd "),
    (re.compile(r"\bCA?\$|\bCanadian dollars?\b", re.IGNORECASE), "cad "),
    (re.compile(r"\bAU?\$|\bAustralian dollars?\b", re.IGNORECASE), "aud "),
    (re.compile(r"\bNZ\$|\bNew Zealand dollars?\b", re.IGNORECASE), "nzd "),
    (re.compile(r"\bHK\$|\bHong Kong dollars?\b", re.IGNORECASE), "hkd "),
    (re.compile(r"\bS\$|\bSingapore dollars?\b", re.IGNORECASE), "sgd "),
    (re.compile(r"\b(?:British|UK) pounds?\b|\bpounds? sterling\b", re.IGNORECASE), "gbp"),
    (re.compile(r"\bSouth (?=(?:Korean won|African rands?)\b)", re.IGNORECASE), ""),
    (re.compile(r"\bConvertible (?=marks?\b)", re.IGNORECASE), "Bosnian "),
    (re.compile(r"\bHong Kong (?=dollars?\b)", re.IGNORECASE), "Hong-Kong "),
    (re.compile(r"\bpercent(?:age)? points?\b|\bper ?cent points?\b", re.IGNORECASE), "percentagepoint"),
    (re.compile(r"\bbasis points?\b", re.IGNORECASE), "basispoint"),
    (re.compile(r"\bper ?mill?e?\b", re.IGNORECASE), "permille"),
    (re.compile(r"\b(?:litres?|liters?|l) ?(?:per|/) ?100 ?(?:km|kilomet(?:er|re)s)\b", re.IGNORECASE), "lphkm"),
    (re.compile(r"\bmiles per gallon\b", re.IGNORECASE), "mpg"),
    (re.compile(r"\brevolutions per minute\b|\brevs? per minute\b", re.IGNORECASE), "rpm"),
    (re.compile(r"\bparts per million\b", re.IGNORECASE), "ppm"),
    (re.compile(r"\bparts per billion\b", re.IGNORECASE), "ppb"),
    (re.compile(r"\bdots per inch\b", re.IGNORECASE), "dpi"),
    (re.compile(r"\b(?:fluid ounces?|fl\.? ?oz)\b", re.IGNORECASE), "floz"),
    (re.compile(r"\bpounds? per square inch\b", re.IGNORECASE), "psi"),
    (re.compile(r"\bgas mark\b", re.IGNORECASE), "gasmark"),
    (re.compile(r"\bastronomical units?\b", re.IGNORECASE), "astrounit"),
    (
        re.compile(r"(?<=\d )won(?= (?:in|to|into|is|are|be|costs?|worth|notes?|bills?|coins?)\b)", re.IGNORECASE),
        "krwmoney",
    ),
    (re.compile(r"\b(?:Deutsche?|German) marks?\b|\bD-?marks?\b", re.IGNORECASE), "demmoney"),
    (re.compile(r"\b(?:pour|por|per) ?(?:cent|ciento|cento)\b", re.IGNORECASE), "percent"),
    (re.compile(r"\bfivers?\b", re.IGNORECASE), "5 gbp"),
    (re.compile(r"\btenners?\b", re.IGNORECASE), "10 gbp"),
    (re.compile(r"(?<=\d )grand\b|(?<=\d)grand\b"), "thousand"),
)  # fmt: skip
_TELLING = CURRENCY_WORDS | frozenset(
    """per percent percentage cent hour second square sq cubic cu nautical light $ ₺ sterling basis gas fluid fl
    astronomical parts revolutions litres litre dots fiver fivers tenner tenners grand mark marks dmark dmarks d-mark
    d-marks permille mille""".split()  # noqa: SIM905 - words read better as a text
)
_ANY_INCHES = re.compile('["”″]')
_INCHES = re.compile(r"(?<=\d)[\"”″](?=[\s,.?!)]|$)")


def fold_compounds(text: str, bag: frozenset[str]) -> str:
    """The text with compound units as one word.

    Args:
        text: Any text.
        bag: Its tokens in lower case.
    """
    if "/" in text or "m³" in text or not bag.isdisjoint(_TELLING):
        for pattern, name in _COMPOUND:
            text = pattern.sub(name, text)
        text = fold_currencies(text)
    signs = _ANY_INCHES.findall(text)
    if signs and len(_INCHES.findall(text)) == len(signs):  # none of them quotes anything
        text = _INCHES.sub(" inch", text)
    return text
