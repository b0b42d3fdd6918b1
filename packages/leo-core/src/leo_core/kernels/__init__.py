"""Arithmetic: arrays in, arrays out. Knows numpy and numba and nothing else of LEO."""
