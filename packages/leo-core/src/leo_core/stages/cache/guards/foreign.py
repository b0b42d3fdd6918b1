"""Numbers, hours and parts of the day in other languages than English, in figures: "às dezenove horas", "七点"."""

from __future__ import annotations

import re
from itertools import product

__all__ = ["fold_foreign"]

_UNITS = {
    "German": "null ein zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn "
    "siebzehn achtzehn neunzehn",
    "Dutch": "nul een twee drie vier vijf zes zeven acht negen tien elf twaalf dertien veertien vijftien zestien "
    "zeventien achttien negentien",
    "French": "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize dix-sept "
    "dix-huit dix-neuf",
    "Spanish": "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis "
    "diecisiete dieciocho diecinueve",
    "Italian": "zero uno due tre quattro cinque sei sette otto nove dieci undici dodici tredici quattordici quindici "
    "sedici diciassette diciotto diciannove",
    "Portuguese": "zero um dois três quatro cinco seis sete oito nove dez onze doze treze catorze quinze dezesseis "
    "dezessete dezoito dezenove",
    "Polish": "zero jeden dwa trzy cztery pięć sześć siedem osiem dziewięć dziesięć jedenaście dwanaście trzynaście "
    "czternaście piętnaście szesnaście siedemnaście osiemnaście dziewiętnaście",
    "Russian": "ноль один два три четыре пять шесть семь восемь девять десять одиннадцать двенадцать тринадцать "
    "четырнадцать пятнадцать шестнадцать семнадцать восемнадцать девятнадцать",
}
_TENS = {
    "German": "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig",
    "Dutch": "twintig dertig veertig vijftig zestig zeventig tachtig negentig",
    "French": "vingt trente quarante cinquante soixante soixante-dix quatre-vingts quatre-vingt-dix",
    "Spanish": "veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa",
    "Italian": "venti trenta quaranta cinquanta sessanta settanta ottanta novanta",
    "Portuguese": "vinte trinta quarenta cinquenta sessenta setenta oitenta noventa",
    "Polish": "dwadzieścia trzydzieści czterdzieści pięćdziesiąt sześćdziesiąt siedemdziesiąt osiemdziesiąt "
    "dziewięćdziesiąt",
    "Russian": "двадцать тридцать сорок пятьдесят шестьдесят семьдесят восемьдесят девяносто",
}
_MORE = {
    "German": "eins=1 hundert=100 einhundert=100 zweihundert=200 tausend=1000 dreissig=30 dutzend=12",
    "Dutch": "honderd=100 tweehonderd=200 duizend=1000 één=1 dozijn=12",
    "French": "cent=100 mille=1000 deux-cents=200 quatre-vingt=80 soixante-et-onze=71 septante=70 nonante=90 "
    "huitante=80 douzaine=12",
    "Spanish": "cien=100 ciento=100 doscientos=200 mil=1000 dieciseis=16 veintiún=21 docena=12",
    "Italian": "cento=100 duecento=200 mille=1000 tré=3 dozzina=12",
    "Portuguese": "cem=100 cento=100 duzentos=200 mil=1000 duas=2 dezasseis=16 dezassete=17 dezanove=19 quatorze=14 "
    "meia-dúzia=6 dúzia=12",
    "Polish": "sto=100 dwieście=200 tysiąc=1000 dwie=2 dwóch=2 trzech=3 czterech=4 pięciu=5 sześciu=6 siedmiu=7 "
    "ośmiu=8 dziewięciu=9 dziesięciu=10",
    "Russian": "сто=100 двести=200 тысяча=1000 две=2 двух=2 трёх=3 трех=3 четырёх=4 четырех=4 пяти=5 шести=6 семи=7 "
    "восьми=8 девяти=9 десяти=10",
}
_ORDINALS = {
    "German": "erste=1 zweite=2 dritte=3 vierte=4 fünfte=5 sechste=6 siebte=7 siebente=7 achte=8 neunte=9 zehnte=10 "
    "elfte=11 zwölfte=12",
    "Dutch": "eerste=1 tweede=2 derde=3 vierde=4 vijfde=5 zesde=6 zevende=7 achtste=8 negende=9 tiende=10",
    "French": "deuxième=2 troisième=3 quatrième=4 cinquième=5 sixième=6 septième=7 huitième=8 neuvième=9 dixième=10",
    "Spanish": "tercero=3 tercer=3 tercera=3 cuarto=4 cuarta=4 quinto=5 quinta=5 sexto=6 sexta=6 séptimo=7 séptima=7 "
    "octavo=8 octava=8 noveno=9 novena=9 décimo=10 décima=10",
    "Italian": "terzo=3 terza=3 quarto=4 quarta=4 quinto=5 quinta=5 sesto=6 sesta=6 settimo=7 settima=7 ottavo=8 "
    "ottava=8 nono=9 nona=9 decimo=10 decima=10",
    "Portuguese": "terceiro=3 terceira=3 quarto=4 quarta=4 quinto=5 quinta=5 sexto=6 sexta=6 sétimo=7 sétima=7 "
    "oitavo=8 oitava=8 nono=9 nona=9 décimo=10 décima=10",
    "Polish": "drugi=2 druga=2 trzeci=3 trzecia=3 czwarty=4 czwarta=4 piąty=5 piąta=5 szósty=6 szósta=6 siódmy=7 "
    "siódma=7 ósmy=8 ósma=8 dziewiąty=9 dziewiąta=9 dziesiąty=10 dziesiąta=10",
    "Russian": "второй=2 вторая=2 третий=3 третья=3 четвёртый=4 четвертый=4 пятый=5 пятая=5 шестой=6 шестая=6 "
    "седьмой=7 "
    "седьмая=7 восьмой=8 восьмая=8 девятый=9 десятый=10",
}
_ARTICLES = frozenset(
    "ein een un uno um once six die seize sei sette sept do mil mille cent cento due tre nono".split()  # noqa: SIM905 - words read better as a text
)
"""Numbers that are articles too, or words of English: read only in company of the language's own words."""
_OWN = {
    "German": "der die das und ist wie wer was wann ich mit für von zu um uhr den dem im eine einen sind hat auf",
    "Dutch": "de het een is wie wat wanneer ik met voor van te om uur en zijn heeft op hoe",
    "French": "le la les des est qui que quand combien je avec pour de du à au heures et sont dans il",
    "Spanish": "el la los las de del es qué quién cuándo cuántos cuántas a con para en horas y son hay se por",
    "Italian": "il lo la gli le di del della è che chi quando quanti con per alle ore e sono in si",
    "Portuguese": "o os as de da do é que quem quando quantos às com para em horas e são no na um uma",
    "Polish": "w na z do jest kto co kiedy ile jak się godzinie czy i o ma dla",
    "Russian": "в на с до кто что когда сколько как часов ли и о для из у к",
}


