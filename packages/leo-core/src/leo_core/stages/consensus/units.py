"""Units that answers carry, with their dimension and size."""

from __future__ import annotations

from fractions import Fraction

__all__ = ["UNITS", "find_unit"]

_TABLE: tuple[tuple[str, str, str], ...] = (
    # dimension, size in the dimension's first unit, names
    ("percent", "1", "% percent percents percentage pct"),
    ("usd", "1", "$ usd us$ dollar dollars bucks"),
    ("usd", "1/100", "¢ cent cents"),
    ("eur", "1", "€ eur euro euros"),
    ("gbp", "1", "£ gbp"),
    ("jpy", "1", "¥ jpy yen"),
    ("inr", "1", "₹ inr rs rs. rupee rupees"),
    ("length", "1", "m metre metres meter meters"),
    ("length", "1000", "km kilometre kilometres kilometer kilometers kms"),
    ("length", "1/100", "cm centimetre centimetres centimeter centimeters"),
    ("length", "1/1000", "mm millimetre millimetres millimeter millimeters"),
    ("length", "127/5000", 'in inch inches "'),
    ("length", "381/1250", "ft foot feet '"),
    ("length", "1143/1250", "yd yard yards"),
    ("length", "201168/125", "mi mile miles"),
    ("area", "1", "m2 m² m^2"),
    ("area", "1000000", "km2 km² km^2"),
    ("area", "1/10000", "cm2 cm² cm^2"),
    ("mass", "1", "g gram grams gramme grammes"),
    ("mass", "1000", "kg kilo kilos kilogram kilograms kgs"),
    ("mass", "1/1000", "mg milligram milligrams"),
    ("mass", "1000000", "tonne tonnes"),
    ("mass", "45359237/100000", "lb lbs"),
    ("mass", "45359237/1600000", "oz ounce ounces"),
    ("time", "1", "s sec secs second seconds"),
    ("time", "1/1000", "ms millisecond milliseconds"),
    ("time", "60", "min mins minute minutes"),
    ("time", "3600", "h hr hrs hour hours"),
    ("time", "86400", "day days"),
    ("time", "604800", "week weeks"),
    ("months", "1", "month months"),
    ("months", "12", "year years yr yrs"),
    ("volume", "1", "l litre litres liter liters"),
    ("volume", "1/1000", "ml millilitre millilitres milliliter milliliters"),
    ("speed", "1", "km/h kph kmh"),
    ("speed", "201168/125000", "mph"),
    ("angle", "1", "° deg degree degrees"),
    ("celsius", "1", "°c celsius"),
    ("fahrenheit", "1", "°f fahrenheit"),
    ("bytes", "1", "b byte bytes"),
    ("bytes", "1000", "kb kilobyte kilobytes"),
    ("bytes", "1000000", "mb megabyte megabytes"),
    ("bytes", "1000000000", "gb gigabyte gigabytes"),
)

UNITS: dict[str, tuple[str, Fraction]] = {
    name: (dimension, Fraction(size)) for dimension, size, names in _TABLE for name in names.split()
}
"""Name of a unit in lower case -> its dimension and its size."""


def find_unit(name: str) -> tuple[str, Fraction] | None:
    """Dimension and size of a unit; ``None`` for words that are no unit in the table, such as "apples"."""
    return UNITS.get(name.lower())
