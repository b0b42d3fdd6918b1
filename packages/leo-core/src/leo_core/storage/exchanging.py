"""What a store may have besides, so that keys can go: its sealed values, one by one, to be sealed anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leo_core.records import SealedValue

__all__ = ["SealedValues"]


@runtime_checkable
class SealedValues(Protocol):
    """What a store may have besides: values that were sealed before it got them are exchanged where they lie.

    So that keys can be destroyed under which they were sealed first. Safe between threads and processes.
    """

    def sealed_values(self, tenant: str) -> Iterator[SealedValue]:
        """All values of a tenant that are there from the first to the last step; of others any."""
        ...

    def exchange(self, value: SealedValue, fresh: str | bytes) -> bool:
        """Put ``fresh`` in the place of ``value.value``, if that is still what is there; whether it was.

        Nothing else of the row changes: not its number, not its hits, not who finds it.
        """
        ...