def _count(language: str) -> dict[str, int]:
    """Numbers of a language up to 100, and those of ``_MORE``, by word; joined as the language joins them."""
    units = {word: value for value, word in enumerate(_UNITS[language].split())}
    tens = {word: 10 * (at + 2) for at, word in enumerate(_TENS[language].split())}
    found = units | tens
    for (ten, more), (unit, value) in product(tens.items(), units.items()):
        if not 0 < value < 10 and not (language == "French" and more in {60, 80} and 10 < value < 20):  # noqa: PLR2004 - units; soixante-douze
            continue
        root = ten.removesuffix("s") if language == "French" else ten
        joined = {
            "German": (f"{unit}und{ten}",),
            "Dutch": (f"{unit}en{ten}", f"{unit}ën{ten}"),
            "French": (f"{root}-{unit}", f"{root} et {unit}", f"{root}-et-{unit}"),
            "Spanish": (f"{ten} y {unit}", f"veinti{unit}" if more == 20 else ""),  # noqa: PLR2004 - written in one
            "Italian": (f"{ten}{unit}", f"{ten[:-1]}{unit}"),
            "Portuguese": (f"{ten} e {unit}",),
        }.get(language, (f"{ten} {unit}",))
        found |= dict.fromkeys(filter(None, joined), more + value)
    for entry in _MORE[language].split():
        word, number = entry.split("=")
        found[word] = int(number)
    return found


