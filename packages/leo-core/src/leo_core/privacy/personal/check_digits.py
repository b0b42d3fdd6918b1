"""Check digits: whether a number that looks like a card, an account or an identity can be one."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter

__all__ = [
    "is_aadhaar",
    "is_ahv",
    "is_belgian",
    "is_bsn",
    "is_card",
    "is_chinese",
    "is_codice",
    "is_cpf",
    "is_dni",
    "is_hetu",
    "is_iban",
    "is_nhs",
    "is_nino",
    "is_nir",
    "is_nric",
    "is_personnummer",
    "is_pesel",
    "is_sin",
    "is_south_african",
    "is_ssn",
    "is_steuer_id",
    "is_tckn",
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
_HETU_MARKS = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_NRIC_MARKS = {"S": "JZIHGFEDCBA", "T": "GFEDCBAJZIH", "F": "XWUTRQPNMLK", "G": "RQPNMLKXWUT", "M": "XWUTRQPNJLK"}
_VERHOEFF_TURNS = ((0, 1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 5, 7, 6, 2, 8, 3, 0, 9, 4))
_CODICE_ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)


def _digits(text: str) -> list[int]:
    return [int(each) for each in text if each.isdigit()]


def _passes_luhn(numbers: list[int]) -> bool:
    """Luhn's check (ISO/IEC 7812-1, annex B)."""
    doubled = [each * 2 - 9 * (each > 4) for each in numbers[-2::-2]]  # noqa: PLR2004 - of the algorithm
    return (sum(numbers[-1::-2]) + sum(doubled)) % 10 == 0


def _is_day(year: int, month: int, day: int) -> bool:
    try:
        dt.date(year, month, day)
    except ValueError:
        return False
    return True


def is_card(text: str) -> bool:
    """A payment card: first digits, length and groups of a known kind, and Luhn's check (ISO/IEC 7812-1)."""
    if not _CARD_GROUPS.fullmatch(text):
        return False
    numbers = _digits(text)
    return _CARDS.fullmatch("".join(map(str, numbers))) is not None and _passes_luhn(numbers)


def is_iban(text: str) -> bool:
    """A bank account (ISO 13616): the country's length, and 1 modulo 97."""
    plain = text.replace(" ", "").upper()
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
    return _is_day((1900, 2000, 2100, 2200, 1800)[century] + int(text[:2]), month, int(text[4:6]))


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


def is_personnummer(text: str) -> bool:
    """A Swedish personnummer (YYMMDD-XXXX): Luhn's check, and a day that exists (coordination numbers add 60)."""
    numbers = _digits(text)[-10:]
    year, month, day = (10 * numbers[at] + numbers[at + 1] for at in (0, 2, 4))
    if not _passes_luhn(numbers):
        return False
    return any(_is_day(century + year, month, day - 60 * (day > 60)) for century in (1900, 2000))  # noqa: PLR2004 - of the rule


def is_hetu(text: str) -> bool:
    """A Finnish henkilötunnus: its last sign is the number modulo 31, and the day exists."""
    day, month, year = (int(text[at : at + 2]) for at in (0, 2, 4))
    century = 1800 if text[6] == "+" else 2000 if text[6] in "ABCDEF" else 1900
    return _is_day(century + year, month, day) and _HETU_MARKS[int(text[:6] + text[7:10]) % 31] == text[10]


def is_belgian(text: str) -> bool:
    """A Belgian national number: 97 less the number modulo 97, with a 2 before it for those born from 2000 on."""
    plain = "".join(map(str, _digits(text)))
    if int(plain[2:4]) > 12 or int(plain[4:6]) > 31:  # noqa: PLR2004 - months and days, of which 0 stands for unknown
        return False
    return any(97 - int(first + plain[:9]) % 97 == int(plain[9:]) for first in ("", "2"))


def is_chinese(text: str) -> bool:
    """A Chinese resident identity number: ISO 7064 MOD 11-2, and a day that exists."""
    if not _is_day(int(text[6:10]), int(text[10:12]), int(text[12:14])):
        return False
    total = sum(int(each) * pow(2, 17 - at, 11) for at, each in enumerate(text[:17]))
    return "10X98765432"[total % 11] == text[17].upper()


def is_aadhaar(text: str) -> bool:
    """An Indian Aadhaar: Verhoeff's check (1969) over twelve digits, the first of them from 2 on."""
    numbers = _digits(text)
    found, turn = 0, list(_VERHOEFF_TURNS[0])
    for each in reversed(numbers):
        found = _multiply(found, turn[each])
        turn = [_VERHOEFF_TURNS[1][place] for place in turn]
    return found == 0 and len(set(numbers)) > 1


def _multiply(one: int, two: int) -> int:
    """The product in the group of a pentagon's symmetries: 0 to 4 are turns, 5 to 9 reflections."""
    turned = (one + two) % 5 if one < 5 else (one - two) % 5  # noqa: PLR2004 - of the group
    return turned + 5 * ((one < 5) != (two < 5))  # noqa: PLR2004 - of the group


def is_south_african(text: str) -> bool:
    """A South African identity number: Luhn's check, a day that exists, and a citizenship of 0, 1 or 2."""
    year, month, day = (int(text[at : at + 2]) for at in (0, 2, 4))
    lived = any(_is_day(century + year, month, day) for century in (1900, 2000))
    return lived and text[10] in "012" and _passes_luhn(_digits(text))


def is_nric(text: str) -> bool:
    """A Singaporean NRIC or FIN: its last letter is the weighted sum modulo 11."""
    total = sum(each * weight for each, weight in zip(_digits(text), (2, 7, 6, 5, 4, 3, 2), strict=True))
    return _NRIC_MARKS[text[0]][(total + 3 * (text[0] == "M")) % 11] == text[-1]


def is_tckn(text: str) -> bool:
    """A Turkish identity number: two check digits over the ones before them."""
    numbers = _digits(text)
    tenth = (7 * sum(numbers[0:9:2]) - sum(numbers[1:8:2])) % 10
    return numbers[0] != 0 and tenth == numbers[9] and sum(numbers[:10]) % 10 == numbers[10]


def is_bsn(text: str) -> bool:
    """A Dutch BSN: the eleven test."""
    numbers = _digits(text)
    total = sum(each * weight for each, weight in zip(numbers, (9, 8, 7, 6, 5, 4, 3, 2, -1), strict=True))
    return total % 11 == 0 and any(numbers)


def is_nhs(text: str) -> bool:
    """A number of the NHS: 11 less the weighted sum modulo 11."""
    numbers = _digits(text)
    check = 11 - sum(each * (10 - at) for at, each in enumerate(numbers[:9])) % 11
    return check % 11 == numbers[9]


def is_sin(text: str) -> bool:
    """A Canadian SIN: Luhn's check."""
    return _passes_luhn(_digits(text))
