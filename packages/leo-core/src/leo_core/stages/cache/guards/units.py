"""Units of measure and currencies: every spelling leads to one unit, with its dimension and its size."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from leo_core.stages.cache.guards.currencies import CURRENCIES

__all__ = ["DIMENSIONS", "SYMBOLS", "UNITS", "Unit", "name_unit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A unit of measure.

    Attributes:
        name: Canonical name, as shown in a reason.
        dimension: What it measures; units of two dimensions never conflict.
        size: In the base unit of the dimension; 0 when units of the dimension have no fixed ratio.
    """

    name: str
    dimension: str
    size: float = 0.0


_PREFIXES = {
    "kilo": ("k", 1e3), "mega": ("M", 1e6), "giga": ("G", 1e9), "tera": ("T", 1e12), "peta": ("P", 1e15),
    "milli": ("m", 1e-3), "micro": ("µ", 1e-6), "nano": ("n", 1e-9), "pico": ("p", 1e-12), "centi": ("c", 1e-2),
    "deci": ("d", 1e-1),
}  # fmt: skip
_BASES = """
length metre m 1 metre,meter
mass gram g 1 gram,gramme
volume litre l 1 litre,liter
time second s 1 second
power watt W 1 watt
voltage volt V 1 volt
current amp A 1 amp,ampere
frequency hertz Hz 1 hertz
pressure pascal Pa 1 pascal
energy joule J 1 joule
energy watt-hour Wh 3600 watthour
energy calorie cal 4.184 calorie
energy electronvolt eV 1.602e-19 electronvolt
dose sievert Sv 1 sievert
dose grays Gy 1 grays
activity becquerel Bq 1 becquerel
activity curie Ci 3.7e10 curie
amount mole mol 1 moles
data bit bit 1 bit
data byte B 8 byte
rate bit/s bps 1 bps
"""
_MORE: dict[str, str] = {
    "length": "mile*1609.344=mile,miles,mi inch*0.0254=inch,inches foot*0.3048=foot,feet,ft "
    "yard*0.9144=yard,yards,yd "
    "parsec=parsec,parsecs lightyear=lightyear,lightyears nautical-mile*1852=nmi "
    "furlong*201.168=furlong,furlongs fathom*1.8288=fathom,fathoms angstrom=angstrom,angstroms,å "
    "light-minute=lightminute light-second=lightsecond light-hour=lighthour micron*0.000001=micron,microns "
    "au=astrounit",
    "mass": "kg*1000=kg,kgs,kilo,kilos lb*453.592=lb,lbs,pound,pounds ounce*28.3495=oz,ounce,ounces ton=ton,tons "
    "tonne*1000000=tonne,tonnes stone*6350.29=stones,stone carat=carat,carats "
    "hundredweight=hundredweight,cwt quintal=quintal,quintals grain=grains dram=dram,drams",
    "volume": "cubic-metre=cumeter cubic-foot=cufoot,cufeet cubic-yard=cuyard cubic-inch=cuinch "
    "gallon=gallon,gallons cup=cup,cups pint=pint,pints quart=quart,quarts barrel=barrel,barrels "
    "tablespoon=tablespoon,tablespoons,tbsp teaspoon=teaspoon,teaspoons,tsp ml=cc bushel=bushel,bushels "
    "fluid-ounce*0.0295735=floz peck=pecks",
    "area": "acre=acre,acres hectare=hectare,hectares,ha sqm=sqm,m²,qm sqkm=sqkm,km² sqft=sqft,ft²,sqfoot "
    "sqyard=sqyard sqinch=sqinch sqmile=sqmile sqcm=sqcentimeter,sqcentimetre,cm²",
    "time": "second=seconds,secs,sec minute*60=minute,minutes,min,mins hour*3600=hour,hours,hr,hrs,hourly "
    "day*86400=day,days,daily week*604800=week,weeks,weekly fortnight*1209600=fortnight,fortnights "
    "month*2629746=month,months,monthly quarter*7889238=quarterly "
    "year*31556952=year,years,yearly,annual,annually,yr,yrs "
    "sol=sols decade*315569520=decade,decades century*3155695200=century,centuries",
    "temperature": "celsius=celsius,centigrade fahrenheit=fahrenheit kelvin=kelvin",
    "data": "kB*8000=kb MB*8000000=mb GB*8000000000=gb TB*8000000000000=tb",
    "rate": "Mbps*1000000=mbps,mbit/s kbps*1000=kbps,kbit/s Gbps*1000000000=gbps,gbit/s",
    "currency": "cent=cent,cents,¢ penny=pence,penny,pennies",
    "share": "percent=%,percent,percentage,pct,prozent,procent,pourcent,pourcents,percento,procenta,"
    "procentów,процент,процента,процентов permille=‰,permille percentage-point=percentagepoint "
    "basis-point=basispoint",
    "speed": "mph=mph kmh=kmh,kph,kmph knot=knots,knot mps=mps",
    "angle": "degree=degree,degrees,° radian=radian,radians",
    "pressure": "bar*100000=bar,bars psi*6894.757=psi mmHg*133.322=mmhg atm*101325=atm,atmospheres torr*133.322=torr",
    "energy": "btu*1055.06=btu,btus therm=therm,therms",
    "power": "hp*745.7=hp,horsepower",
    "dose": "rem*0.01=rem rad=rads",
    "sound": "decibel=decibel,decibels,db,dba",
    "turning": "rpm=rpm",
    "resistance": "ohm=ohm,ohms,ω",
    "fuel": "mpg=mpg litres-per-100-km=lphkm",
    "concentration": "ppm=ppm ppb=ppb",
    "resolution": "dpi=dpi ppi=ppi",
    "light": "lumen=lumen,lumens lux=lux candela=candela,candelas",
    "force": "newton=newtons pound-force=lbf",
    "heat": "gas-mark=gasmark",
}  # fmt: skip


