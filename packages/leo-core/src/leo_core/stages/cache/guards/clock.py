"""Times of day and compound units, rewritten in one notation before anything else is read."""

from __future__ import annotations

import re

from leo_core.stages.cache.guards.currencies import CURRENCY_WORDS, fold_currencies

__all__ = ["CLOCK", "find_clock_conflict", "fold_text"]

CLOCK = "⌚"
"""First character of a folded time: "⌚15:00", or "⌚?3:00" when the half of the day is unknown."""

_HOURS = {
    word: at + 1
    for at, word in enumerate(
        ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
    )
}
_MINUTES = {"quarter": 15, "half": 30, "five": 5, "ten": 10, "twenty": 20, "twenty-five": 25, "twenty five": 25}
_HOUR = r"(?:\d{1,2}|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)"
_PART = r"a\.?m\b\.?|p\.?m\b\.?|(?:in the |this |tomorrow )?(?:morning|afternoon|evening)\b|at night\b"
_SPOKEN = re.compile(
    r"(?<!from )(?<!\w)(?:a )?(half|quarter|five|ten|twenty(?:[ -]five)?|\d{1,2} minutes?|\w+ minutes?) "
    rf"(past|to|after|before|till) ({_HOUR})\b(?:\s*({_PART}))?",
    re.IGNORECASE,
)
_PLAIN = re.compile(
    rf"(?<![\w.,:/$€£-])({_HOUR})(?:[:.h](\d\d))?(?![:\d])(?:\s*(?:o['’]?\s?clock|sharp))?\s*({_PART})"
    rf"|(?<![\w.,:/$€£-])({_HOUR})\s*o['’]?\s?clock"
    r"|(?<![\w.,:/$€£-])(\d{1,2}):(\d\d)(?![:\d])(?:\s*(?:h|hrs|hours|uhr|o['’]?clock)\b)?"
    r"|(?<![\w.,:/-])([01]\d|2[0-3])([0-5]\d)\s*(?:h|hrs|hours)\b"
    r"|\b(?:12 )?(noon|midday|midnight)\b",
    re.IGNORECASE,
)
_CLOCK_WORDS = frozenset(
    """am pm o'clock oclock clock noon midday midnight past quarter half hrs hours morning afternoon evening night
    minute minutes five ten twenty h uhr sharp""".split()  # noqa: SIM905 - words read better as a text
)
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
    (re.compile(r"(?<=\d )won(?= (?:in|to|into|is|are|be|costs?|worth|notes?|bills?|coins?)\b)", re.IGNORECASE), "krwmoney"),
    (re.compile(r"\b(?:Deutsche?|German) marks?\b|\bD-?marks?\b", re.IGNORECASE), "demmoney"),
    (re.compile(r"\bper ?cent\b", re.IGNORECASE), "percent"),
    (re.compile(r"\bfivers?\b", re.IGNORECASE), "5 gbp"),
    (re.compile(r"\btenners?\b", re.IGNORECASE), "10 gbp"),
    (re.compile(r"(?<=\d )grand\b|(?<=\d)grand\b"), "thousand"),
)  # fmt: skip
_COMPOUND_WORDS = CURRENCY_WORDS | frozenset(
    """per percent percentage cent hour second square sq cubic cu nautical light $ ₺ sterling basis gas fluid fl
    astronomical fluid parts revolutions litres litre dots fiver fivers tenner tenners grand marks mark dmark dmarks d-mark d-marks permille mille""".split()  # noqa: SIM905 - words read better as a text
)
_FEASTS = {
    "boxing": ("Boxing Day", "26 December"), "eve": ("(?:New Year['’]?s|NY) Eve", "31 December"),
    "year": ("New Year['’]?s Day", "1 January"), "year's": ("New Year['’]?s Day", "1 January"),
    "christmas": ("Christmas Day", "25 December"), "valentine's": ("Valentine['’]?s Day", "14 February"),
    "valentines": ("Valentine['’]?s Day", "14 February"), "patrick's": ("St\\.? Patrick['’]?s Day", "17 March"),
    "bastille": ("Bastille Day", "14 July"), "fools": ("April Fool(?:s|['’]s|s['’]) Day", "1 April"),
    "fool's": ("April Fool(?:s|['’]s|s['’]) Day", "1 April"),
}  # fmt: skip
_FEAST_DATES = {word: (re.compile(rf"\b{name}\b", re.IGNORECASE), date) for word, (name, date) in _FEASTS.items()}
_CHRISTMAS_EVE = re.compile(r"\bChristmas Eve\b", re.IGNORECASE)
_HALF = re.compile(rf"\b(at|by|until|till|since|around|before) half ({_HOUR})\b", re.IGNORECASE)
_INCHES = re.compile(r"(?<=\d)[\"”″](?=[\s,.?!)]|$)")
_FREQUENCIES = (
    (re.compile(r"\ball the time\b|\bat all times\b", re.IGNORECASE), "alltime"),
    (
        re.compile(
            r"\b(?:every )?(?:once|now) (?:in a while|and then|and again)\b|\bfrom time to time\b", re.IGNORECASE
        ),
        "onceinawhile",
    ),
    (re.compile(r"\bhardly ever\b|\balmost never\b", re.IGNORECASE), "hardlyever"),
)
_FREQUENCY_WORDS = frozenset({"time", "times", "once", "now", "ever", "never"})
_FIGURE = rf"(?:[$€£¥]?\d|{'|'.join(_HOURS)}|twenty|thirty|forty|fifty|sixty|a hundred|a thousand)\b"
_BOUNDS = (
    (
        re.compile(r"\b(?:no|not) (?:more|greater|later|higher) than\b|\bat most\b|\ba maximum of\b", re.IGNORECASE),
        "atmost",
    ),
    (
        re.compile(r"\b(?:no|not) (?:less|fewer|earlier|lower) than\b|\bat least\b|\ba minimum of\b", re.IGNORECASE),
        "atleast",
    ),
    (re.compile(rf"\bup to(?= {_FIGURE})", re.IGNORECASE), "atmost"),
    (re.compile(rf"\b(?:more than|over|above|exceeding|greater than)(?= {_FIGURE})", re.IGNORECASE), "morethan"),
    (re.compile(rf"\b(?:less than|fewer than|under|below)(?= {_FIGURE})", re.IGNORECASE), "lessthan"),
    (re.compile(r"\b(?:the )?(?:vast )?(?:majority|bulk) of(?: the)?\b|\bmost of(?: the)?\b", re.IGNORECASE), "mostof"),
    (re.compile(r"\bdays? of the week\b", re.IGNORECASE), "weekday"),
    (re.compile(r"\b(?:a )?fortnight\b", re.IGNORECASE), "2 weeks"),
)
_BOUND_WORDS = frozenset(
    {
        "than",
        "least",
        "up",
        "minimum",
        "maximum",
        "over",
        "above",
        "under",
        "below",
        "exceeding",
        "majority",
        "bulk",
        "most",
        "week",
        "fortnight",
    }
)
_YEAR = re.compile(r"(?<!\w)['’](\d\d)\b(?!['’])")
_DECADE = re.compile(
    r"\b(eighteen|nineteen)[ -](twenties|thirties|forties|fifties|sixties|seventies|eighties|nineties)\b", re.IGNORECASE
)
_FIGURED_DATE = re.compile(r"(?<![\d./])(\d{1,2})([./])(\d{1,2})\2((?:1[6-9]|20)\d\d)(?![\d./]\d)")
_HYPHENED = re.compile(r"\b(half|quarter|five|ten|twenty)-(past|to)-(?=[a-z\d])", re.IGNORECASE)
_DOTTED_TIME = re.compile(
    r"\b(at|by|until|till|before|after|around) (1[3-9]|2[0-3])\.([0-5]\d)(?!\d|[.,]\d|\s?[%$€£a-z°])"
)
_DECADES = {
    "twenties": 2, "thirties": 3, "forties": 4, "fifties": 5, "sixties": 6, "seventies": 7, "eighties": 8, "nineties": 9,
}  # fmt: skip
_THIS_CENTURY = 30
_DOZEN = 12
_ISO_DATE = re.compile(r"\b((?:19|20)\d\d)-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])\b")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_HALF_DAY = 12
_EVENING = 6
_HOURS_A_DAY = 24


