"""Complex slots to integer coefficients and back, as CKKS's canonical embedding wants it.

Slot j is the value of the polynomial at ζ^(3ʲ), ζ = exp(πi / N); values at conjugate roots are conjugate, so that the
coefficients are real: mₙ = ζ⁻ⁿ / N · Σₖ V[2k + 1] · exp(-2πi·n·k / N), one Fourier transform of length N.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Slots = npt.NDArray[np.complex128]

__all__ = ["encode_slots"]


def encode_slots(slots: Slots, scale_bits: int, primes: Sequence[int]) -> npt.NDArray[np.uint32]:
    """Coefficients of polynomials whose slots are ``slots`` (m, N / 2) times 2^scale_bits: residues (m, k, N).

    Rounded half away from zero, as SEAL does; slots must be small enough for coefficients to stay below half a prime.
    """
    places, twist = _plan(2 * slots.shape[1])
    values = np.empty((len(slots), len(twist)), dtype=np.complex128)
    values[:, places[0]] = slots
    values[:, places[1]] = slots.conj()
    real = (np.fft.fft(values, axis=1) * twist).real * 2.0**scale_bits
    whole = np.copysign(np.floor(np.abs(real) + 0.5), real).astype(np.int64)
    return np.stack([whole % prime for prime in primes], axis=1).astype(np.uint32)


@cache
def _plan(degree: int) -> tuple[npt.NDArray[np.int64], Slots]:
    """Where values at the roots ζ^(3ʲ) and their conjugates go among the odd powers; and ζ⁻ⁿ / N."""
    powers = np.empty(degree // 2, dtype=np.int64)
    power = 1
    for slot in range(degree // 2):
        powers[slot] = power
        power = power * 3 % (2 * degree)
    places = np.stack([(powers - 1) // 2, (2 * degree - powers - 1) // 2])
    return places, np.exp(-1j * np.pi * np.arange(degree) / degree) / degree
