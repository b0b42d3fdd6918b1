"""The plain types that records are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    import numpy.typing as npt

    Vector = npt.NDArray[np.float32]

__all__ = ["Deferred", "Json", "Role"]

T = TypeVar("T")

Json = Any
"""A JSON value: ``None``, ``bool``, ``int``, ``float``, ``str``, or lists and string-keyed mappings of these."""

Role = Literal["system", "user", "assistant", "tool"]


class Deferred(Mapping[str, T]):
    """A mapping of which most is worked out when it is first read. Copies and pickles of it are plain.

    Args:
        known: What is read without that.
        work_out: Makes the whole, with what is known; the same whenever it is called.
    """

    __slots__ = ("_known", "_whole", "_work_out")

    def __init__(self, known: Mapping[str, T], work_out: Callable[[], dict[str, T]]) -> None:
        self._known = known
        self._work_out: Callable[[], dict[str, T]] | None = work_out
        self._whole: dict[str, T] = {}

    def __getitem__(self, name: str) -> T:
        return self._known[name] if name in self._known else self._read()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def __repr__(self) -> str:
        return repr(self._read())

    def __reduce__(self) -> tuple[type[dict[str, T]], tuple[dict[str, T]]]:
        return dict, (self._read(),)

    def _read(self) -> dict[str, T]:
        work_out = self._work_out
        if work_out is not None:
            self._whole, self._work_out = work_out(), None
        return self._whole
