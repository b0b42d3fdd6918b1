"""Times of day, rewritten in one notation before anything else is read."""

from __future__ import annotations

import re

__all__ = ["CLOCK", "find_clock_conflict", "fold_times"]

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
_HALF = re.compile(rf"\b(at|by|until|till|since|around|before) half ({_HOUR})\b", re.IGNORECASE)
_HYPHENED = re.compile(r"\b(half|quarter|five|ten|twenty)-(past|to)-(?=[a-z\d])", re.IGNORECASE)
_DOTTED_TIME = re.compile(
    r"\b(at|by|until|till|before|after|around|from|since) (1[3-9]|2[0-3])\.([0-5]\d)"
    r"(?!\d|[.,]\d|\s?(?:[%$€£°]|[a-z]{1,2}\b|euros?\b|dollars?\b|pounds?\b|per\b|degrees\b))"
)
_DIGIT = re.compile(r"\d")
_SHARED_HALF = re.compile(
    r"\b(\d{1,2}(?::\d\d)?) ?(to|until|till|and|-|–) ?(\d{1,2}(?::\d\d)?) ?([ap])\.?m\b\.?", re.IGNORECASE
)
_RANGE = re.compile(r"\b(\d{1,2}:\d\d) ?[-–] ?(?=\d{1,2}:\d\d\b)")
_DAILY = re.compile(
    r"\b(\d{1,2}(?:[:.]\d\d)?)(?: o['’]?clock)? (?:every|each) (morning|afternoon|evening|night)\b", re.IGNORECASE
)
_TONIGHT = re.compile(r"\b(\d{1,2}(?:[:.]\d\d)?) tonight\b", re.IGNORECASE)
_CLOCK_WORDS = frozenset(
    """am pm o'clock oclock clock noon midday midnight past quarter half hrs hours morning afternoon evening night
    minute minutes five ten twenty h uhr sharp""".split()  # noqa: SIM905 - words read better as a text
)
_SIGN = re.compile(r"[\d.:-]")
_HALF_DAY = 12
_EVENING = 6
_HOURS_A_DAY = 24


def fold_times(text: str, bag: frozenset[str]) -> str:
    """The text with times of day as "⌚15:00".

    Args:
        text: Any text.
        bag: Its tokens in lower case.
    """
    if bag.isdisjoint(_CLOCK_WORDS) and not _SIGN.search(text):
        return text
    if "half" in bag:
        text = _HALF.sub(r"\1 half past \2", text)
    if "-" in text:
        text = _HYPHENED.sub(r"\1 \2 ", text)
    if _DIGIT.search(text):
        text = _fold_ranges(text, bag)
    if "." in text:
        text = _DOTTED_TIME.sub(r"\1 \2:\3", text)
    if ":" not in text and bag.isdisjoint(_CLOCK_WORDS) and ".m" not in text and ".M" not in text:
        return text
    return _PLAIN.sub(_fold_plain, _SPOKEN.sub(_fold_spoken, text))


def _fold_ranges(text: str, bag: frozenset[str]) -> str:
    """Write "4 to 6 pm" as "4 pm to 6 pm", "16:00-18:00" apart, "3 every morning" as "3 am every day"."""
    if not bag.isdisjoint({"am", "pm"}) or ".m" in text:
        text = _SHARED_HALF.sub(_share_half, text)
    if ":" in text:
        text = _RANGE.sub(r"\1 to ", text)
    if not bag.isdisjoint({"every", "each"}):
        text = _DAILY.sub(lambda m: f"{m[1]} {'am' if m[2].lower() == 'morning' else 'pm'} every day", text)
    if "tonight" in bag:
        text = _TONIGHT.sub(r"\1 pm today", text)
    return text


def _share_half(match: re.Match[str]) -> str:
    """The half of the day of the end, for the start too, unless the start would be later then: "11 to 2 pm"."""
    start, joint, end, half = match.groups()
    first, last = (int(each.split(":")[0]) % _HALF_DAY for each in (start, end))
    other = half if first <= last else ("a" if half.lower() == "p" else "p")
    return f"{start} {other}m {'to' if joint in '-–' else joint} {end} {half}m"


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
