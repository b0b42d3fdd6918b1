"""Functions as embedders."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from leo_core.errors import ConfigError, MalformedReplyError, ProviderError, RateLimitError
from leo_core.ports import Embedder
from leo_core.stages.embed.callable import CallableEmbedder

if TYPE_CHECKING:
    from collections.abc import Callable


def adapt(function: Callable[[list[str]], object], dimension: int = 3) -> CallableEmbedder:
    """The function as an embedder."""
    return CallableEmbedder(function, name="mine", version="7", dimension=dimension)


def test_it_is_a_remote_embedder_with_the_given_fingerprint() -> None:
    embedder = adapt(lambda texts: [[1, 0, 0]] * len(texts))
    assert isinstance(embedder, Embedder)
    assert not embedder.is_local
    mark = embedder.fingerprint
    assert (mark.name, mark.version, mark.dimension) == ("mine", "7", 3)
    assert mark != CallableEmbedder(len, name="mine", version="8", dimension=3).fingerprint
    assert len(mark.table_sha256) == 64


@given(arrays(np.float64, (3, 4), elements=st.floats(allow_nan=False, allow_infinity=False)))
def test_finite_rows_become_unit_rows(rows: np.ndarray) -> None:
    before = rows.copy()
    found = adapt(lambda _: rows, dimension=4).embed(("a", "b", "c"))
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(rows, before)


def test_direction_is_kept_and_zeros_become_the_first_basis_vector() -> None:
    found = adapt(lambda _: [[0, 3, 4], [0, 0, 0]]).embed(["a", "b"])
    np.testing.assert_allclose(found, [[0, 0.6, 0.8], [1, 0, 0]], atol=1e-7)


def test_function_gets_a_list_and_is_not_called_for_nothing() -> None:
    seen: list[object] = []
    embedder = adapt(lambda texts: seen.append(texts) or [[1, 0, 0]])
    assert embedder.embed(()).shape == (0, 3)
    embedder.embed(("a",))
    assert seen == [["a"]]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ([[1, 0, 0]] * 3, MalformedReplyError),
        ([1, 0, 0], MalformedReplyError),
        ([[1, 0, 0], [1, 0]], MalformedReplyError),
        ([["a", "b", "c"]] * 2, MalformedReplyError),
        (None, MalformedReplyError),
        ([[1, 0, np.nan]] * 2, MalformedReplyError),
        ([[1, 0, np.inf]] * 2, MalformedReplyError),
        ([[1, 0]] * 2, ConfigError),
    ],
)
def test_wrong_replies_are_refused(reply: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="mine"):
        adapt(lambda _: reply).embed(["secret", "words"])


def test_errors_of_the_function_are_translated_and_ours_are_not() -> None:
    def fail(_: list[str]) -> None:
        message = "secret"
        raise KeyError(message)

    with pytest.raises(ProviderError, match="KeyError") as caught:
        adapt(fail).embed(["a"])
    assert isinstance(caught.value.__cause__, KeyError)
    assert "secret" not in str(caught.value)

    def limited(_: list[str]) -> None:
        message = "slow down"
        raise RateLimitError(message, provider="p", model="m")

    with pytest.raises(RateLimitError):
        adapt(limited).embed(["a"])


@pytest.mark.parametrize("wrong", [{"name": "", "dimension": 3}, {"name": "a", "dimension": 0}])
def test_name_and_dimension_are_needed(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        CallableEmbedder(len, **wrong)
