"""What LEO's own arithmetic and SEAL agree on to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from leo_core.kernels import ckks, ckks_ring, ckks_seed
from leo_core.privacy.ckks.encoding import encode_slots
from leo_core.privacy.ckks.evaluation_keys import find_galois_element
from leo_core.privacy.ckks.fhe_secret import FheSecret
from leo_core.privacy.ckks.kernel_scoring import KernelScoring
from leo_core.privacy.ckks.params import FheParams
from leo_core.privacy.ckks.seal import SealContext
from tests.oracles import ckks as oracle


@pytest.fixture(scope="module", params=["score128", "score192"])
def seal(request):
    params = FheParams.preset(request.param)
    context = SealContext(params)
    secret = FheSecret.generate_untested(params)
    return context, secret, ckks_ring.make_ring(params.primes, params.degree)


def encrypt(context, secret, slots):
    encoded = context.encode(slots, context.params.query_scale_bits)
    residues, seed = context.read_seeded(secret._encryptor.encrypt_symmetric(encoded))
    return context.load_seeded(residues, seed, scale=2.0**context.params.query_scale_bits), residues, seed


def words_of(seed):
    return np.frombuffer(seed, dtype="<u8").astype(np.uint64)


def test_a_seed_expands_to_the_residues_that_seal_expands_it_to(seal):
    context, secret, ring = seal
    ciphertext, residues, seed = encrypt(context, secret, np.linspace(-1, 1, 2048))
    found = ckks_seed.expand_seed(words_of(seed), ring.primes[:2], 4096)
    np.testing.assert_array_equal(context.read_ciphertext(ciphertext), [residues, found])


@pytest.mark.parametrize("scale_bits", [24, 18])
def test_the_encoder_is_bit_exact_with_seal(seal, scale_bits):
    context, _, ring = seal
    draw = np.random.default_rng(scale_bits)
    slots = draw.standard_normal((12, 2048)) + 1j * draw.standard_normal((12, 2048))
    slots /= 8
    slots[0] = 0
    slots[1] = 1
    slots[2] = 1j
    slots[3] = np.eye(1, 2048)
    slots[4] = -np.eye(1, 2048, 2047)
    residues = encode_slots(slots, scale_bits, context.primes_of("fresh"))
    ckks.transform_all(residues, ring)
    for found, row in zip(residues, slots, strict=True):
        np.testing.assert_array_equal(found, context.read_plaintext(context.encode(row, scale_bits)))


def test_the_rotation_that_is_not_hoisted_is_bit_exact_with_seal(seal):
    """So the twin that the hoisted rotation is compared with reads ciphertexts and keys as SEAL does."""
    context, secret, ring = seal
    ciphertext, _, _ = encrypt(context, secret, np.linspace(-1, 1, 2048))
    keys = secret.evaluation_keys(dim=16)
    switch = keys.read()[0][3]
    element = find_galois_element(3, 4096)
    expanded = [[first, ckks_seed.expand_seed(words_of(seed), ring.primes, 4096)] for first, seed in switch]
    rotated = context.api.Ciphertext()
    loaded = context.load_galois_keys({element: switch})
    context.evaluator.rotate_vector(ciphertext, 3, loaded, rotated)
    residues, key = context.read_ciphertext(ciphertext), np.array(expanded)
    expected = oracle.rotate(residues, element, key, context.params.primes, centred=False)
    np.testing.assert_array_equal(context.read_ciphertext(rotated), expected)
    hoisted = oracle.rotate(residues, element, key, context.params.primes, centred=True)
    assert not np.array_equal(hoisted, expected)
    plaintext = context.api.Plaintext()
    scale = 2.0**context.params.query_scale_bits
    secret._decryptor.decrypt(context.load_ciphertext(hoisted, scale=scale), plaintext)
    np.testing.assert_allclose(context.decode(plaintext).real, np.roll(np.linspace(-1, 1, 2048), -3), atol=2e-4)


def test_centred_digits_spare_the_slots_whose_roots_are_next_to_one():
    """The mean of SEAL's digits puts its noise into the first slot; score192 would not keep its promise with it."""
    params = FheParams.preset("score192")
    context, secret = SealContext(params), FheSecret.generate_untested(params)
    ring, scale = ckks_ring.make_ring(params.primes, params.degree), 2.0**params.query_scale_bits
    plaintext, rotated = context.api.Plaintext(), context.api.Ciphertext()
    noise = {"seal": [], "centred": []}
    for _ in range(8):
        keys = secret.evaluation_keys(dim=16)
        ciphertext, _, _ = encrypt(context, secret, np.zeros(2048))
        context.evaluator.rotate_vector(ciphertext, 1, context.load_galois_keys({3: keys.read()[0][1]}), rotated)
        engine = KernelScoring(keys)
        turned = ckks.rotate_query(
            context.read_ciphertext(ciphertext).astype(np.uint32)[np.newaxis],
            engine._step_turns,
            engine._step_keys,
            ring,
        )
        hoisted = context.load_ciphertext(turned[:, :, 1].transpose(2, 0, 1, 3).reshape(2, 2, -1), scale=scale)
        for name, found in (("seal", rotated), ("centred", hoisted)):
            secret._decryptor.decrypt(found, plaintext)
            noise[name].append(np.abs(context.decode(plaintext)) ** 2)
    first = {name: np.sqrt(np.mean(found, axis=0))[0] for name, found in noise.items()}
    usual = {name: np.sqrt(np.mean(found)) for name, found in noise.items()}
    assert first["seal"] > 10 * usual["centred"]
    assert first["centred"] < 4 * usual["centred"]
