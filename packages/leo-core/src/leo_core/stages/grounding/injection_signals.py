"""Signs that a text speaks to the model that reads it, and not to a person.

The patterns are of how such passages are built (an order to drop earlier orders, a role, a forged turn, a demand for
secrets, an address that data is to be sent to, hidden text), in the languages that the labelled set has. No sign
decides by itself: text about injections has many of them, mostly quoted or told.
"""

from __future__ import annotations

import base64
import math
import re
import unicodedata

from leo_core.stages.grounding.injection_patterns import PATTERNS

__all__ = ["SIGNALS", "STRONG", "read_signals", "reveal_hidden"]

_QUOTED = re.compile(r"[\"“„«「『]([^\"“”„«»「」『』\n]{3,200})[\"”“»」』]|“([^”]{3,200})”")
_ZERO_WIDTH = re.compile("[\u200b\u2060-\u2064\ufeff]")
_SOFT = re.compile("\u00ad|^\ufeff")
_TAGS = re.compile("[\U000e0020-\U000e007e]+")
_TURNED = re.compile("[\u202a-\u202e\u2066-\u2069]")
_LETTERS = re.compile(r"(?<!\w)(?:\w ){2,}\w(?!\w)")
_BETWEEN = re.compile(r"\b(?:\w ){5,}\w\b")
_BASE64 = re.compile(r"(?<![\w/+:;,])[A-Za-z0-9+/]{32,}={0,2}(?![\w/+])")
_LEET = str.maketrans("013457@$", "oieastas")
_LEET_WORD = re.compile(r"\b(?=\w*[a-z])(?=\w*[013457])[a-z013457]{4,}\b", re.IGNORECASE)
_JOINED = re.compile("(?<=[a-z])[\u200b\u2060\ufeff]+(?=[A-Z])")

SIGNALS = (
    *PATTERNS,
    *(f"{name}_quoted" for name in ("drops_orders", "role", "your_prompt", "answer_demanded")),
    "hidden_characters",
    "hidden_orders",
    "encoded",
    "imperatives",
    "signs",
)
"""Names of the signals, in order."""

_QUOTABLE = (
    "drops_orders",
    "role",
    "your_prompt",
    "answer_demanded",
    "demands_secrets",
    "secrecy",
    "rates",
    "to_the_user",
)
STRONG = (
    "drops_orders", "role", "forged_turn", "addresses_machine", "your_prompt", "demands_secrets", "secrecy",
    "answer_demanded", "sends_away", "uses_tools", "no_confirmation", "rates", "hidden_markup",
)  # fmt: skip
"""Signs that are reported as such."""
_IMPERATIVE = re.compile(
    r"(?:^|[.!?:;]\s+|\bplease |\band |\bthen )(?:answer|reply|respond|say|tell|write|print|send|call|ignore|forget|"
    r"reveal|output|repeat|include|append|add|use|follow|obey|begin|proceed|list|show|translate|conclude|recommend|give|"
    r"make|stop|continue|keep|do not|never|always|render|load|invoke|execute|set)\b",
    re.IGNORECASE,
)


def reveal_hidden(text: str) -> tuple[str, int]:
    """The text with what is hidden in it in plain sight, and how many characters hid it.

    Invisible characters inside words, tag characters (U+E0020 and on, which spell ASCII), text turned around by
    bidirectional marks, spaced-out and figure-for-letter spelling. The joiners of emoji and of Persian and Indic
    scripts hide nothing, nor do soft hyphens and a byte order mark.
    """
    plain = _SOFT.sub("", unicodedata.normalize("NFKC", text))
    hidden = len(_ZERO_WIDTH.findall(plain)) + sum(len(found) for found in _TAGS.findall(plain))
    plain = _ZERO_WIDTH.sub("", _JOINED.sub(" ", plain))
    plain = _TAGS.sub(lambda match: " " + "".join(chr(ord(each) - 0xE0000) for each in match[0]), plain)
    if _TURNED.search(plain):
        hidden += len(_TURNED.findall(plain))
        plain = re.sub("[\u202d\u202e]([^\u202c]*)\u202c?", lambda match: match[1] + " " + match[1][::-1], plain)
        plain = _TURNED.sub("", plain)
    if _BETWEEN.search(plain):
        hidden += 1
        joined = _LETTERS.sub(lambda match: match[0].replace(" ", ""), plain)
        plain = f"{plain} {' '.join(joined.split())}"
    for decoded in _decode(plain):
        hidden += 1
        plain = f"{plain} {decoded}"
    figures = _LEET_WORD.findall(plain)
    if len(figures) > 1:
        hidden += 1
        plain = f"{plain} {plain.translate(_LEET)}"
    return plain, hidden


def _decode(text: str) -> list[str]:
    """Sentences that stand in the text in base64."""
    found = []
    for written in _BASE64.findall(text):
        try:
            decoded = base64.b64decode(written, validate=True).decode("utf-8")
        except ValueError:
            continue
        if decoded.isprintable() and decoded.count(" ") > 1:
            found.append(decoded)
    return found


def read_signals(text: str) -> dict[str, float]:
    """The signals of a passage by name; counts are log(1 + n)."""
    plain, hidden = reveal_hidden(text)
    quoted = " \n ".join(next(part for part in found if part) for found in _QUOTED.findall(plain))
    outside = _QUOTED.sub(" ", plain)
    found = {
        name: math.log1p(len(pattern.findall(outside if name in _QUOTABLE else plain)))
        for name, pattern in PATTERNS.items()
    }
    before = {name for name in STRONG if PATTERNS[name].search(text)}
    encoded = [part for part in _BASE64.findall(plain) if re.search(r"[a-z]", part) and re.search(r"[A-Z]", part)]
    return found | {
        "drops_orders_quoted": float(PATTERNS["drops_orders"].search(quoted) is not None),
        "role_quoted": float(PATTERNS["role"].search(quoted) is not None),
        "your_prompt_quoted": float(PATTERNS["your_prompt"].search(quoted) is not None),
        "answer_demanded_quoted": float(PATTERNS["answer_demanded"].search(quoted) is not None),
        "hidden_characters": math.log1p(hidden),
        "hidden_orders": float(hidden > 0 and any(found[name] > 0.0 and name not in before for name in STRONG)),
        "encoded": float(bool(encoded) or "rot13" in plain.lower()),
        "imperatives": math.log1p(len(_IMPERATIVE.findall(outside))),
        "signs": math.log1p(sum(found[name] > 0.0 for name in STRONG)),
    }
