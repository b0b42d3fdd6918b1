"""What is found in texts and what is left alone; check digits against numbers that were made for tests and examples."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leo_core.privacy.personal import check_digits
from leo_core.privacy.personal.personal_data import find_personal_data, redact

FOUND = [
    ("write to anna.k+x@mail.example.org!", "email", "anna.k+x@mail.example.org"),
    ("card 4111 1111 1111 1111 please", "card", "4111 1111 1111 1111"),
    ("5555-5555-5555-4444", "card", "5555-5555-5555-4444"),
    ("amex 3782 822463 10005", "card", "3782 822463 10005"),
    ("pay to DE89 3704 0044 0532 0130 00 BIC COBADEFFXXX", "iban", "DE89 3704 0044 0532 0130 00"),
    ("GB29NWBK60161331926819", "iban", "GB29NWBK60161331926819"),
    ("call +49 (0)89 1234-5678 now", "phone", "+49 (0)89 1234-5678"),
    ("call (415) 555-2671", "phone", "(415) 555-2671"),
    ("tel: 089 1234567", "phone", "089 1234567"),
    ("from 8.8.8.8 at noon", "ip_address", "8.8.8.8"),
    ("from 2001:4860:4860::8888 at noon", "ip_address", "2001:4860:4860::8888"),
    ("SSN 219-09-9999", "national_id", "219-09-9999"),
    ("DNI 12345678Z", "national_id", "12345678Z"),
    ("NIE X1234567L", "national_id", "X1234567L"),
    ("RSSMRA85T10A562S", "national_id", "RSSMRA85T10A562S"),
    ("NIR 255081416802538", "national_id", "255081416802538"),
    ("AHV 756.9217.0769.85", "national_id", "756.9217.0769.85"),
    ("CPF 529.982.247-25", "national_id", "529.982.247-25"),
    ("PESEL 44051401359", "national_id", "44051401359"),
    ("IdNr 86 095 742 719", "national_id", "86 095 742 719"),
    ("NINO AB 12 34 56 C", "national_id", "AB 12 34 56 C"),
    ("personnummer 811218-9876", "national_id", "811218-9876"),
    ("HETU 131052-308T", "national_id", "131052-308T"),
    ("rijksregister 85.07.30-033.28", "national_id", "85.07.30-033.28"),
    ("ID 11010519491231002X", "national_id", "11010519491231002X"),
    ("Aadhaar: 2341 2341 2346", "national_id", "2341 2341 2346"),
    ("ID 8001015009087", "national_id", "8001015009087"),
    ("NRIC S1234567D", "national_id", "S1234567D"),
    ("TC 10000000146", "national_id", "10000000146"),
    ("BSN: 111222333", "national_id", "111222333"),
    ("NHS number 943 476 5919", "national_id", "943 476 5919"),
    ("SIN 046 454 286", "national_id", "046 454 286"),
    ("write to d.o'neil@example.ie", "email", "d.o'neil@example.ie"),
    ("write to kontakt@müller.example", "email", "kontakt@müller.example"),
    ("06 12 34 56 78 is mine", "phone", "06 12 34 56 78"),
    ("my password is Sommer2024!", "secret", "Sommer2024!"),
    ("Authorization: Bearer q8Zr5tWx2LmN7vKp4JhG", "secret", "q8Zr5tWx2LmN7vKp4JhG"),
    ("postgres://admin:s3cr3t@db.example.org/x", "secret", "admin:s3cr3t"),
    ("use sk-" + "abcd1234" * 4, "secret", "sk-" + "abcd1234" * 4),
    ("AKIA" + "IOSFODNN7EXAMPLE", "secret", "AKIA" + "IOSFODNN7EXAMPLE"),
    ("ghp_" + "a1B2" * 9, "secret", "ghp_" + "a1B2" * 9),
    ("api_key = 'aB3dE5fG7hI9jK1l'", "secret", "aB3dE5fG7hI9jK1l"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefghijk", "secret", None),
    ("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----", "secret", None),
]

LEFT = [
    "order 4111 1111 1111 1112",
    "4111-1111 1111 1111",
    "DE89 3704 0044 0532 0130 01",
    "XX89 3704 0044 0532 0130 00",
    "on 2024-11-30, 1990-1995, at 12:30:45",
    "ISBN 978-3-16-148410-0",
    "pi is 3.14159265358979 and e is 2.71828182845904",
    "192.168.1.1, 127.0.0.1, ::1 and version 1.2.3.4.5",
    "build 10.0.19045.3693",
    "f(x) = @property, a@b, user@localhost",
    "000-12-3456, 666-12-3456, 900-12-3456, 219-00-9999",
    "12345678A",
    "44051401358",
    "86095742718",
    "529.982.247-26",
    "11111111111",
    "token: hello_world_value",
    "the password is too short",
    "the first 100000000000 primes and 2^61 - 1 = 2305843009213693951",
    "3 * 4 + 5 - 6 (7) 8/9 10.11",
    "sk-short",
    "version 4.2.1.7 and build 8.1.0.3",
    "111222333 without a name, 943 476 5919, 046 454 286",
    "BSN 111222334, NHS number 943 476 5918, SIN 046 454 287",
    "811218-9875, 131052-308U, 85.07.30-033.29, 110105194912310021, 8001015009088, S1234567E, 10000000147",
    "password: required",
    "",
]


@pytest.mark.parametrize(("text", "kind", "part"), FOUND)
def test_it_finds(text, kind, part) -> None:
    (finding,) = find_personal_data(text)
    assert finding.kind == kind
    assert text[finding.start : finding.end] == (part or text)
    assert redact(text) == text.replace(part or text, f"[{kind.upper()}]")
    assert find_personal_data(redact(text)) == ()


@pytest.mark.parametrize("text", LEFT)
def test_it_leaves_alone(text) -> None:
    assert find_personal_data(text) == ()
    assert redact(text) == text


def test_several_are_found_in_order() -> None:
    text = "a@example.org or b@example.org, card 4111111111111111"
    assert redact(text) == "[EMAIL] or [EMAIL], card [CARD]"


CARD, OTHER_CARD = "4111 1111 1111 1111", "5555555555554444"
IBAN, OTHER_IBAN = "DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (f"{CARD} 123", [CARD]),
        (f"{CARD} 12/27", [CARD]),
        (f"{CARD}-123", [CARD]),
        (f"{OTHER_CARD} 123", [OTHER_CARD]),
        (f"{OTHER_CARD} 12 27 123", [OTHER_CARD]),
        ("3782 822463 10005 1234", ["3782 822463 10005"]),
        (f"order 2024 {CARD}", [CARD]),
        (f"50 {OTHER_CARD}", [OTHER_CARD]),
        (f"{OTHER_CARD} {CARD} {OTHER_CARD} 7", [OTHER_CARD, CARD, OTHER_CARD]),
        (f"{IBAN} {OTHER_IBAN}", [IBAN, OTHER_IBAN]),
        (f"{OTHER_IBAN} {IBAN} {OTHER_IBAN}", [OTHER_IBAN, IBAN, OTHER_IBAN]),
        (f"REF AB12 {IBAN}", [IBAN]),
        (f"{IBAN.lower()} and so on", [IBAN.lower()]),
    ],
)
def test_numbers_that_run_on_into_others_are_found(text, parts):
    assert [text[each.start : each.end] for each in find_personal_data(text)] == parts


@pytest.mark.parametrize(
    "text", ["41111111111111111", "4111 1111 1111 1112 123", "4111 1111 1111 11114", "4111 1111 1111"]
)
def test_what_only_begins_like_a_card_is_none(text):
    assert find_personal_data(text) == ()


def spell(text, *, old, new):
    return text.translate(str.maketrans(old, new))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (spell(CARD, old=" ", new="\u00a0"), "card"),
        (spell(CARD, old=" ", new="\u202f"), "card"),
        (spell(CARD, old=" ", new="\u2011"), "card"),
        (spell(OTHER_CARD, old="54", new="\uff15\uff14"), "card"),
        (spell(OTHER_CARD, old="54", new="\u0665\u0664"), "card"),
        (spell(IBAN, old=" ", new="\u2009"), "iban"),
        (spell(IBAN, old="DE03", new="\uff24\uff25\uff10\uff13"), "iban"),
        ("+49\u202f170\u202f1234567", "phone"),
        ("219\u201309\u20139999", "national_id"),
        ("ann\uff20example.org", "email"),
        ("an\u200bn@exam\u00adple.org", "email"),
        ("8.8.\u20608.8", "ip_address"),
        ("\u0661\u0662\u0663-45-6789", "national_id"),
    ],
)
@pytest.mark.parametrize("before", ["", "\u200b\u00a0f\u00fcr "])
def test_other_spaces_hyphens_digits_and_unseen_signs_hide_nothing(text, kind, before):
    (found,) = find_personal_data(f"{before}{text} \u2013 \u00fcber")
    assert (found.start, found.end, found.kind) == (len(before), len(before) + len(text), kind)


@pytest.mark.parametrize("dash", "\u2012\u2013\u2014\u2015\u2212")
def test_a_dash_parts_a_number_from_a_word_and_joins_its_groups(dash):
    text = f"Ask me{dash}415-555-2671{dash}or mail{dash}ann@example.org{dash}219{dash}09{dash}9999"
    assert [text[each.start : each.end] for each in find_personal_data(text)] == [
        "415-555-2671",
        "ann@example.org",
        f"219{dash}09{dash}9999",
    ]


def test_what_is_not_looked_for_hides_nothing_that_is():
    text = "password is bob99@example.org"
    (found,) = find_personal_data(text, ("email",))
    assert text[found.start : found.end] == "bob99@example.org"
    assert find_personal_data(text, ("card", "iban")) == ()


def test_of_findings_that_overlap_nothing_is_left():
    assert redact(f"+1 {CARD}!") == "[PHONE]!"


@given(st.lists(st.integers(0, 9), min_size=15, max_size=15))
def test_one_digit_in_ten_ends_a_card(digits) -> None:
    start = "4" + "".join(map(str, digits))[1:]
    assert sum(check_digits.is_card(start + str(last)) for last in range(10)) == 1


@given(st.integers(0, 10**18 - 1), st.integers(0, 17), st.integers(1, 9))
def test_a_wrong_digit_makes_no_account_number(account, place, shift) -> None:
    plain = f"{account:018d}"
    check = 98 - int(plain + "131400") % 97
    iban = f"DE{check:02d}{plain}"
    assert check_digits.is_iban(iban)
    wrong = str((int(plain[place]) + shift) % 10)
    assert not check_digits.is_iban(iban[: 4 + place] + wrong + iban[5 + place :])


@given(st.text(max_size=200))
def test_any_text_is_taken_and_findings_do_not_overlap(text) -> None:
    found = find_personal_data(text)
    assert all(0 <= each.start < each.end <= len(text) for each in found)
    assert all(one.end <= two.start for one, two in pairwise(found))


def test_long_texts_take_no_time_that_grows_with_their_square() -> None:
    for text in ("a'" * 60_000, "password is " * 20_000, "aadhaar " * 20_000, "://a@" * 30_000, "0123/" * 30_000):
        assert find_personal_data(text) == ()
    for text in ("a" * 200_000, "1 " * 100_000, "a." * 100_000, "1:" * 100_000, "+1" * 100_000, "A1 " * 60_000):
        assert find_personal_data(text) == ()


@given(st.integers(2, 9), st.lists(st.integers(0, 9), min_size=10, max_size=10), st.integers(0, 11), st.integers(1, 9))
def test_one_last_digit_makes_an_aadhaar_and_a_wrong_one_none(first, rest, place, shift):
    start = str(first) + "".join(map(str, rest))
    (last,) = (digit for digit in range(10) if check_digits.is_aadhaar(start + str(digit)))
    number = start + str(last)
    wrong = str((int(number[place]) + shift) % 10)
    assert not check_digits.is_aadhaar(number[:place] + wrong + number[place + 1 :])


@given(st.lists(st.integers(0, 9), min_size=12, max_size=12), st.integers(0, 10))
def test_verhoeff_finds_two_digits_that_changed_places(digits, place):
    number = "".join(map(str, digits))
    swapped = number[:place] + number[place + 1] + number[place] + number[place + 2 :]
    if number != swapped and check_digits.is_aadhaar(number):
        assert not check_digits.is_aadhaar(swapped)