def _read_units() -> tuple[dict[str, Unit], dict[str, Unit]]:
    """Units by word (lower case), and by the symbol after a number (case counts)."""
    words: dict[str, Unit] = {}
    symbols: dict[str, Unit] = {}
    for line in _BASES.strip().splitlines():
        dimension, name, symbol, size, spellings = line.split()
        base = Unit(name=name, dimension=dimension, size=float(size))
        symbols[symbol] = base
        for spelling in spellings.split(","):
            words[spelling] = words[f"{spelling}s"] = base
        for prefix, (sign, factor) in _PREFIXES.items():
            if factor < 1 and dimension in {"data", "rate"}:
                continue
            unit = Unit(name=sign + symbol, dimension=dimension, size=factor * base.size)
            symbols[sign + symbol] = unit
            for spelling in spellings.split(","):
                words[prefix + spelling] = words[f"{prefix}{spelling}s"] = unit
    del words["second"]
    _add_more(words)
    _add_short(words, symbols)
    return words, symbols


def _add_more(words: dict[str, Unit]) -> None:
    for dimension, groups in _MORE.items():
        for group in groups.split():
            name, spellings = group.split("=")
            name, _, ratio = name.partition("*")
            unit = Unit(name=name, dimension=dimension, size=float(ratio or 0))
            for spelling in spellings.split(","):
                words[spelling] = unit
    currencies = {code: Unit(name=code, dimension="currency") for code in set(CURRENCIES.values())}
    words |= {name: currencies[code] for name, code in CURRENCIES.items()}


def _add_short(words: dict[str, Unit], symbols: dict[str, Unit]) -> None:
    words["mcg"] = symbols["µg"]
    words["seconds"] = words["secs"] = words["sec"] = symbols["s"]
    for word in ("km", "cm", "mm", "mg", "ml", "kW", "kWh", "ms", "MHz", "GHz", "kHz", "kJ"):
        words[word.lower()] = symbols[word]
    for word in ("kms", "hz", "kcal"):
        words[word] = symbols[{"kms": "km", "hz": "Hz", "kcal": "kcal"}[word]]
    lone = {
        "h": "hour",
        "d": "day",
        "c": "celsius",
        "f": "fahrenheit",
        "yo": "year",
        "L": "litre",
        "g": "gram",
        "gal": "gallon",
        "qt": "quart",
        "pt": "pint",
    }
    symbols |= {sign: words[word] for sign, word in lone.items()}
    symbols |= {"C": words["celsius"], "F": words["fahrenheit"], "w": words["watt"], "v": words["volt"]}
    symbols |= {"Mbit": Unit(name="Mbit", dimension="data", size=1e6), "p": words["pence"]}


UNITS, SYMBOLS = _read_units()
DIMENSIONS = {unit.name: unit.dimension for unit in (*UNITS.values(), *SYMBOLS.values())}
_NAMES: dict[str, str] = {}
for _spelling, _unit in (*SYMBOLS.items(), *UNITS.items()):
    _NAMES.setdefault(_spelling.lower(), _unit.name)
for _unit in (*SYMBOLS.values(), *UNITS.values()):
    _NAMES.setdefault(_unit.name.lower(), _unit.name)


def name_unit(word: str) -> str:
    """The unit that a word, a symbol without its case, a stem or a word with accents names; empty if none."""
    plain = word if word.isascii() else _unaccented(word)
    return _NAMES.get(plain, "") or _NAMES.get(f"{plain}e", "") or _NAMES.get(f"{plain}s", "")


def _unaccented(word: str) -> str:
    return "".join(each for each in unicodedata.normalize("NFKD", word) if not unicodedata.combining(each))
