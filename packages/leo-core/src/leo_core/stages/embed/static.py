"""The shipped embedder: word pieces, a trained table, their weighted mean."""

from __future__ import annotations

import hashlib
import io
import re
import unicodedata
from importlib.resources import files
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from leo_core.errors import ConfigError
from leo_core.kernels import word_pieces
from leo_core.records import EmbedderFingerprint
from leo_core.stages.embed.config import EmbedConfig

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

__all__ = ["StaticEmbedder", "fold_text", "pack_texts", "read_arrays"]

VERSION = "1"
_FILE = "static.npz"
_MARKS = re.compile("[\u0300-\u036f]+")
_TYPOGRAPHY = str.maketrans("‘’‚‛“”„‟′″‐‑‒–—―−…«»", '\'\'\'\'""""\'"-------.""')
_CONTINUES = "##"


class StaticEmbedder:
    """Vectors of word pieces, trained once, added up and scaled to length 1.

    A row of the table belongs to a word piece, to a frequent pair of pieces, or to a bucket of hashed n-grams for
    words of other scripts than Latin. The length of a row is its learned weight. See the model card,
    ``docs/reference/model-card-embedder.md``, for data, figures and limits.

    Args:
        config: ``dimension`` may be at most that of the table (256); fewer coordinates are the leading ones, which
            carry most, scaled to length 1 again.
        arrays: Another table than the shipped one, as the training script writes it: ``table`` int8 (r, d), ``scales``
            float32 (r,), ``pieces`` (their UTF-8 text, one per line, ``##`` where one continues a word), ``pairs``
            int32 (q, 2), and as many buckets as rows are left.

    Raises:
        ConfigError: The dimension is larger than the table's, or the arrays do not fit each other.
    """

    def __init__(
        self, config: EmbedConfig | None = None, *, arrays: Mapping[str, npt.NDArray[np.generic]] | None = None
    ) -> None:
        config = config or EmbedConfig()
        arrays = arrays or read_arrays()
        table = np.asarray(arrays["table"], dtype=np.int8)
        if config.dimension > table.shape[1]:
            message = f"the static embedder has {table.shape[1]} dimensions; {config.dimension} were asked for"
            raise ConfigError(message)
        pieces = bytes(np.asarray(arrays["pieces"], dtype=np.uint8)).decode("utf-8").split("\n")
        pairs = np.asarray(arrays["pairs"], dtype=np.int32).reshape(-1, 2)
        self._buckets = len(table) - len(pieces) - len(pairs)
        self._pieces = pieces
        self._scales = np.asarray(arrays["scales"], dtype=np.float32)
        if self._buckets < 1 or len(self._scales) != len(table):
            message = f"{len(pieces)} pieces, {len(pairs)} pairs, {len(self._scales)} scales for {len(table)} rows"
            raise ConfigError(message)
        self._table = np.ascontiguousarray(table[:, : config.dimension])
        self._keys, self._rows = _build_index(pieces, pairs)
        digest = hashlib.sha256(VERSION.encode())
        for name in ("table", "scales", "pieces", "pairs"):
            digest.update(np.ascontiguousarray(arrays[name]).tobytes())
        self._fingerprint = EmbedderFingerprint(
            name="static", version=VERSION, dimension=config.dimension, table_sha256=digest.hexdigest()
        )

    @property
    def fingerprint(self) -> EmbedderFingerprint:
        """Name, version, dimension and the hash of the whole table and vocabulary."""
        return self._fingerprint

    @property
    def is_local(self) -> bool:
        """True: microseconds for a question."""
        return True

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Unit rows, float32, shape ``(len(texts), d)``; a text without a word gives the first basis vector."""
        codes, offsets = pack_texts(texts)
        return word_pieces.embed_pieces(
            codes, offsets, self._keys, self._rows, self._table, self._scales, self._buckets
        )

    def cut(self, texts: Sequence[str]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """Rows of the texts, their weights, and where each text starts: what the training works on."""
        codes, offsets = pack_texts(texts)
        ids = np.empty(2 * len(codes), dtype=np.int32)
        weights = np.empty(2 * len(codes), dtype=np.float32)
        first = len(self._table) - self._buckets
        starts = word_pieces.cut_texts(codes, offsets, self._keys, self._rows, first, self._buckets, ids, weights)
        return ids[: starts[-1]], weights[: starts[-1]], starts

    @property
    def pieces(self) -> Sequence[str]:
        """The word pieces, in the order of their rows; ``##`` where one continues a word."""
        return self._pieces

    @property
    def row_count(self) -> int:
        """How many rows the table has: of pieces, of pairs of them, and buckets."""
        return len(self._table)

    def cut_pieces(self, text: str) -> npt.NDArray[np.int32]:
        """Row numbers of a text's word pieces in their order, int32 ``(n,)``; pairs of pieces are left out."""
        ids, _, _ = self.cut([text])
        first = len(self._pieces)
        return ids[(ids < first) | (ids >= self.row_count - self._buckets)]

    def read_rows(self, ids: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
        """Rows of the table, float32 ``(len(ids), d)``; their length is the weight of a piece."""
        rows: npt.NDArray[np.float32] = self._table[ids] * self._scales[ids, None]
        return rows

    def read_pieces(self, text: str) -> npt.NDArray[np.float32]:
        """Rows of a text's word pieces in their order, float32 ``(n, d)``."""
        return self.read_rows(self.cut_pieces(text))


def fold_text(text: str) -> str:
    """Lower case, no accents, plain quotes and dashes, as BERT's uncased models see a text.

    Unlike BERT: compatibility forms (ligatures, full-width letters, superscripts) become plain ones, and only the
    diacritics U+0300 to U+036F are taken away, so that the vowel signs of other scripts stay.
    """
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", text.translate(_TYPOGRAPHY).lower())
    return unicodedata.normalize("NFC", _MARKS.sub("", plain))


def pack_texts(texts: Sequence[str]) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Code points of the folded texts one after the other, and where each of them starts."""
    folded = [fold_text(text) for text in texts]
    offsets = np.array([0, *accumulate(map(len, folded))], dtype=np.int64)
    data = bytearray("".join(folded), "utf-32-le", "surrogatepass")
    return np.frombuffer(data, dtype=np.dtype("<u4")).astype(np.uint32, copy=False), offsets


def _build_index(
    pieces: list[str], pairs: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int32]]:
    """The index of pieces and pairs, at most half full."""
    continuing = [piece.startswith(_CONTINUES) and piece != _CONTINUES for piece in pieces]
    letters = [piece[2 * mark :] for piece, mark in zip(pieces, continuing, strict=True)]
    offsets = np.zeros(len(letters) + 1, dtype=np.int64)
    np.cumsum([len(piece) for piece in letters], out=offsets[1:])
    codes = np.frombuffer("".join(letters).encode("utf-32-le"), dtype=np.dtype("<u4")).astype(np.uint32)
    room = 1 << (2 * (len(pieces) + len(pairs))).bit_length()
    keys, rows, twice = word_pieces.build_index(codes, offsets, np.array(continuing, dtype=np.bool_), pairs, room)
    if twice:
        message = "a piece or a pair comes twice in the vocabulary of the static embedder"
        raise ConfigError(message)
    return keys, rows


def read_arrays() -> Mapping[str, npt.NDArray[np.generic]]:
    """The shipped arrays."""
    data = (files("leo_core.stages.embed") / _FILE).read_bytes()
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        return dict(archive)
