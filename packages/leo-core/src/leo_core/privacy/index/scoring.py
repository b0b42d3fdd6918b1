"""Blocks that are ready for scoring, and the seam to what scores them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from leo_core.errors import (
    CiphertextError,
    ConfigError,
    EnvelopeError,
    KeyMismatchError,
    LEOError,
    ParametersError,
    ParametersMismatchError,
    UnknownEvaluationKeyError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

__all__ = ["LoadedBlock", "LoadedBlocks", "OpenedKeys", "Scorer", "blame_client", "read_plain_rows"]

T = TypeVar("T")

_MOST_OPENED = 64


class LoadedBlock(Protocol):
    """A block that is ready for scoring."""

    @property
    def count(self) -> int:
        """Its rows."""
        ...

    @property
    def size_bytes(self) -> int:
        """Memory that it takes, about."""
        ...


class Scorer(Protocol):
    """What scores blocks that it cannot read, such as :class:`leo_core.privacy.ckks.block_scoring.BlockScorer`.

    Errors other than LEO's own, that it raises on bytes of a client, are taken for a fault of those bytes.
    """

    def load_plain(self, rows: npt.NDArray[np.float32]) -> LoadedBlock:
        """A :class:`LoadedBlock` from rows, float32 ``(n, d)``."""
        ...

    def load_encrypted(self, data: bytes) -> LoadedBlock:
        """A :class:`LoadedBlock` from encrypted rows."""
        ...

    def score(self, query: bytes, blocks: Sequence[Any]) -> bytes:
        """The encrypted scores of all rows of all blocks, in order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedKeys:
    """Evaluation keys and what scores with them.

    Attributes:
        id: Hash of the keys.
        params_id: Encryption parameters.
        dim: Length of the vectors that they are made for.
        secret_id: Name of the secret that they belong to.
        block_size: Most rows of a block.
        scorer: Scores.
    """

    id: str
    params_id: str
    dim: int
    secret_id: str
    block_size: int
    scorer: Scorer = field(repr=False)


def read_plain_rows(data: bytes, count: int, dim: int) -> npt.NDArray[np.float32]:
    """The rows of a plain block, float32 ``(count, dim)``.

    Raises:
        EnvelopeError: The bytes are too many, too few, or no finite numbers.
    """
    if len(data) != 4 * count * dim:
        message = f"a block of {count} rows and {dim} dimensions has {4 * count * dim} bytes, got {len(data)}"
        raise EnvelopeError(message, check="payload")
    rows = np.frombuffer(data, dtype="<f4").reshape(count, dim).astype(np.float32)
    if not np.isfinite(rows).all():
        message = "a block holds numbers that are not finite"
        raise EnvelopeError(message, check="payload")
    return rows


class LoadedBlocks:
    """Opened keys and loaded blocks, those used last; threads may share it.

    Args:
        open_scorer: Opens evaluation keys.
        most_bytes: Memory for blocks.
    """

    def __init__(self, open_scorer: Callable[[bytes], OpenedKeys], most_bytes: int) -> None:
        self._open_scorer, self._most_bytes = open_scorer, most_bytes
        self._lock = threading.Lock()
        self._keys: OrderedDict[tuple[str, str], OpenedKeys] = OrderedDict()
        self._blocks: OrderedDict[tuple[int, bytes, str], LoadedBlock] = OrderedDict()
        self._bytes = 0

    def open_keys(self, account: str, key_id: str, read: Callable[[], bytes]) -> OpenedKeys:
        """The account's keys, opened."""
        with self._lock:
            known = self._keys.get((account, key_id))
            if known is not None:
                self._keys.move_to_end((account, key_id))
                return known
        opened = self.open_unregistered(read())
        with self._lock:
            self._keys[account, key_id] = opened
            while len(self._keys) > _MOST_OPENED:
                self._keys.popitem(last=False)
        return opened

    def open_unregistered(self, data: bytes) -> OpenedKeys:
        """Evaluation keys from bytes of a client.

        Raises:
            EnvelopeError: They are none.
        """
        return blame_client(lambda: self._open_scorer(data), "evaluation keys")

    def find(self, owner: int, block: bytes, key_id: str) -> LoadedBlock | None:
        """A block that was loaded with these keys; ``None`` where it is to be loaded."""
        with self._lock:
            known = self._blocks.get((owner, block, key_id))
            if known is None:
                return None
            self._blocks.move_to_end((owner, block, key_id))
            return known

    def keep(self, owner: int, block: bytes, key_id: str, loaded: LoadedBlock) -> None:
        """Keep a block, in the place of those that were not used for longest."""
        with self._lock:
            if (owner, block, key_id) not in self._blocks:
                self._blocks[owner, block, key_id] = loaded
                self._bytes += loaded.size_bytes
            while self._bytes > self._most_bytes and len(self._blocks) > 1:
                self._bytes -= self._blocks.popitem(last=False)[1].size_bytes

    def forget(self, owner: int, blocks: Sequence[bytes] | None = None) -> None:
        """Let go of blocks of an index: these, or all."""
        with self._lock:
            for key in [key for key in self._blocks if key[0] == owner and (blocks is None or key[1] in blocks)]:
                self._bytes -= self._blocks.pop(key).size_bytes

    def forget_keys(self, account: str, key_id: str | None = None) -> None:
        """Let go of opened keys: these of a tenant, or all of an account and its tenants."""
        with self._lock:
            if key_id is not None:
                self._keys.pop((account, key_id), None)
                return
            for key in [key for key in self._keys if key[0].partition("/")[0] == account]:
                del self._keys[key]


def blame_client(do: Callable[[], T], what: str) -> T:
    """The result of something that reads bytes of a client.

    Raises:
        ParametersError: They were made with other parameters, or laid out for other keys.
        UnknownEvaluationKeyError: They were made under another key.
        EnvelopeError: They are damaged, or nothing that is understood.
    """
    try:
        return do()
    except ParametersMismatchError as error:
        raise ParametersError(str(error), check="ciphertext") from error
    except KeyMismatchError as error:
        raise UnknownEvaluationKeyError(str(error), check="ciphertext") from error
    except (CiphertextError, ConfigError) as error:
        raise EnvelopeError(str(error), check="payload") from error
    except (LEOError, MemoryError):
        raise
    except Exception as error:
        message = f"{what} cannot be read ({type(error).__name__}); make them anew with the parameters of the index"
        raise EnvelopeError(message, check="payload") from error
