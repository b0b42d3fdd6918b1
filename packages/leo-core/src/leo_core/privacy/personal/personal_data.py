"""Find personal data and secrets in a text, so that it can be left out or blacked out.

Recognised is what has a form of its own: e-mail addresses, telephone numbers, payment cards, bank accounts, public IP
addresses, national identity numbers and API keys. Where a number has a check digit, the check decides, so that other
long numbers are left alone (:mod:`leo_core.privacy.personal.check_digits`). Names, addresses and birthdays have no such
form and are not found.
"""

from __future__ import annotations

import ipaddress
import math
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from leo_core.privacy.personal import check_digits as check

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

__all__ = ["Finding", "find_personal_data", "redact"]


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Something that was found: ``text[start:end]``, and of which kind."""

    start: int
    end: int
    kind: str


@dataclass(frozen=True, slots=True)
class _Form:
    kind: str
    pattern: re.Pattern[str]
    holds: Callable[[str], bool] = lambda _: True


def _form(kind: str, pattern: str, holds: Callable[[str], bool] = lambda _: True, flags: int = 0) -> _Form:
    return _Form(kind, re.compile(pattern, flags), holds)


def _is_address(text: str) -> bool:
    """Whether it is an IP address of the public internet: private ones say nothing of anybody."""
    try:
        return ipaddress.ip_address(text).is_global
    except ValueError:
        return False


def _is_phone(text: str) -> bool:
    """Between 8 and 15 digits, as E.164 allows."""
    return 8 <= sum(each.isdigit() for each in text) <= 15  # noqa: PLR2004 - of the standard


def _is_random(text: str) -> bool:
    """Whether a value looks drawn and not written: letters and digits, at least 3 bits a character."""
    counts = Counter(text)
    entropy = -sum(n / len(text) * math.log2(n / len(text)) for n in counts.values())
    return entropy >= 3.0 and any(each.isdigit() for each in text) and any(each.isalpha() for each in text)  # noqa: PLR2004 - bits


def _is_mixed(text: str) -> bool:
    """Whether a value has letters, and digits or signs, as passwords have and words have not."""
    return any(each.isalpha() for each in text) and any(each.isdigit() for each in text) and "(" not in text


def _named(words: str) -> str:
    """Before a number that has to be called by its name, since many others have its form."""
    return rf"(?i:\b(?:{words})\b)(?:[.:#]| is)? ?"


_NO_MORE = r"(?![ .-]?\d)"
"""Not the beginning of a longer number."""
_NO_VERSION = "".join(
    f"(?i:(?<!{word} ))"
    for word in ("version", "versions", "release", "build", "firmware", "kernel", "driver", "section", "chapter", "v")
)
"""Numbers of versions and sections have the form of addresses."""
_NO_WORD_BEFORE, _NO_WORD_AFTER = r"(?<![\w.@-])", r"(?![\w@])"

_SECRETS = (
    r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----(?:.*?-----END (?:[A-Z]+ )*PRIVATE KEY-----)?",
    r"\bsk-[A-Za-z0-9_-]{20,}",
    r"\b(?:ghp|gho|ghu|ghs|ghr)_[A-Za-z0-9]{36,}",
    r"\bgithub_pat_[A-Za-z0-9_]{22,}",
    r"\bglpat-[A-Za-z0-9_-]{20,}",
    r"\bhf_[A-Za-z0-9]{30,}",
    r"\bxox[abprs]-[A-Za-z0-9-]{10,}",
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    r"\bAIza[A-Za-z0-9_-]{35}",
    r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
    r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}",
    r"\bnpm_[A-Za-z0-9]{36}\b",
    r"\bpypi-[A-Za-z0-9_-]{32,}",
    r"\bSG\.[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}",
    r"\bya29\.[A-Za-z0-9_-]{20,}",
    r"\bdo[opr]_v1_[a-f0-9]{64}\b",
    r"\bleo-share:1:[0-9a-f:]{40,}",
    r"\bAGE-SECRET-KEY-1[A-Z0-9]{50,}",
    r"(?<![\w:])\d{8,10}:[A-Za-z0-9_-]{35}(?![\w-])",
    r"\bhttps://hooks\.slack\.com/services/[A-Za-z0-9/]{20,}",
    r"(?<=://)[^\s/:@\"'<>]+:[^\s/:@\"'<>]+(?=@)",
    r"(?<=AccountKey=)[A-Za-z0-9+/]{32,}={0,2}",
)

_RUN_ON = frozenset({"iban", "card"})
"""Numbers whose groups may run on into what follows: a security code, a month and year, words in capitals."""
_LEAST_RUN = 13

_NO_WIDTH = frozenset(
    "\u00ad\u034f\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e"
    "\u2060\u2061\u2062\u2063\u2064\u2066\u2067\u2068\u2069\ufeff"
)
"""Signs that nobody sees: soft hyphens, joiners, marks of direction."""
_TYPED = (
    dict.fromkeys(
        "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " "
    )
    | dict.fromkeys("\u2010\u2011", "-")
    | {chr(code + 0xFEE0): chr(code) for code in range(0x21, 0x7F)}
)
"""Spaces, hyphens and full-width forms, and what stands for them on a keyboard."""
_DASH = re.compile("(?<=[0-9])[\u2012-\u2015\u2212\ufe58\ufe63](?=[0-9])")
"""Dashes inside a number; elsewhere they part what is before from what is behind them."""

_FORMS: tuple[_Form, ...] = (
    *(_form("secret", pattern, flags=re.DOTALL) for pattern in _SECRETS),
    _form(
        "secret",
        r"(?i:(?<=api_key)|(?<=api-key)|(?<=apikey)|(?<=secret)|(?<=token)|(?<=password)|(?<=passwd))"
        r"""["']?\s*[:=]\s*["']?(?P<value>[A-Za-z0-9_+/=.-]{12,})""",
        _is_random,
    ),
    _form(
        "secret",
        r"""(?i:\b(?:password|passwort|passwd|passphrase|pwd)\b["']?\s*(?:is|ist|[:=])\s*["']?)"""
        r"""(?P<value>[^\s"'<>\[]{8,})""",
        _is_mixed,
    ),
    _form("secret", r"(?i:\bbearer )(?P<value>[A-Za-z0-9_+/=.~-]{16,})", _is_random),
    _form("email", r"(?<![\w.+'-])\w(?:[\w.+-]|'(?=\w))*@(?:[^\W_](?:[\w-]*[^\W_])?\.)+[^\W\d_]{2,}\b"),
    _form("iban", _NO_WORD_BEFORE + r"[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]){11,30}", check.is_iban),
    _form("card", _NO_WORD_BEFORE + r"\d(?:[ -]?\d){12,18}" + _NO_WORD_AFTER, check.is_card),
    _form("national_id", _NO_WORD_BEFORE + r"\d{3}-\d{2}-\d{4}" + _NO_WORD_AFTER, check.is_ssn),
    _form("national_id", _NO_WORD_BEFORE + r"[XYZ]?\d{7,8}-?[A-Z]" + _NO_WORD_AFTER, check.is_dni),
    _form(
        "national_id", _NO_WORD_BEFORE + r"[A-Z]{6}[A-Z0-9]{2}[A-Z][A-Z0-9]{2}[A-Z][A-Z0-9]{3}[A-Z]\b", check.is_codice
    ),
    _form("national_id", _NO_WORD_BEFORE + r"[12](?: ?[0-9AB]){12} ?\d{2}" + _NO_WORD_AFTER, check.is_nir),
    _form("national_id", _NO_WORD_BEFORE + r"756(?:\.?\d){10}" + _NO_WORD_AFTER, check.is_ahv),
    _form("national_id", _NO_WORD_BEFORE + r"\d{3}\.\d{3}\.\d{3}-\d{2}" + _NO_WORD_AFTER, check.is_cpf),
    _form("national_id", _NO_WORD_BEFORE + r"\d{11}" + _NO_WORD_AFTER, check.is_pesel),
    _form("national_id", _NO_WORD_BEFORE + r"\d{2} ?\d{3} ?\d{3} ?\d{3}" + _NO_WORD_AFTER, check.is_steuer_id),
    _form("national_id", _NO_WORD_BEFORE + r"[A-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-D]" + _NO_WORD_AFTER, check.is_nino),
    _form("national_id", _NO_WORD_BEFORE + r"(?:\d\d)?\d{6}[-+]\d{4}" + _NO_WORD_AFTER, check.is_personnummer),
    _form("national_id", _NO_WORD_BEFORE + r"\d{6}[-+A-FU-Y]\d{3}[0-9A-FHJ-NPR-Y]\b", check.is_hetu),
    _form("national_id", _NO_WORD_BEFORE + r"\d\d\.\d\d\.\d\d-\d{3}[.-]\d\d" + _NO_WORD_AFTER, check.is_belgian),
    _form("national_id", _NO_WORD_BEFORE + r"[1-9]\d{5}(?:19|20)\d{9}[0-9Xx]\b", check.is_chinese),
    _form(
        "national_id",
        r"(?i:\b(?:aadhaar|aadhar|uidai)\b)\D{0,16}(?P<value>[2-9]\d{3} ?\d{4} ?\d{4})" + _NO_WORD_AFTER,
        check.is_aadhaar,
    ),
    _form("national_id", _NO_WORD_BEFORE + r"\d{13}" + _NO_WORD_AFTER, check.is_south_african),
    _form("national_id", _NO_WORD_BEFORE + r"[STFGM]\d{7}[A-Z]\b", check.is_nric),
    _form("national_id", _NO_WORD_BEFORE + r"[1-9]\d{10}" + _NO_WORD_AFTER, check.is_tckn),
    _form("national_id", _named("bsn|burgerservicenummer") + r"(?P<value>\d{9})\b", check.is_bsn),
    _form("national_id", _named("nhs(?: number| no)?") + r"(?P<value>\d{3} ?\d{3} ?\d{4})\b", check.is_nhs),
    _form(
        "national_id",
        _named("sin|social insurance(?: number)?") + r"(?P<value>\d{3}[ -]?\d{3}[ -]?\d{3})\b",
        check.is_sin,
    ),
    _form("phone", r"(?<![\w.+])\+\d(?:[ ./()-]{0,2}\d){7,14}" + _NO_WORD_AFTER, _is_phone),
    _form("phone", r"(?<![\w.+-])(?:1[-. ])?(?:\(\d{3}\) ?|\d{3}[-.])\d{3}[-.]\d{4}" + r"(?![\w@-])"),
    _form("phone", r"(?<![\w.+/-])0[1-9](?:[ .]\d{2}){4}" + _NO_WORD_AFTER + _NO_MORE),
    _form("phone", r"(?<![\w.+/-])0[1-9]\d{1,3}/ ?\d{3,8}(?:[ -]\d{2,4})*(?!/)" + _NO_WORD_AFTER + _NO_MORE, _is_phone),
    _form("phone", r"(?<![\w.+/-])07\d{3} ?\d{3} ?\d{3}" + _NO_WORD_AFTER + _NO_MORE),
    _form(
        "phone", r"(?<![\w.+/-])0(?:1[567]\d{1,2}|20|1\d1|11\d) \d{3,4} ?\d{3,5}" + _NO_WORD_AFTER + _NO_MORE, _is_phone
    ),
    _form(
        "phone", r"(?i:\b(?:tel|phone|mobile|call|fax)\b[.:]? ?)(?P<value>0\d(?:[ ./()-]{0,2}\d){6,13})\b", _is_phone
    ),
    _form("ip_address", _NO_VERSION + r"(?<![\w.:])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\d)", _is_address),
    _form("ip_address", r"(?<![\w.:])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:])", _is_address),
)


