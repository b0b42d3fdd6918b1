"""The arithmetic of CKKS against slow twins, compiled and interpreted."""

from __future__ import annotations

import numpy as np
import pytest

from leo_core.kernels import ckks, ckks_ring, ckks_seed
from leo_core.privacy.ckks.evaluation_keys import find_galois_element
from tests.oracles import ckks as oracle

PRIMES = (268361729, 268369921, 536813569)
LARGEST = (268369921, 268361729, 1073692673)
"""A special prime of 30 bits, and the smaller of the others second: the borders of carrying residues over."""

DEGREE = 256


@pytest.fixture(autouse=True, scope="module", params=["compiled", "interpreted"])
def mode(request):
    """In place of the folder's own, which compiles and replaces kernels that are not used here."""
    if request.param == "compiled":
        yield request.param
        return
    with pytest.MonkeyPatch.context() as patch, np.errstate(over="ignore"):
        for module in (ckks, ckks_ring, ckks_seed):
            for name, value in list(vars(module).items()):
                if hasattr(value, "py_func"):
                    patch.setattr(module, name, value.py_func)
        yield request.param


def draw_residues(shape, primes, seed=0):
    """Residues (…, k, N), with the smallest, the largest and the middle ones at the front."""
    draw = np.random.default_rng(seed)
    residues = np.stack([draw.integers(0, p, (*shape, DEGREE), dtype=np.uint32) for p in primes], axis=-2)
    for row, prime in enumerate(primes):
        residues[..., row, :6] = (0, 1, prime - 1, prime // 2, prime // 2 + 1, prime - 2)
    return residues


def shift(residues, primes):
    modulus = np.array(primes[: residues.shape[-2]], dtype=np.uint64)[:, None]
    return ((residues.astype(np.uint64) << np.uint64(32)) % modulus).astype(np.uint32)


def turn_back(key, turn):
    turned = np.empty_like(key)
    turned[..., turn] = key
    return turned


def tile(residues):
    """(terms, polynomials, 2, N) as (2, tiles, terms, polynomials, 256)."""
    return np.ascontiguousarray(residues.reshape(*residues.shape[:3], -1, ckks.TILE).transpose(2, 3, 0, 1, 4))


@pytest.mark.parametrize("primes", [PRIMES, LARGEST])
def test_a_transform_agrees_with_its_slow_twin_and_comes_back(primes):
    ring = ckks_ring.make_ring(primes, DEGREE)
    residues = draw_residues((2,), primes)
    found = residues.copy()
    ckks.transform_all(found, ring)
    columns = np.empty(DEGREE, dtype=np.uint32)
    for polynomial, original in zip(found, residues, strict=True):
        for row, prime in enumerate(primes):
            np.testing.assert_array_equal(polynomial[row], oracle.transform(original[row], prime))
            ckks_ring.transform_back(polynomial[row], ring.backward[row], ring.shares[row], ring.primes[row], columns)
            np.testing.assert_array_equal(polynomial[row], original[row])


def test_the_slow_transform_gives_the_values_at_the_roots():
    prime, coefficients = PRIMES[0], list(range(1, 9))
    root = oracle.find_root(prime, 8)
    assert pow(root, 8, prime) == prime - 1
    values = [sum(c * pow(root, odd * n, prime) for n, c in enumerate(coefficients)) % prime for odd in range(1, 16, 2)]
    assert [int(v) for v in oracle.transform(coefficients, prime)] == [values[i] for i in (0, 4, 2, 6, 1, 5, 3, 7)]


@pytest.mark.parametrize("element", [3, 9, 511, 27])
def test_a_turn_of_places_is_a_turn_of_the_polynomial(element):
    values = draw_residues((), PRIMES[:1])
    turned = oracle.turn_transformed(values, element, PRIMES)
    np.testing.assert_array_equal(values[0][ckks_ring.make_turn(element, DEGREE)], turned[0])


@pytest.mark.parametrize("primes", [PRIMES, LARGEST])
def test_hoisted_rotations_agree_with_their_slow_twin(primes):
    ring = ckks_ring.make_ring(primes, DEGREE)
    query = draw_residues((2, 2), primes[:2])
    steps = [0, 1, 5]
    turns = np.stack([ckks_ring.make_turn(find_galois_element(step, DEGREE), DEGREE) for step in steps])
    keys = draw_residues((3, 2, 2), primes, seed=1)
    kept = np.stack([turn_back(shift(key, primes), turn) for key, turn in zip(keys, turns, strict=True)])
    rotated = ckks.rotate_query(query, turns, kept, ring)
    for part in range(2):
        for place, step in enumerate(steps):
            element = find_galois_element(step, DEGREE)
            expected = oracle.rotate(query[part], element, keys[place], primes, centred=True) if step else query[part]
            found = rotated[:, :, part * 3 + place].transpose(2, 0, 1, 3).reshape(2, 2, DEGREE)
            np.testing.assert_array_equal(found, expected)


def test_sums_of_products_are_exact_up_to_the_largest(mode):
    ring = ckks_ring.make_ring(PRIMES, DEGREE)
    most = np.array(PRIMES[:2], dtype=np.uint32)[:, None] - 1
    query = np.broadcast_to(most, (8, 2, 2, DEGREE)).astype(np.uint32)
    query[1] = draw_residues((2,), PRIMES[:2])
    which = np.array([0, 0, 2, 3] + [1, 4, 5, 6] + [0] * (128 if mode == "compiled" else 8))
    starts = np.array([0, 4, 8, len(which)])
    rows = np.broadcast_to(most, (len(which), 2, 2, DEGREE)).astype(np.uint32)
    rows[:8] = draw_residues((8, 2), PRIMES[:2], seed=2)
    modulus = np.array(PRIMES[:2], dtype=object)[:, None]
    encrypted = ckks.multiply_encrypted(tile(query), tile(shift(rows, PRIMES)), which, starts, ring)
    kept = np.ascontiguousarray(tile(shift(rows, PRIMES))[:, :, :, 0])
    plain = ckks.multiply_plain(tile(query), kept, which, starts, ring)
    for giant in range(3):
        terms = range(starts[giant], starts[giant + 1])
        (a, b), (c, d) = (
            (query[which[terms]][:, half].astype(object) for half in range(2)),
            (rows[list(terms)][:, half].astype(object) for half in range(2)),
        )
        for found, expected in (
            (plain[giant], [a * c, b * c]),
            (encrypted[giant], [a * c, a * d + b * c, b * d]),
        ):
            np.testing.assert_array_equal(found, np.stack([product.sum(axis=0) % modulus for product in expected]))


def test_a_whole_giant_step_of_the_largest_residues_does_not_overflow(mode):
    """256 products of (q - 1)², more than a layout ever has, in one sum."""
    count = 256 if mode == "compiled" else 16
    ring = ckks_ring.make_ring(PRIMES, DEGREE)
    most = np.broadcast_to(np.array(PRIMES[:2], dtype=np.uint32)[:, None] - 1, (count, 2, 2, DEGREE))
    which, starts = np.arange(count), np.array([0, count])
    found = ckks.multiply_plain(tile(most), np.ascontiguousarray(tile(most)[:, :, :, 0]), which, starts, ring)
    for row, prime in enumerate(PRIMES[:2]):
        assert (found[0, :, row] == count * pow(1 << 32, -1, prime) % prime).all()


@pytest.mark.parametrize("primes", [PRIMES, LARGEST])
@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
def test_the_end_agrees_with_its_slow_twin(primes, encrypted):
    ring = ckks_ring.make_ring(primes, DEGREE)
    sums = draw_residues((3, 3 if encrypted else 2), primes[:2])
    elements = [find_galois_element(step, DEGREE) for step in (0, 4, 8)]
    turns = np.stack([ckks_ring.make_turn(element, DEGREE) for element in elements])
    keys, relin = draw_residues((3, 2, 2), primes, seed=1), draw_residues((2, 2), primes, seed=2)
    kept = np.stack([turn_back(shift(key, primes), turn) for key, turn in zip(keys, turns, strict=True)])
    if encrypted:
        found = ckks.finish_encrypted(sums, turns, kept, shift(relin, primes), ring)
    else:
        found = ckks.finish_plain(sums, turns, kept, ring)
    expected = oracle.finish(sums, elements, keys, relin if encrypted else None, primes)
    np.testing.assert_array_equal(found, expected)


def test_seeds_that_are_rejected_are_drawn_again_from_what_follows():
    """Of a prime just above 2⁶³ almost every second word is too large; 32 bits of the result are kept."""
    prime = (1 << 63) + 29
    seed = np.arange(1, 9, dtype=np.uint64)
    words = np.empty((3, 512), dtype=np.uint64)
    for counter in range(3):
        ckks_seed._fill(seed, counter, words[counter])
    limit = (1 << 64) - 1 - ((1 << 64) - 1) % prime - 1
    spare = iter(words[1:].ravel().tolist())
    expected = []
    for word in words[0].tolist():
        value = word
        while value >= limit:
            value = next(spare)
        expected.append(value % prime % (1 << 32))
    found = ckks_seed.expand_seed(seed, np.array([prime], dtype=np.uint64), 512)
    np.testing.assert_array_equal(found[0], np.array(expected, dtype=np.uint32))
    assert len(list(spare)) < 1024 - 200
