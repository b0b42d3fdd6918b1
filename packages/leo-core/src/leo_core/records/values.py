"""The plain types that records are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vector = npt.NDArray[np.float32]

__all__ = ["Json", "Role"]

Json = Any
"""A JSON value: ``None``, ``bool``, ``int``, ``float``, ``str``, or lists and string-keyed mappings of these."""

Role = Literal["system", "user", "assistant", "tool"]
