"""What whatever scores blocks for an index server does, and whatever holds the secret for a client.

Subclass :class:`BlockScorerContract` and give it a fixture ``side``: an object with ``make_secret()``, which gives an
object with ``secret_id``, ``make_keys(dim)``, ``encrypt_query(vector)``, ``encrypt_block(rows)`` and
``decrypt_scores(reply, counts)``, and with ``open_scorer(keys)``.
"""

from __future__ import annotations

import numpy as np
import pytest

from leo_core.errors import LEOError

DIM = 32


def unit_rows(count, dim=DIM, seed=0):
    rows = np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class BlockScorerContract:
    """The tests; see the module."""

    tolerance = 1e-3

    def test_scores_are_inner_products_block_by_block(self, side):
        secret = side.make_secret()
        opened = side.open_scorer(secret.make_keys(DIM))
        plain, hidden, query = unit_rows(5, seed=1), unit_rows(7, seed=2), unit_rows(1, seed=3)[0]
        blocks = [opened.scorer.load_plain(plain), opened.scorer.load_encrypted(secret.encrypt_block(hidden))]
        assert [block.count for block in blocks] == [5, 7]
        assert all(block.size_bytes > 0 for block in blocks)
        reply = opened.scorer.score(secret.encrypt_query(query), blocks)
        first, second = secret.decrypt_scores(reply, [5, 7])
        np.testing.assert_allclose(first, plain @ query, atol=self.tolerance)
        np.testing.assert_allclose(second, hidden @ query, atol=self.tolerance)

    def test_the_server_side_names_keys_and_secret_as_the_client_does(self, side):
        secret = side.make_secret()
        keys = secret.make_keys(DIM)
        opened = side.open_scorer(keys)
        assert opened.id == side.open_scorer(keys).id
        assert (opened.secret_id, opened.dim) == (secret.secret_id, DIM)
        assert opened.id != side.open_scorer(secret.make_keys(DIM)).id
        assert not any("decrypt" in name for name in dir(opened.scorer))

    def test_another_key_and_another_dimension_are_refused(self, side):
        secret, other = side.make_secret(), side.make_secret()
        opened = side.open_scorer(secret.make_keys(DIM))
        block = opened.scorer.load_plain(unit_rows(3))
        with pytest.raises(LEOError):
            opened.scorer.score(other.encrypt_query(unit_rows(1)[0]), [block])
        with pytest.raises(LEOError):
            opened.scorer.load_encrypted(other.encrypt_block(unit_rows(2)))
        with pytest.raises(LEOError):
            opened.scorer.score(secret.encrypt_query(unit_rows(1, dim=16)[0]), [block])

    @pytest.mark.parametrize("cut", [0, 1, 20, -1])
    def test_what_is_cut_off_is_refused(self, side, cut):
        secret = side.make_secret()
        keys = secret.make_keys(DIM)
        opened = side.open_scorer(keys)
        with pytest.raises(LEOError):
            side.open_scorer(keys[:cut])
        with pytest.raises(LEOError):
            opened.scorer.load_encrypted(secret.encrypt_block(unit_rows(2))[:cut])
        with pytest.raises(LEOError):
            opened.scorer.score(secret.encrypt_query(unit_rows(1)[0])[:cut], [opened.scorer.load_plain(unit_rows(2))])

    def test_a_reply_under_another_key_is_refused(self, side):
        secret, other = side.make_secret(), side.make_secret()
        opened = side.open_scorer(secret.make_keys(DIM))
        reply = opened.scorer.score(secret.encrypt_query(unit_rows(1)[0]), [opened.scorer.load_plain(unit_rows(2))])
        with pytest.raises(LEOError):
            other.decrypt_scores(reply, [2])
        with pytest.raises(LEOError):
            secret.decrypt_scores(reply, [2, 2])
