"""Envelopes, byte by byte."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leo_core.errors import EnvelopeError, EnvelopeMacError, EnvelopeSizeError
from leo_core.privacy.index.access import IndexToken
from leo_core.privacy.index.envelope import MAC_BYTES, Envelope, Kind, open_envelope, read_mac, seal_envelope
from leo_core.privacy.index.framing import FramingReader, pack_blob, pack_ids, pack_text
from tests.core.privacy.make_envelope_vectors import FILE, make

VECTORS = json.loads(FILE.read_text(encoding="utf-8"))
KEY = bytes.fromhex(VECTORS["mac_key"])
MOST = 2**20
ENVELOPE = Envelope(
    kind=Kind.SCORE,
    request_id=bytes(range(16)),
    sequence=3,
    params_id="p",
    key_id="key",
    tenant="acme/t",
    index="index",
    payload=b"payload",
)
FIELDS = {
    "magic": (0, 4),
    "version": (4, 5),
    "kind": (5, 6),
    "sequence": (6, 14),
    "request id": (14, 30),
    "params id": (30, 32),
    "key id": (32, 36),
    "tenant": (36, 43),
    "index": (43, 49),
    "payload length": (49, 53),
    "payload": (53, 60),
    "mac": (60, 92),
}

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
envelopes = st.builds(
    Envelope,
    kind=st.sampled_from(Kind),
    is_reply=st.booleans(),
    request_id=st.binary(min_size=16, max_size=16),
    sequence=st.integers(0, 2**64 - 1),
    params_id=texts,
    key_id=texts,
    tenant=texts,
    index=texts,
    payload=st.binary(max_size=300),
)


def test_the_vectors_are_those_of_the_independent_writing():
    assert make() == VECTORS


@pytest.mark.parametrize("vector", VECTORS["envelopes"], ids=lambda each: each["name"])
def test_golden_envelopes_open_and_are_written(vector):
    data, fields = bytes.fromhex(vector["bytes"]), vector["fields"]
    opened = open_envelope(data, KEY, most_bytes=MOST)
    assert (opened.kind, opened.is_reply) == (fields["kind"] & 127, fields["kind"] > 127)
    assert opened.request_id.hex() == fields["request_id"]
    assert opened.sequence == fields.get("sequence", 0)
    assert [opened.params_id, opened.key_id, opened.tenant, opened.index] == [
        fields.get(name, "") for name in ("params", "key", "tenant", "index")
    ]
    assert opened.payload.hex() == fields.get("payload", "")
    assert seal_envelope(opened, KEY) == data
    assert read_mac(data) == data[-32:]


def test_the_token_gives_the_keys_of_the_vectors():
    token = IndexToken(account=VECTORS["account"], secret=bytes.fromhex(VECTORS["secret"]))
    assert token.mac_key().hex() == VECTORS["mac_key"]
    encoded = token.bearer().rpartition(".")[2]
    assert base64.urlsafe_b64decode(encoded + "=").hex() == VECTORS["bearer_secret"]


@given(envelopes)
def test_what_is_sealed_opens_again_and_there_is_one_way_to_write_it(envelope):
    data = seal_envelope(envelope, KEY)
    assert open_envelope(data, KEY, most_bytes=MOST) == envelope
    assert seal_envelope(open_envelope(data, KEY, most_bytes=MOST), KEY) == data


def test_the_fields_of_the_test_are_those_of_the_envelope():
    data = seal_envelope(ENVELOPE, KEY)
    assert FIELDS["mac"][1] == len(data)
    assert data[slice(*FIELDS["payload"])] == b"payload"
    assert data[slice(*FIELDS["tenant"])] == b"\x06acme/t"


@pytest.mark.parametrize("name", FIELDS)
def test_a_flipped_bit_in_any_field_is_refused(name):
    data = seal_envelope(ENVELOPE, KEY)
    for at in range(*FIELDS[name]):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[at] ^= 1 << bit
            with pytest.raises(EnvelopeError) as caught:
                open_envelope(bytes(flipped), KEY, most_bytes=MOST)
            assert caught.value.check == ({"magic": "magic", "version": "version"}.get(name, "mac"))
            assert isinstance(caught.value, EnvelopeMacError) == (name not in {"magic", "version"})


@pytest.mark.parametrize("is_reply", [False, True], ids=["request", "reply"])
@pytest.mark.parametrize("kind", Kind)
def test_a_flipped_bit_anywhere_in_an_envelope_of_any_kind_is_refused(kind, is_reply):
    data = seal_envelope(replace(ENVELOPE, kind=kind, is_reply=is_reply), KEY)
    for at in range(len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[at] ^= 1 << bit
            with pytest.raises(EnvelopeError) as caught:
                open_envelope(bytes(flipped), KEY, most_bytes=MOST)
            assert caught.value.check == ("magic" if at < 4 else "version" if at < 5 else "mac")


def test_another_key_is_refused():
    with pytest.raises(EnvelopeMacError, match="another key"):
        open_envelope(seal_envelope(ENVELOPE, KEY), bytes(32), most_bytes=MOST)


def test_every_cut_is_refused():
    data = seal_envelope(ENVELOPE, KEY)
    for length in range(len(data)):
        with pytest.raises(EnvelopeError) as caught:
            open_envelope(data[:length], KEY, most_bytes=MOST)
        assert caught.value.check == ("truncated" if length < 70 else "mac")


def test_more_than_allowed_is_refused_before_it_is_looked_at():
    data = seal_envelope(ENVELOPE, KEY)
    assert open_envelope(data, KEY, most_bytes=len(data)) == ENVELOPE
    with pytest.raises(EnvelopeSizeError, match="92 bytes is refused: at most 91") as caught:
        open_envelope(data, KEY, most_bytes=len(data) - 1)
    assert caught.value.check == "oversized"


def resealed(body):
    """Bytes with a right MAC, whatever they are: from a client that has the key and writes nonsense."""
    import hmac

    return body + hmac.digest(KEY, body, "sha256")


def test_a_right_mac_does_not_make_nonsense_an_envelope():
    body = seal_envelope(ENVELOPE, KEY)[:-MAC_BYTES]
    trailing = resealed(body + b"\x00")
    unknown = resealed(body[:5] + b"\x7f" + body[6:])
    no_text = resealed(body[:31] + b"\xff" + body[32:])
    long_field = resealed(body[:30] + b"\xff" + body[31:])
    for data, check in ((trailing, "trailing"), (unknown, "kind"), (no_text, "field"), (long_field, "truncated")):
        with pytest.raises(EnvelopeError) as caught:
            open_envelope(data, KEY, most_bytes=MOST)
        assert caught.value.check == check


def test_a_field_that_is_too_long_is_not_written():
    with pytest.raises(EnvelopeSizeError, match="256 bytes does not fit"):
        seal_envelope(Envelope(kind=Kind.STATS, request_id=bytes(16), tenant="x" * 256), KEY)


def test_a_payload_does_not_show_in_reprs():
    assert "payload" not in repr(ENVELOPE)


def test_a_reader_takes_lists_of_different_ids_only():
    ids = [bytes([number]) * 16 for number in range(3)]
    assert FramingReader(pack_ids(ids), "ids").ids(3) == tuple(ids)
    with pytest.raises(EnvelopeSizeError, match="lists 3 ids where at most 2"):
        FramingReader(pack_ids(ids), "ids").ids(2)
    with pytest.raises(EnvelopeError, match="twice"):
        FramingReader(pack_ids([ids[0], ids[0]]), "ids").ids(3)
    with pytest.raises(EnvelopeSizeError, match="cut off"):
        FramingReader(b"\x00\xff\xff\xff", "ids").ids(2**31)


def test_a_reader_ends_where_the_bytes_do():
    reader = FramingReader(pack_text("a") + pack_blob(b"bc"), "a thing")
    assert (reader.text(), reader.blob(2), reader.left) == ("a", b"bc", 0)
    reader.end()
    with pytest.raises(EnvelopeSizeError, match="a thing is cut off: 1 more bytes are announced and 0 are there"):
        reader.u8()
    with pytest.raises(EnvelopeSizeError, match="holds 2 bytes where at most 1"):
        FramingReader(pack_blob(b"bc"), "a thing").blob(1)
