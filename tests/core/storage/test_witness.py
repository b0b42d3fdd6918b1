"""Witnesses: the contract of both kinds, and what they refuse."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from typer.testing import CliRunner

from leo_core import LEO
from leo_core.cli.app import app
from leo_core.engine.world import SystemClock
from leo_core.errors import ConfigError, ReceiptError, StorageError
from leo_core.providers.scripted import ScriptedModel
from leo_core.stages.receipt.checkpoint import read_checkpoint
from leo_core.stages.receipt.cosignature import add_cosignature, cosign, verify_cosignature
from leo_core.stages.receipt.keys import Keyset, SigningKey
from leo_core.stages.receipt.verify import verify_extension
from leo_core.storage.witness import FileWitness, HttpWitness, witness_log
from tests.contracts.witness import NAME, WITNESS_KEY, WitnessContract, make_log
from tests.core.receipt.examples import KEY


class Served:
    """A witness behind HTTP, written from the protocol: it knows nothing of the client."""

    def __init__(self, log_keys):
        self.keys, self.last, self.told, self.answer = Keyset.of(log_keys), None, [], None
        served = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                status, text = served.answer or served.add(self.path, body)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_):
                """Silence."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/w"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def add(self, path, body):
        assert path == "/w/add-checkpoint"
        head, _, note = body.partition("\n\n")
        first, *hashes = head.split("\n")
        old = int(first.removeprefix("old "))
        self.told.append(old)
        try:
            read_checkpoint(note).verify(self.keys)
        except ReceiptError:
            return 403, ""
        if old != (read_checkpoint(self.last).size if self.last else 0):
            return 409, f"{read_checkpoint(self.last).size}\n"
        try:
            if self.last:
                proof = [base64.b64decode(each).hex() for each in hashes]
                verify_extension(self.last, note, proof, public_key=self.keys)
        except ReceiptError:
            return 422, ""
        self.last = note
        return 200, cosign(note, NAME, WITNESS_KEY, 1_800_000_000)


@pytest.fixture
def served():
    witness = Served(KEY)
    yield witness
    witness.server.shutdown()
    witness.server.server_close()


class TestFileWitness(WitnessContract):
    @pytest.fixture
    def make_witness(self, tmp_path):
        return lambda: FileWitness(tmp_path / "last.txt", NAME, WITNESS_KEY, KEY, SystemClock())

    def test_what_it_saw_outlives_it(self, make_witness):
        witness_log(make_log(5), make_witness())
        with pytest.raises(ReceiptError):
            witness_log(make_log(5, "b"), make_witness())

    def test_it_signs_nothing_that_it_cannot_keep_or_compare(self, tmp_path):
        nowhere = FileWitness(tmp_path / "none" / "last.txt", NAME, WITNESS_KEY, KEY, SystemClock())
        with pytest.raises(StorageError, match="written"):
            witness_log(make_log(1), nowhere)
        (tmp_path / "last.txt").write_bytes(b"\xff\xfe")
        with pytest.raises(StorageError, match="read"):
            witness_log(make_log(1), FileWitness(tmp_path / "last.txt", NAME, WITNESS_KEY, KEY, SystemClock()))
        (tmp_path / "last.txt").write_text("nothing")
        with pytest.raises(ReceiptError):
            witness_log(make_log(1), FileWitness(tmp_path / "last.txt", NAME, WITNESS_KEY, KEY, SystemClock()))


class TestHttpWitness(WitnessContract):
    @pytest.fixture
    def make_witness(self, served):
        return lambda: HttpWitness(served.url, NAME, WITNESS_KEY.public)

    def test_it_asks_what_was_seen_last_and_proves_from_there(self, make_witness, served):
        witness_log(make_log(3), make_witness())
        witness_log(make_log(7), make_witness())
        assert served.told == [0, 0, 3]

    @pytest.mark.parametrize(
        ("answer", "check"),
        [
            ((200, ""), "witness"),
            ((200, "\u2014 somebody.else AAAA\n"), "witness"),
            ((200, f"\u2014 {NAME} AAAA\n"), "checkpoint"),
            ((200, cosign(make_log(9).checkpoint(), NAME, WITNESS_KEY, 1)), "witness"),
            ((200, cosign(make_log(2).checkpoint(), NAME, SigningKey.generate(), 1)), "witness"),
            ((404, ""), "witness"),
            ((500, ""), "witness"),
            ((409, "many\n"), "witness"),
            ((409, "1\n"), "consistency"),
        ],
    )
    def test_an_answer_that_is_no_signature_is_refused(self, make_witness, served, answer, check):
        served.answer = answer
        with pytest.raises(ReceiptError) as caught:
            witness_log(make_log(2), make_witness())
        assert caught.value.check == check

    def test_a_witness_that_is_away_is_a_failure_and_an_address_is_checked(self, served):
        served.server.shutdown()
        served.server.server_close()
        with pytest.raises(StorageError, match="reached"):
            witness_log(make_log(1), HttpWitness(served.url, NAME, WITNESS_KEY.public, timeout_s=1.0))
        for url in ("file:///etc/passwd", "witness.example", "http://"):
            with pytest.raises(ConfigError, match="address"):
                HttpWitness(url, NAME, WITNESS_KEY.public)