def find_personal_data(text: str, kinds: Collection[str] | None = None) -> tuple[Finding, ...]:
    """What was found, in the order of the text; findings that overlap are one, of the kind of the earliest and longest.

    Args:
        text: The text. Spaces, hyphens and digits count in all their forms, and signs without a width not at all.
        kinds: What is looked for; by default everything.
    """
    forms = _FORMS if kinds is None else [form for form in _FORMS if form.kind in kinds]
    plain, places = _straighten(text)
    found: list[Finding] = []
    for each in sorted(_find(plain, forms), key=lambda each: (each.start, -each.end)):
        if not found or each.start >= found[-1].end:
            found.append(each)
        elif each.end > found[-1].end and (found[-1].kind, each.kind) != ("secret", "email"):  # user:password@host
            found[-1] = replace(found[-1], end=each.end)
    return tuple(replace(each, start=places[each.start], end=places[each.end - 1] + 1) for each in found)


def _straighten(text: str) -> tuple[str, Sequence[int]]:
    """The text as it would be typed in ASCII, as far as numbers and addresses go, and where each character stood."""
    if text.isascii():
        return text, range(len(text))
    signs = [(_TYPED.get(sign) or _type_digit(sign), at) for at, sign in enumerate(text) if sign not in _NO_WIDTH]
    return _DASH.sub("-", "".join(sign for sign, _ in signs)), [at for _, at in signs]


