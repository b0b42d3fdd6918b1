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
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leo_core.privacy.personal import check_digits as check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

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
    _form("iban", _NO_WORD_BEFORE + r"[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}", check.is_iban),
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


def find_personal_data(text: str) -> tuple[Finding, ...]:
    """What was found, in the order of the text; of findings that overlap the earliest and longest."""
    found: list[Finding] = []
    for finding in sorted(_find(text, _FORMS), key=lambda each: (each.start, -each.end)):
        if not found or finding.start >= found[-1].end:
            found.append(finding)
    return tuple(found)


def redact(text: str) -> str:
    """The text with the kind in brackets in the place of what was found: ``[EMAIL]``."""
    parts, at = [], 0
    for finding in find_personal_data(text):
        parts += [text[at : finding.start], f"[{finding.kind.upper()}]"]
        at = finding.end
    return "".join((*parts, text[at:]))


def _find(text: str, forms: Iterable[_Form]) -> Iterator[Finding]:
    for form in forms:
        for match in form.pattern.finditer(text):
            group = "value" if "value" in form.pattern.groupindex else 0
            start, end = match.span(group)
            if form.holds(match[group]):
                yield Finding(start, end, form.kind)
                continue
            shorter = _shorten(match[group], form) if form.kind == "iban" else None
            if shorter is not None:
                yield Finding(start, start + shorter, form.kind)


def _shorten(text: str, form: _Form) -> int | None:
    """Where an account number ends that words in capitals follow."""
    return next((end for end in range(len(text) - 1, 14, -1) if text[end - 1] != " " and form.holds(text[:end])), None)