def test_a_cosignature_is_what_the_specification_says():
    """C2SP tlog-cosignature, put together by hand."""
    note = make_log(3).checkpoint()
    line = cosign(note, NAME, WITNESS_KEY, 1_679_315_147)
    dash, name, blob = line.rstrip("\n").split(" ")
    data = base64.b64decode(blob)
    assert (dash, name, len(data)) == ("\u2014", NAME, 4 + 8 + 64)
    assert data[:4] == hashlib.sha256(NAME.encode() + b"\n\x04" + WITNESS_KEY.public.raw).digest()[:4]
    assert data[4:12] == (1_679_315_147).to_bytes(8, "big")
    text = note.partition("\n\n")[0] + "\n"
    message = f"cosignature/v1\ntime 1679315147\n{text}".encode()
    Ed25519PublicKey.from_public_bytes(WITNESS_KEY.public.raw).verify(data[12:], message)


def test_cosignatures_are_checked():
    note = make_log(3).checkpoint()
    good = add_cosignature(note, cosign(note, NAME, WITNESS_KEY, 7))
    assert verify_cosignature(good, NAME, WITNESS_KEY) == 7
    later = add_cosignature(good, cosign(note, NAME, WITNESS_KEY, 9))
    assert verify_cosignature(later, NAME, [SigningKey.generate(), WITNESS_KEY]) == 9
    read_checkpoint(later).verify(Keyset.of(KEY))
    for name, key, wrong in (
        ("another", WITNESS_KEY, good),
        (NAME, SigningKey.generate(), good),
        (NAME, WITNESS_KEY, note),
        (NAME, WITNESS_KEY, good.replace("\n3\n", "\n4\n")),
        (NAME, WITNESS_KEY, good.replace(good[-12:-8], "AAAA")),
    ):
        with pytest.raises(ReceiptError) as caught:
            verify_cosignature(wrong, name, key)
        assert caught.value.check == "witness"
    for name in ("", "a b", "a+b", "a\n"):
        with pytest.raises(ReceiptError, match="named"):
            cosign(note, name, WITNESS_KEY, 7)
    for line in ("x", "\u2014 a b\nmore\n\n", note):
        with pytest.raises(ReceiptError):
            add_cosignature(note, line)


def test_the_commands_witness_and_verify(tmp_path, served):
    def run(*words):
        return CliRunner().invoke(app, [str(word) for word in words])

    path, seen, key = tmp_path / "leo.db", tmp_path / "seen.txt", tmp_path / "leo.pub"
    with LEO(small=ScriptedModel("small", replies="x"), store=path) as leo:
        leo.ask("When?")
        served.keys = Keyset.of(leo.public_key)
    key.write_text(run("keys", "public", path).stdout)
    own, public = tmp_path / "w.pem", tmp_path / "w.pub"
    public.write_text(run("keys", "new", own).stdout)
    assert run("log", "witness", path, seen, "--name", "w1", "--key", own).exit_code == 0
    words = ("verify", seen, "--key", key, "--witness", "w1", "--witness-key", public)
    assert json.loads(run(*words, "--json").stdout)["size"] == 1
    assert "seen by w1" in " ".join(run(*words).stdout.split())
    assert run(*words[:4], "--witness", "w2", "--witness-key", public).exit_code == 1
    assert run(*words[:4], "--witness", "w1").exit_code == 2
    remote = tmp_path / "remote.txt"
    public.write_text(WITNESS_KEY.public.to_pem())
    there = ("log", "witness", path, remote, "--name", NAME, "--url", served.url, "--public-key", public)
    assert run(*there).exit_code == 0, run(*there).output
    assert verify_cosignature(remote.read_text(), NAME, WITNESS_KEY) == 1_800_000_000
    assert run("log", "witness", path, seen, "--name", "w1").exit_code == 2
    assert run("log", "witness", path, seen, "--name", "w1", "--key", own, "--url", served.url).exit_code == 2
