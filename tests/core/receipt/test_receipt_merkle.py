"""The tree: known answers, an oracle, and properties."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.errors import ReceiptError
from leo_core.stages.receipt.merkle import (
    EMPTY_ROOT,
    CompactRange,
    consistency_proof,
    hash_leaf,
    inclusion_proof,
    tree_root,
    verify_consistency,
    verify_inclusion,
)
from tests.core.receipt.examples import tree_of
from tests.oracles import merkle as oracle

# The leaves and roots of certificate-transparency's reference tests (RFC 6962).
KNOWN_LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
KNOWN_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
ENTRIES = [number.to_bytes(2, "big") for number in range(200)]
LEAVES = [hash_leaf(entry) for entry in ENTRIES]
_, READ = tree_of(LEAVES)


def counting(read):
    calls = []

    def counted(level, position):
        calls.append((level, position))
        return read(level, position)

    return counted, calls


def test_empty_tree():
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert CompactRange().root == EMPTY_ROOT == tree_root(0, READ)


@pytest.mark.parametrize("size", range(1, 9))
def test_known_roots(size):
    leaves_range, read = tree_of([hash_leaf(leaf) for leaf in KNOWN_LEAVES[:size]])
    assert leaves_range.root.hex() == KNOWN_ROOTS[size - 1]
    assert tree_root(size, read).hex() == KNOWN_ROOTS[size - 1]


def test_known_inclusion_and_consistency_proofs():
    _, read = tree_of([hash_leaf(leaf) for leaf in KNOWN_LEAVES])
    assert [node.hex() for node in inclusion_proof(5, 8, read)] == [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]
    assert [node.hex() for node in consistency_proof(6, 8, read)] == [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


@pytest.mark.parametrize("size", range(1, 201))
def test_inclusion_of_every_leaf_at_every_size(size):
    root = tree_root(size, READ)
    assert root == oracle.tree_root(ENTRIES[:size])
    for index in range(size):
        proof = inclusion_proof(index, size, READ)
        assert len(proof) <= (size - 1).bit_length()
        verify_inclusion(LEAVES[index], index, size, proof, root)
    assert list(inclusion_proof(size // 3, size, READ)) == oracle.inclusion_proof(size // 3, ENTRIES[:size])


@pytest.mark.parametrize("size", range(201))
def test_consistency_with_every_earlier_size(size):
    root = tree_root(size, READ)
    for old in range(size + 1):
        verify_consistency(old, tree_root(old, READ), size, root, consistency_proof(old, size, READ))
    if size:
        old = size // 2 + 1 if size > 1 else 1
        assert list(consistency_proof(old, size, READ)) == oracle.consistency_proof(old, ENTRIES[:size])


def test_proofs_read_logarithmically_many_nodes():
    for size in (127, 150, 199):
        for index in range(size):
            read, calls = counting(READ)
            inclusion_proof(index, size, read)
            consistency_proof(index + 1, size, read)
            assert len(calls) <= 5 * size.bit_length()


@given(st.integers(1, 200), st.data())
@settings(max_examples=150)
def test_any_bit_flip_of_an_inclusion_is_refused(size, data):
    index = data.draw(st.integers(0, size - 1))
    proof, root = list(inclusion_proof(index, size, READ)), tree_root(size, READ)
    parts = [LEAVES[index], root, *proof]
    place = data.draw(st.integers(0, len(parts) - 1))
    bit = data.draw(st.integers(0, 255))
    flipped = bytearray(parts[place])
    flipped[bit // 8] ^= 1 << bit % 8
    leaf, root, *proof = [*parts[:place], bytes(flipped), *parts[place + 1 :]]
    with pytest.raises(ReceiptError) as refused:
        verify_inclusion(leaf, index, size, proof, root)
    assert refused.value.check == "inclusion"


@given(st.integers(2, 200), st.data())
@settings(max_examples=150)
def test_any_bit_flip_of_a_consistency_is_refused(size, data):
    old = data.draw(st.integers(1, size - 1))
    parts = [tree_root(old, READ), tree_root(size, READ), *consistency_proof(old, size, READ)]
    place = data.draw(st.integers(0, len(parts) - 1))
    bit = data.draw(st.integers(0, 255))
    flipped = bytearray(parts[place])
    flipped[bit // 8] ^= 1 << bit % 8
    old_root, new_root, *proof = [*parts[:place], bytes(flipped), *parts[place + 1 :]]
    with pytest.raises(ReceiptError) as refused:
        verify_consistency(old, old_root, size, new_root, proof)
    assert refused.value.check == "consistency"


@given(st.integers(1, 60), st.data())
def test_a_proof_for_another_place_size_or_length_is_refused(size, data):
    index = data.draw(st.integers(0, size - 1))
    proof, root = inclusion_proof(index, size, READ), tree_root(size, READ)
    wrong = [(other, size, proof) for other in range(-1, size + 1) if other != index]
    wrong += [(index, size, (*proof, LEAVES[0])), (index, size, proof[:-1])] if proof else [(index, size, (LEAVES[0],))]
    for place, count, path in wrong:
        with pytest.raises(ReceiptError):
            verify_inclusion(LEAVES[index], place, count, path, root)


@given(st.integers(0, 60), st.data())
def test_a_consistency_proof_of_another_length_or_size_is_refused(size, data):
    old = data.draw(st.integers(0, size))
    proof = consistency_proof(old, size, READ)
    old_root, new_root = tree_root(old, READ), tree_root(size, READ)
    wrong = [(old, size, (*proof, LEAVES[0]))] + ([(old, size, proof[:-1])] if proof else [])
    wrong += [(size + 1, size, proof), (-1, size, proof)]
    for earlier, later, path in wrong:
        with pytest.raises(ReceiptError) as refused:
            verify_consistency(earlier, old_root, later, new_root, path)
        assert refused.value.check == "consistency"


def test_two_logs_of_one_size_must_be_equal_and_the_empty_log_is_one():
    with pytest.raises(ReceiptError):
        verify_consistency(3, LEAVES[0], 3, LEAVES[1], ())
    with pytest.raises(ReceiptError):
        verify_consistency(0, LEAVES[0], 3, LEAVES[1], ())
    with pytest.raises(ReceiptError):
        verify_consistency(4, LEAVES[0], 7, LEAVES[1], ())
    with pytest.raises(ReceiptError):
        verify_consistency(3, LEAVES[0], 7, LEAVES[1], ())


@pytest.mark.parametrize(("index", "size"), [(0, 0), (-1, 3), (3, 3)])
def test_there_is_no_proof_of_what_is_not_there(index, size):
    with pytest.raises(ReceiptError):
        inclusion_proof(index, size, READ)


@pytest.mark.parametrize(("old", "new"), [(-1, 3), (4, 3)])
def test_there_is_no_proof_of_sizes_that_never_were(old, new):
    with pytest.raises(ReceiptError):
        consistency_proof(old, new, READ)


def test_beside_the_last_leaf_stands_the_frontier_of_the_tree_before_it() -> None:
    leaves = CompactRange()
    nodes: dict[tuple[int, int], bytes] = {}
    for index in range(70):
        before = leaves.hashes
        leaves, completed = leaves.append(hash_leaf(b"%d" % index))
        nodes.update({(level, position): node for level, position, node in completed})
        expected = inclusion_proof(index, index + 1, lambda level, position: nodes[level, position])
        assert before[::-1] == expected