def fold_text(text: str, bag: frozenset[str]) -> str:
    """The text with times of day as "⌚15:00", ISO dates in words and compound units as one word.

    Args:
        text: Any text.
        bag: Its tokens in lower case.
    """
    if "/" in text or "m³" in text or not bag.isdisjoint(_COMPOUND_WORDS):
        for pattern, name in _COMPOUND:
            text = pattern.sub(name, text)
        text = fold_currencies(text)
    for word in bag & _FEAST_DATES.keys():
        pattern, date = _FEAST_DATES[word]
        text = pattern.sub(date, text)
    if "eve" in bag:
        text = _CHRISTMAS_EVE.sub("24 December", text)
    if not bag.isdisjoint(_FREQUENCY_WORDS):
        for pattern, name in _FREQUENCIES:
            text = pattern.sub(name, text)
    if not bag.isdisjoint(_BOUND_WORDS):
        for pattern, name in _BOUNDS:
            text = pattern.sub(name, text)
    if "half" in bag:
        text = _HALF.sub(r"\1 half past \2", text)
    if '"' in text or "”" in text or "″" in text:
        text = (
            _INCHES.sub(" inch", text)
            if len(_INCHES.findall(text)) == text.count('"') + text.count("”") + text.count("″")
            else text
        )
    if "-" in text:
        text = _ISO_DATE.sub(lambda m: f"{int(m[3])} {_MONTHS[int(m[2]) - 1]} {m[1]}", text)
        text = _HYPHENED.sub(r"\1 \2 ", text)
    if "'" in text or "’" in text:
        text = _YEAR.sub(lambda m: f"{20 if int(m[1]) < _THIS_CENTURY else 19}{m[1]}", text)
    if "." in text or "/" in text:
        text = _FIGURED_DATE.sub(_fold_date, text)
        text = _DOTTED_TIME.sub(r"\1 \2:\3", text)
    if "teen" in text:
        text = _DECADE.sub(lambda m: f"{18 if m[1].lower() == 'eighteen' else 19}{_DECADES[m[2].lower()]}0s", text)
    if ":" not in text and bag.isdisjoint(_CLOCK_WORDS) and ".m" not in text and ".M" not in text:
        return text
    return _PLAIN.sub(_fold_plain, _SPOKEN.sub(_fold_spoken, text))


