"""Currencies: the codes of ISO 4217 with names and signs, and "Kenyan shillings" folded to one word."""

from __future__ import annotations

import re

__all__ = ["CURRENCIES", "CURRENCY_WORDS", "fold_currencies"]

_TABLE = """
aed Emirati dirham|aud Australian dollar|ars Argentine,Argentinian peso|azn Azerbaijani manat ₼|bam Bosnian mark
bdt Bangladeshi taka ৳|bgn Bulgarian lev|bob Bolivian boliviano|brl Brazilian real,reais|bwp Botswanan pula
cad Canadian dollar|chf Swiss franc|clp Chilean peso|cny Chinese yuan,renminbi|cop Colombian peso|crc - colón,colones ₡
czk Czech koruna,crown,korun|dkk Danish krone,kroner,crown|dop Dominican peso|dzd Algerian dinar|egp Egyptian pound
etb Ethiopian birr|eur - euro €|fjd Fijian dollar|gbp British,UK pound £|gel Georgian lari ₾|ghs Ghanaian cedi ₵
gtq Guatemalan quetzal|hkd Hong-Kong dollar|hnl Honduran lempira|huf Hungarian forint|idr Indonesian rupiah
ils Israeli shekel,sheqel ₪|inr Indian rupee ₹|iqd Iraqi dinar|irr Iranian rial|isk Icelandic króna,krona,crown
jmd Jamaican dollar|jod Jordanian dinar|jpy Japanese yen ¥|kes Kenyan shilling|khr Cambodian riel ៛|krw Korean won ₩
kwd Kuwaiti dinar|kzt Kazakhstani,Kazakh tenge ₸|lak Lao,Laotian kip ₭|lbp Lebanese pound|lkr Lankan rupee
mad Moroccan dirham|mdl Moldovan leu,lei|mkd Macedonian denar|mmk Burmese kyat|mnt Mongolian tögrög,tugrik,togrog ₮
mur Mauritian rupee|mvr Maldivian rufiyaa|mwk Malawian kwacha|mxn Mexican peso|myr Malaysian ringgit
mzn Mozambican metical|nad Namibian dollar|ngn Nigerian naira ₦|nio Nicaraguan córdoba|nok Norwegian krone,kroner,crown
npr Nepalese,Nepali rupee|nzd New-Zealand dollar|omr Omani rial,riyal|pab Panamanian balboa|pen Peruvian sol,soles
php Philippine,Filipino peso ₱|pkr Pakistani rupee|pln Polish zloty,złoty,zlotych|pyg Paraguayan guarani,guaraní ₲
qar Qatari riyal|ron Romanian leu,lei|rsd Serbian dinar|rub Russian ruble,rouble ₽|rwf Rwandan franc|sar Saudi riyal
sek Swedish krona,kronor,crown|sgd Singapore,Singaporean dollar|syp Syrian pound|thb Thai baht ฿|tnd Tunisian dinar
tjs Tajik somoni|try Turkish lira ₺|twd Taiwanese,Taiwan dollar|tzs Tanzanian shilling|uah Ukrainian hryvnia ₴
ugx Ugandan shilling|usd American,US dollar $|uyu Uruguayan peso|uzs Uzbek som|ves Venezuelan bolivar,bolívar
vnd Vietnamese dong,đồng ₫|xaf - cfa|xpf - cfp|yer Yemeni rial|zar African rand|zmw Zambian kwacha
btc - bitcoin ₿|eth - ethereum,ether|ltc - litecoin|doge - dogecoin|xmr - monero
dem German,Deutsche mark|frf French franc|bef Belgian franc|itl Italian lira,lire|esp Spanish peseta
ats Austrian schilling|nlg Dutch guilder|pte Portuguese escudo|grd Greek drachma,drachmae|iep Irish pound,punt
"""
_NICKNAMES = {
    "buck": "usd", "greenback": "usd", "quid": "gbp", "sterling": "gbp", "rs": "inr", "rmb": "cny", "kr": "krone",
    "deutschmark": "dem", "usdollar": "usd",
}  # fmt: skip
_ALONE = {
    "dollar": "usd", "peso": "mxn", "franc": "chf", "rupee": "inr", "krone": "krone", "kroner": "krone",
    "krona": "krone", "kronor": "krone", "króna": "krone", "dinar": "dinar", "rial": "rial", "riyal": "riyal",
    "dirham": "dirham", "shilling": "shilling", "lira": "try", "leu": "ron", "lei": "ron", "kwacha": "kwacha",
    "pound": "", "crown": "", "won": "", "real": "", "som": "", "sol": "", "mark": "", "lev": "", "kip": "",
    "pula": "", "denar": "", "punt": "", "manat": "manat",
}  # fmt: skip
"""What a noun means without its adjective, where it is not the table's currency; empty for everyday words."""
_PLAIN_CODES = frozenset(
    """usd eur gbp jpy inr cny chf cad aud nzd hkd sgd sek nok dkk pln huf czk brl mxn zar thb idr myr vnd krw aed ils
    uah ngn btc eth ltc doge""".split()  # noqa: SIM905 - words read better as a text
)
"""Codes that mean a currency in small letters too; others are words and names ("try", "Bob")."""
_FOLDED = "money"


def _read_table() -> tuple[dict[str, str], dict[tuple[str, str], str]]:
    """Codes by name and sign, and by an adjective with its noun."""
    names = dict(_NICKNAMES)
    peoples: dict[tuple[str, str], str] = {}
    for entry in _TABLE.strip().replace("\n", "|").split("|"):
        code, adjectives, nouns, *signs = entry.split(" ")
        names |= dict.fromkeys([f"{code}{_FOLDED}", *signs], code)
        if code in _PLAIN_CODES:
            names[code] = code
        for noun in nouns.split(","):
            alone = _ALONE.get(noun, code)
            if alone:
                names[noun] = names[f"{noun}s"] = alone
            for adjective in adjectives.replace("-", " ").lower().split(","):
                peoples[adjective, noun] = peoples[adjective, f"{noun}s"] = code
    names |= {f"{noun}s": code for noun, code in _NICKNAMES.items()}
    return names, peoples


CURRENCIES, _PEOPLES = _read_table()
"""Code of a currency by its names in lower case, its signs and its folded name."""
_NOUNS = {noun for _, noun in _PEOPLES}


def _one_of(words: set[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=lambda word: (-len(word), word)))


_CODES = {entry.split(" ")[0] for entry in _TABLE.strip().replace("\n", "|").split("|")}
_NOT_MONEY = frozenset({"php", "all", "top", "eth", "doge", "isk"})
_CAPITAL_CODES = re.compile(rf"\b({_one_of({code.upper() for code in _CODES - _PLAIN_CODES - _NOT_MONEY})})\b")
_NAMED = re.compile(
    rf"\b({_one_of({people for people, _ in _PEOPLES if people.strip()})})[ -]({_one_of(_NOUNS)})\b",
    re.IGNORECASE,
)


CURRENCY_WORDS = frozenset({*_NOUNS, *_CODES} - _PLAIN_CODES)
"""Words in lower case without which there is nothing to fold."""


def fold_currencies(text: str) -> str:
    """The text with "Kenyan shillings" and "KES" as "kesmoney"."""
    return _CAPITAL_CODES.sub(lambda match: match[0].lower() + _FOLDED, _NAMED.sub(_fold_named, text))


def _fold_named(match: re.Match[str]) -> str:
    code = _PEOPLES.get((match[1].lower(), match[2].lower()))
    return match[0] if code is None else code + _FOLDED