def _type_digit(sign: str) -> str:
    value = unicodedata.decimal(sign, None)
    return sign if value is None else str(value)


def redact(text: str) -> str:
    """The text with the kind in brackets in the place of what was found: ``[EMAIL]``."""
    parts, at = [], 0
    for finding in find_personal_data(text):
        parts += [text[at : finding.start], f"[{finding.kind.upper()}]"]
        at = finding.end
    return "".join((*parts, text[at:]))


def _find(text: str, forms: Iterable[_Form]) -> Iterator[Finding]:
    for form in forms:
        group, at = "value" if "value" in form.pattern.groupindex else 0, 0
        while match := form.pattern.search(text, at):
            start, end = match.span(group)
            if not form.holds(match[group]):
                end = start + (_shorten(text, start, end, form) if form.kind in _RUN_ON else 0)
            if end > start:
                yield Finding(start, end, form.kind)
            at = end if end > start else match.start() + 1  # another may begin inside of what was none


def _shorten(text: str, start: int, end: int, form: _Form) -> int:
    """How long a number is that others, or words, follow; 0 where there is none."""
    ends = (at for at in range(end - 1, start + _LEAST_RUN - 1, -1) if text[at - 1] != " ")
    loose = form.kind == "iban" and text[start : start + 2].isupper()  # "…3000BIC"; in small letters that is a hash
    whole = (at for at in ends if loose or not (text[at].isalnum() or text[at - 1] == "-"))
    return next((at - start for at in whole if form.holds(text[start:at])), 0)
