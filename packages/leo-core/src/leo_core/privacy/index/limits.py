"""What an index server takes, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass, fields

from leo_core.errors import ConfigError

__all__ = ["IndexLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexLimits:
    """Limits of an index server; each a whole number of at least 1.

    Attributes:
        max_envelope_bytes: Largest request.
        max_indexes: Indexes of an account.
        max_keys: Evaluation keys of an account that are not retired: two while it rotates.
        max_rows: Rows of an index, removed ones in blocks included.
        max_tail: Rows of an index that lie in no block.
        max_block_rows: Rows of a block.
        max_row_bytes: Longest sealed row.
        max_fetch: Ids of one request for records. LEO's clients ask for up to 256 at once, and take a server that
            refuses them for one that keeps rows back: not less than their ``fetch_rows``.
        max_account_bytes: Rows, blocks and evaluation keys of an account together, over all its tenants.
        max_loaded_bytes: Memory for blocks that are ready for scoring.
    """

    max_envelope_bytes: int = 64 * 1024 * 1024
    max_indexes: int = 1024
    max_keys: int = 4
    max_rows: int = 262_144
    max_tail: int = 4096
    max_block_rows: int = 4096
    max_row_bytes: int = 1024 * 1024
    max_fetch: int = 256
    max_account_bytes: int = 4 * 1024**3
    max_loaded_bytes: int = 2 * 1024**3

    def __post_init__(self) -> None:
        """Refuse limits that nothing could pass.

        Raises:
            ConfigError: Names the limit and its value.
        """
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                message = f"IndexLimits.{each.name} is {value!r}; it is a whole number of at least 1"
                raise ConfigError(message)