_NUMBERS = {language: _count(language) for language in _UNITS}
_ORDERS = {
    language: {word: int(number) for word, number in (entry.split("=") for entry in entries.split())}
    for language, entries in _ORDINALS.items()
}
_COMPANY = {language: frozenset(words.split()) for language, words in _OWN.items()}
_FIRST = {
    language: frozenset(
        re.split("[ -]", word)[0] for table in (_NUMBERS[language], _ORDERS[language]) for word in table
    )
    for language in _UNITS
}
_ANY = frozenset().union(*_FIRST.values())
_PATTERNS = {
    language: re.compile(
        rf"(?<![\w-])(?:{'|'.join(sorted(map(re.escape, table | _ORDERS[language]), key=len, reverse=True))})(?![\w-])",
        re.IGNORECASE,
    )
    for language, table in _NUMBERS.items()
}
_IDEOGRAPHS = {sign: at for at, sign in enumerate("零一二三四五六七八九十")} | {"两": 2, "兩": 2, "〇": 0}
_CHARACTERS = re.compile(
    r"(?<![一二三四五六七八九十百千万第])([一二三四五六七八九十两兩]{1,3})(?=点|點|时|時|个|個|月|日|年|人|本|回|歳|岁|天|小时|分|块|元|円|名|张|張|杯|件|层|階|页|頁|章|第|次|倍|公里|米|斤|匹|头|只|枚)"
)
_HOURS = {
    "evening": re.compile(
        r"\b(\d{1,2})(?:[:.h](\d\d))?h?(?: ?(?:uhr|heures?|horas?|ore|uur))?"
        r" (?:da noite|da tarde|de la noche|de la tarde"
        r"|du soir|de l['’]après-midi|abends|nachmittags|della sera|di sera|del pomeriggio|['’]?s avonds|['’]?s middags"
        r"|wieczorem|po południu|вечера|дня)(?!\w)",
        re.IGNORECASE,
    ),
    "morning": re.compile(
        r"\b(\d{1,2})(?:[:.h](\d\d))?h?(?: ?(?:uhr|heures?|horas?|ore|uur))? (?:da manhã|de la mañana|du matin|morgens"
        r"|vormittags|del mattino|di mattina|['’]?s ochtends|['’]?s morgens|rano|утра|da madrugada)(?!\w)",
        re.IGNORECASE,
    ),
}
_HOUR = re.compile(
    r"\b(às|as|a las|alle|à|vers|avant|après|dès|um|ab|bis|om|das|de las|dalle|gegen|vor|nach|jusqu['’]à)"
    r" ([01]?\d|2[0-3]) ?(?:h(\d\d)?|horas?|heures?|ore|uur|uhr)(?!\w)",
    re.IGNORECASE,
)
_HALF_HOUR = re.compile(
    r"\b(?:um |gegen |ab |bis |vor |nach |om )?(?:halb|half) (\d{1,2})\b"
    r"(?= (?:uhr|mittags|morgens|abends|nachmittags)|[ ?.,!]|$)",
    re.IGNORECASE,
)
_CLOCK_WORDS = frozenset(
    """h horas hora heures heure ore uur uhr noite tarde noche soir abends nachmittags sera avonds wieczorem вечера дня
    manhã mañana matin morgens vormittags mattina mattino rano утра madrugada halb""".split()  # noqa: SIM905 - words read better as a text
)
_HALF_DAY = 12


def fold_foreign(text: str, bag: frozenset[str]) -> str:
    """The text with the numbers of nine other languages in figures, and their hours as "19:00".

    A number word counts only beside other words of its language.

    Args:
        text: Any text.
        bag: Its tokens in lower case.
    """
    if not text.isascii() and _CHARACTERS.search(text):
        text = _CHARACTERS.sub(lambda match: _read_characters(match[1]), text)
    found = bag & _ANY
    if found:
        language = _find_language(found, bag)
        if language:
            text = _PATTERNS[language].sub(lambda match: _figure(match[0].lower(), language), text)
    if not bag.isdisjoint(_CLOCK_WORDS):
        text = _fold_hours(text, half="halb" in bag)
    return text


def _find_language(found: frozenset[str], bag: frozenset[str]) -> str:
    """The language that has the number words and most other words of the text; empty if none has two."""
    best = max(_FIRST, key=lambda each: len(bag & _COMPANY[each]) if found & _FIRST[each] else 0)
    own = len(bag & _COMPANY[best])
    clear = not found & _FIRST[best] <= _ARTICLES
    return best if found & _FIRST[best] and own >= (1 if clear else 2) else ""


def _figure(word: str, language: str) -> str:
    if word in _ORDERS[language]:
        return f"{_ORDERS[language][word]}th"
    return word if word in _ARTICLES and _NUMBERS[language].get(word) == 1 else str(_NUMBERS[language][word])


def _read_characters(written: str) -> str:
    """Up to 99 in ideographs: "二十三"."""
    ten, one, unit = written.partition("十")
    if not one:
        return "".join(str(_IDEOGRAPHS[sign]) for sign in written)
    return str((_IDEOGRAPHS[ten] if ten else 1) * 10 + (_IDEOGRAPHS[unit] if unit else 0))


def _fold_hours(text: str, *, half: bool) -> str:
    if half:
        text = _HALF_HOUR.sub(lambda m: f"{(int(m[1]) - 1) or _HALF_DAY}:30", text)
    text = _HOURS["evening"].sub(lambda m: f"{_later(int(m[1]))}:{m[2] or '00'} h", text)
    text = _HOURS["morning"].sub(lambda m: f"{int(m[1]) % _HALF_DAY:02d}:{m[2] or '00'}", text)
    return _HOUR.sub(lambda m: f"{m[1]} {m[2]}:{m[3] or '00'}", text)


def _later(hour: int) -> int:
    return hour + _HALF_DAY if hour < _HALF_DAY else hour