def find_clock_conflict(a: frozenset[str], b: frozenset[str], figures_a: set[str], figures_b: set[str]) -> str | None:
    """Reason in words when the times of day differ; a time without its half of the day agrees with both."""
    if a == b:
        return None
    for these, those, figures in ((a, b, figures_b), (b, a, figures_a)):
        for time in these:
            if not any(_agree(time, other) for other in those) and _bare_hour(time) not in figures:
                shown = (" and ".join(sorted(each)) if each else "none" for each in (a, b))
                return f"times differ: {', '.join(shown)}".replace(CLOCK, "").replace("?", "")
    return None


def _fold_date(match: re.Match[str]) -> str:
    """A date in figures, where it is clear which of them is the month: dots put the day first."""
    first, sign, second, year = int(match[1]), match[2], int(match[3]), match[4]
    if sign == "/" and first <= _DOZEN and second <= _DOZEN and first != second:
        return match[0]
    day, month = (second, first) if sign == "/" and second > _DOZEN else (first, second)
    if not (1 <= month <= _DOZEN and 1 <= day <= 31):  # noqa: PLR2004 - the longest month
        return match[0]
    return f"{day} {_MONTHS[month - 1]} {year}"


def _agree(a: str, b: str) -> bool:
    if a == b:
        return True
    return (a[1] == "?" or b[1] == "?") and _half_day(a) == _half_day(b)


def _half_day(time: str) -> tuple[int, str]:
    hour, minute = time.lstrip(CLOCK + "?").split(":")
    return int(hour) % _HALF_DAY, minute


def _bare_hour(time: str) -> str:
    hour, minute = time.lstrip(CLOCK + "?").split(":")
    return hour if minute == "00" else ""


def _fold_spoken(match: re.Match[str]) -> str:
    said, side, hour_word, part = match.groups()
    said = said.lower()
    word = said.split()[0] if said.endswith(("minute", "minutes")) else said
    minutes = _MINUTES.get(word) or (int(word) if word.isdigit() else 0)
    hour = _hour(hour_word)
    if not minutes or hour >= _HOURS_A_DAY:
        return match[0]
    if side.lower() in {"to", "before", "till"}:
        hour, minutes = (hour - 1) % _HOURS_A_DAY, 60 - minutes
    return _written(hour, minutes, part or "", known=hour > _HALF_DAY)


def _fold_plain(match: re.Match[str]) -> str:  # noqa: PLR0911 - one notation a line
    hour, minute, part, full, digital, digital_minute, military, military_minute, name = match.groups()
    if name:
        return f"{CLOCK}0:00" if name.lower() == "midnight" else f"{CLOCK}12:00"
    if part:
        if part.lower().startswith("tomorrow"):
            return match[0]
        if hour.isdigit() and int(hour) >= _HOURS_A_DAY:
            return match[0]
        return _written(_hour(hour), int(minute or 0), part, known=False)
    if full:
        return _written(_hour(full), 0, "", known=_hour(full) > _HALF_DAY)
    hour = digital or military
    if int(hour) > _HOURS_A_DAY:
        return match[0]
    value = int(hour) % _HOURS_A_DAY
    known = value > _HALF_DAY or value == 0 or hour[0] == "0" or military is not None
    return _written(value, int(digital_minute or military_minute), "", known=known)


def _hour(word: str) -> int:
    return int(word) if word.isdigit() else _HOURS[word.lower()]


def _written(hour: int, minute: int, part: str, *, known: bool) -> str:
    sign = part.lower()
    evening = sign.startswith("p") or "afternoon" in sign or "evening" in sign
    if "night" in sign:
        evening = _EVENING <= hour < _HALF_DAY
    if evening and hour < _HALF_DAY:
        hour += _HALF_DAY
    elif sign and not evening and hour == _HALF_DAY:
        hour = 0
    if sign or known:
        return f"{CLOCK}{hour % _HOURS_A_DAY}:{minute:02d}"
    return f"{CLOCK}?{hour % _HALF_DAY}:{minute:02d}"
