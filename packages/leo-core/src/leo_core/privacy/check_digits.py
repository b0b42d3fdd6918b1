"""Check digits: whether a number that looks like a card, an account or an identity can be one."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter

__all__ = [
    "is_ahv",
    "is_card",
    "is_codice",
    "is_cpf",
    "is_dni",
    "is_iban",
    "is_nino",
    "is_nir",
    "is_pesel",
    "is_ssn",
    "is_steuer_id",
]

_IBAN_LENGTHS = {
    15: "NO",
    16: "BE",
    18: "DK FI FO GL NL",
    19: "MK SI",
    20: "AT BA EE KZ LT LU XK",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL OM TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "PT",
    26: "IS TR",
    27: "FR GR IT MC MR SM",
    28: "AL AZ CY DO GT HU LB PL",
    29: "BR EG PS QA UA",
    30: "JO KW MU",
    31: "MT SC",
}
_LENGTH_OF = {code: length for length, codes in _IBAN_LENGTHS.items() for code in codes.split()}
_CARDS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"
    r"|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"
    r"|3[47]\d{13}"
    r"|3(?:0[0-5]|[68]\d)\d{11,16}"
    r"|35\d{14,17}"
    r"|6(?:011|4[4-9]\d|5\d\d|2\d\d)\d{12,15}"
)
_CARD_GROUPS = re.compile(r"\d{13,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{1,7}|\d{4}([ -])\d{6}\2\d{4,5}")
_DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_CODICE_ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)


def _digits(text: str) -> list[int]:
    return [int(each) for each in text if each.isdigit()]


def is_card(text: str) -> bool:
    """A payment card: first digits, length and groups of a known kind, and Luhn's check (ISO/IEC 7812-1)."""
    numbers = _digits(text)
    plain = "".join(map(str, numbers))
    if not _CARDS.fullmatch(plain) or not _CARD_GROUPS.fullmatch(text):
        return False
    doubled = [each * 2 - 9 * (each > 4) for each in numbers[-2::-2]]  # noqa: PLR2004 - of the algorithm
    return (sum(numbers[-1::-2]) + sum(doubled)) % 10 == 0


def is_iban(text: str) -> bool:
    """A bank account (ISO 13616): the country's length, and 1 modulo 97."""
    plain = text.replace(" ", "")
    if len(plain) != _LENGTH_OF.get(plain[:2]) or not plain[2:4].isdigit():
        return False
    return int("".join(str(int(each, 36)) for each in plain[4:] + plain[:4])) % 97 == 1


def is_ssn(text: str) -> bool:
    """A US social security number; it has no check digit, but ranges that are never given out."""
    area, group, serial = text.split("-")
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


def is_dni(text: str) -> bool:
    """A Spanish DNI (eight digits) or NIE (X, Y or Z and seven): the last letter is the number modulo 23."""
    plain = text.replace("-", "")
    number = plain[:-1].translate(str.maketrans("XYZ", "012"))
    return len(number) == 8 and _DNI_LETTERS[int(number) % 23] == plain[-1]  # noqa: PLR2004 - digits


def is_codice(text: str) -> bool:
    """An Italian codice fiscale: its last letter is a check over all others."""
    values = [int(each) if each.isdigit() else ord(each) - 65 for each in text[:15]]
    total = sum(_CODICE_ODD[each] if at % 2 == 0 else each for at, each in enumerate(values))
    return chr(65 + total % 26) == text[15]


def is_nir(text: str) -> bool:
    """A French NIR: 97 less the number modulo 97, Corsica's 2A and 2B as 19 and 18; the month from 1 to 12."""
    plain = text.replace(" ", "").replace("2A", "19", 1).replace("2B", "18", 1)
    if not plain.isdigit() or not 1 <= int(plain[3:5]) <= 12:  # noqa: PLR2004 - months
        return False
    return 97 - int(plain[:13]) % 97 == int(plain[13:])


def is_ahv(text: str) -> bool:
    """A Swiss AHV number: EAN-13 under the prefix 756."""
    numbers = _digits(text)
    return sum(each * (1, 3)[at % 2] for at, each in enumerate(numbers)) % 10 == 0


def is_cpf(text: str) -> bool:
    """A Brazilian CPF: two check digits, modulo 11."""
    numbers = _digits(text)
    if len(set(numbers)) == 1:
        return False
    for length in (9, 10):
        total = sum(each * (length + 1 - at) for at, each in enumerate(numbers[:length]))
        if total * 10 % 11 % 10 != numbers[length]:
            return False
    return True


def is_pesel(text: str) -> bool:
    """A Polish PESEL: a check digit under the weights 1, 3, 7, 9, and a day that exists."""
    numbers = _digits(text)
    total = sum(each * (1, 3, 7, 9)[at % 4] for at, each in enumerate(numbers[:10]))
    if (10 - total % 10) % 10 != numbers[10]:
        return False
    century, month = divmod(int(text[2:4]), 20)
    try:
        dt.date((1900, 2000, 2100, 2200, 1800)[century] + int(text[:2]), month, int(text[4:6]))
    except ValueError:
        return False
    return True


def is_steuer_id(text: str) -> bool:
    """A German tax id: one digit of the first ten comes two or three times, and ISO 7064 MOD 11,10."""
    numbers = _digits(text)
    repeated = [count for count in Counter(numbers[:10]).values() if count > 1]
    if numbers[0] == 0 or len(repeated) != 1 or repeated[0] > 3:  # noqa: PLR2004 - of the rule
        return False
    product = 10
    for each in numbers[:10]:
        product = ((each + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == numbers[10]


def is_nino(text: str) -> bool:
    """A British national insurance number; it has no check digit, but prefixes that are never given out."""
    prefix = text[:2]
    if prefix[0] in "DFIQUV" or prefix[1] in "DFIQUVO":
        return False
    return prefix not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ")
