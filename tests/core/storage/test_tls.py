"""An index server behind TLS: its certificate is checked, and nothing is sent before that."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import ssl
import threading
import time

import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from leo_core.errors import ConfigError, IndexCertificateError, StorageError
from leo_core.privacy.index.envelope import Kind
from leo_core.privacy.index.service import make_app
from leo_core.stages.resilience.config import ResilienceConfig
from leo_core.storage.index_http import HttpTransport, index_at
from tests.core.privacy.index_parts import make_server
from tests.core.privacy.index_process import free_port
from tests.core.privacy.index_wire import Wire

QUICK = ResilienceConfig(backoff_s=0.01, longest_backoff_s=0.05, max_retries=5)


class Authority:
    """Signs certificates for 127.0.0.1."""

    def __init__(self, folder, name):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self.sign(self.name, self.key.public_key(), ca=True)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def sign(self, subject, public_key, *, ca=False, host="127.0.0.1"):
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )


class Running:
    """An index server with TLS, in a thread, and how often it was asked anything."""

    def __init__(self, folder, authority, host="127.0.0.1"):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "index")])
        self.certificate = authority.sign(subject, key.public_key(), host=host)
        cert_file, key_file = folder / "cert.pem", folder / "key.pem"
        cert_file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        self.index = make_server()
        self.token = self.index.add_account("acme")
        self.asked = []
        app, port = make_app(self.index), free_port()

        async def counted(scope, receive, send):
            self.asked.append(scope.get("path"))
            await app(scope, receive, send)

        config = uvicorn.Config(
            counted,
            host="127.0.0.1",
            port=port,
            log_config=None,
            lifespan="off",
            ssl_certfile=str(cert_file),
            ssl_keyfile=str(key_file),
        )
        self.url, self.server = f"https://127.0.0.1:{port}", uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)

    @property
    def pin(self):
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    def connect(self, **options):
        return HttpTransport(self.url, self.token, resilience=QUICK, **options)

    def request(self):
        return Wire(self.index, self.token).make(Kind.STATS)

    def close(self):
        self.server.should_exit = True
        self.thread.join()
        self.index.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"), "authority")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("stranger"), "stranger")


@pytest.fixture(scope="module")
def running(tmp_path_factory, authority):
    made = Running(tmp_path_factory.mktemp("server"), authority)
    yield made
    made.close()


def answers(running, **options):
    """What a request brings, blocking and not."""
    found = []
    with running.connect(**options) as transport:
        found.append(transport.send(running.request()))

        async def ask():
            reply = await transport.asend(running.request())
            await transport.aclose()
            return reply

        found.append(asyncio.run(ask()))
    return [each[:4] for each in found]


def check_refused(running, match, **options):
    """Neither way sends anything, and it is not tried again."""
    before = len(running.asked)
    with running.connect(**options) as transport:
        with pytest.raises(IndexCertificateError, match=match) as caught:
            transport.send(running.request())

        async def ask():
            with pytest.raises(IndexCertificateError, match=match):
                await transport.asend(running.request())
            await transport.aclose()

        asyncio.run(ask())
    assert len(running.asked) == before
    assert caught.value.check == "certificate"
    assert isinstance(caught.value, StorageError), "LEO answers without the index"
    assert running.token.bearer() not in str(caught.value)


def test_a_certificate_of_the_given_authority_is_trusted(running, authority):
    assert answers(running, ca_file=authority.file) == [b"LEOX", b"LEOX"]
    assert answers(running, ca_file=authority.file, pin=running.pin.upper()) == [b"LEOX", b"LEOX"]


def test_the_pinned_certificate_is_enough(running):
    colons = ":".join(running.pin[at : at + 2] for at in range(0, 64, 2))
    assert answers(running, pin=colons) == [b"LEOX", b"LEOX"]


def test_an_unknown_authority_is_refused_before_anything_is_sent(running, stranger):
    check_refused(running, "is not trusted .*certificate.* as ca_file, or its SHA-256 as pin")
    check_refused(running, "not trusted", ca_file=stranger.file)


def test_another_certificate_than_the_pinned_one_is_refused(running, authority, stranger):
    wrong = stranger.certificate.fingerprint(hashes.SHA256()).hex()
    check_refused(running, "not the one that is pinned", pin=wrong)
    check_refused(running, "not the one that is pinned", pin=wrong, ca_file=authority.file)
    check_refused(running, "not trusted", pin=running.pin, ca_file=stranger.file)


def test_a_certificate_for_another_host_is_refused(tmp_path, authority):
    other = Running(tmp_path, authority, host="127.0.0.9")
    try:
        check_refused(other, "IP address mismatch", ca_file=authority.file)
    finally:
        other.close()


def test_old_protocols_are_not_spoken(running, authority):
    with running.connect(ca_file=authority.file) as transport:
        assert transport._settings["verify"].minimum_version >= ssl.TLSVersion.TLSv1_2


def test_what_cannot_be_used_is_told(running, tmp_path):
    empty = tmp_path / "empty.pem"
    empty.touch()
    for file in (empty, tmp_path / "none.pem", tmp_path):
        with pytest.raises(ConfigError, match="cannot be used as ca_file"):
            running.connect(ca_file=file)
    for pin in ("", "ab" * 31, "g" * 64, running.pin + "00"):
        with pytest.raises(ConfigError, match="64 hex digits"):
            running.connect(pin=pin)
    with pytest.raises(ConfigError, match="are for an address of https"):
        HttpTransport("http://127.0.0.1:1", running.token, pin=running.pin)
    with pytest.raises(ConfigError, match="use https, or say plain=True"):
        index_at("http://10.0.0.1:8400", running.token)
    index_at("http://10.0.0.1:8400", running.token, plain=True)
