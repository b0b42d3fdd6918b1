"""The index server behind HTTP: limits before the body is read, errors as they are, many clients, and kill -9."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import http.server
import itertools
import json
import logging
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from leo_core import errors
from leo_core.errors import (
    ConfigError,
    EnvelopeError,
    EnvelopeSizeError,
    IndexAccessError,
    LEOError,
    StorageError,
    StoreUnavailableError,
    UnknownIndexError,
    WriteConflictError,
)
from leo_core.privacy.index.access import IndexToken
from leo_core.privacy.index.envelope import Kind
from leo_core.privacy.index.errors import read_error, write_error
from leo_core.privacy.index.service import PATH, ServiceConfig, make_app
from leo_core.privacy.index.stats import read_stats
from leo_core.privacy.index.transport import IndexTransport, InProcessTransport
from leo_core.stages.resilience.config import ResilienceConfig
from leo_core.storage import index_http
from leo_core.storage.index_http import HttpTransport, index_at
from tests.core.privacy.index_parts import make_client, make_rings, make_server, unit_rows
from tests.core.privacy.index_process import free_port, start_fake, stop
from tests.core.privacy.index_wire import Wire

ROWS = unit_rows(200)
QUICK = ResilienceConfig(backoff_s=0.01, longest_backoff_s=0.05, max_retries=2)


@pytest.fixture(autouse=True)
def no_connection_is_left(monkeypatch):
    """Transports that a test leaves open are closed."""
    made, real = [], HttpTransport.__init__

    def init(self, *args, **kwargs):
        real(self, *args, **kwargs)
        made.append(self)

    monkeypatch.setattr(HttpTransport, "__init__", init)
    yield
    for transport in made:
        transport.close()


@pytest.fixture
def server():
    with make_server(max_envelope_bytes=50_000) as made:
        yield made


@pytest.fixture
def token(server):
    return server.add_account("acme")


def call(app, method="POST", path=PATH, *, content=b"", headers=None):
    """One request to the application, without a network."""

    async def ask():
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://index") as client:
            return await client.request(method, path, content=content, headers=headers or {})

    return asyncio.run(ask())


def authorised(token):
    return {"Authorization": f"Bearer {token.bearer()}"}


# ---------------------------------------------------------------------------------------------- the application


def test_an_envelope_is_answered(server, token):
    wire = Wire(server, token)
    answer = call(make_app(server), content=wire.make(Kind.STATS), headers=authorised(token))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/octet-stream")
    assert answer.content[:4] == b"LEOX"


def test_health_tells_whether_the_file_can_be_read(server):
    app = make_app(server)
    assert call(app, "GET", "/health").json() == {"status": "ok"}
    server.close()
    assert call(app, "GET", "/health").status_code == 500


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer x"}, {"Authorization": "Basic eDp5"}])
def test_without_a_token_nothing_is_read(server, headers):
    read = []

    async def body():
        read.append(1)
        yield b"x"

    answer = call(make_app(server), content=body(), headers=headers)
    assert answer.status_code == 401
    assert answer.json() == {
        "error": "IndexAccessError",
        "check": "token",
        "message": "the token is not the one of an account of this index server; ask its operator for a token",
    }
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_body_that_says_it_is_too_large_is_refused_unread(server, token):
    async def endless():
        yield b"x"
        message = "the body was read"
        raise AssertionError(message)

    headers = {**authorised(token), "Content-Length": "50001"}
    answer = call(make_app(server), content=endless(), headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (413, "EnvelopeSizeError")


def test_a_body_that_does_not_say_how_long_it_is_is_read_to_the_limit(server, token):
    sent = itertools.count()

    async def endless():
        while True:
            next(sent)
            yield bytes(10_000)

    answer = call(make_app(server), content=endless(), headers=authorised(token))
    assert answer.status_code == 413
    assert next(sent) < 10


@pytest.mark.parametrize("length", ["x", "-1", "1e3", "٣"])
def test_lengths_that_are_none_are_refused(server, token, length):
    headers = [(b"authorization", authorised(token)["Authorization"].encode()), (b"content-length", length.encode())]
    scope = {
        "type": "http",
        "method": "POST",
        "path": PATH,
        "raw_path": PATH.encode(),
        "headers": headers,
        "query_string": b"",
        "http_version": "1.1",
        "scheme": "http",
        "server": ("index", 80),
        "root_path": "",
    }
    sent = []

    async def run():
        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message):
            sent.append(message)

        await make_app(server)(scope, receive, send)

    asyncio.run(run())
    assert sent[0]["status"] == 413


def test_a_body_that_does_not_come_is_given_up(server, token):
    async def slow():
        yield b"x"
        await asyncio.sleep(5)
        yield b"y"

    app = make_app(server, ServiceConfig(read_timeout_s=0.1))

    async def ask():
        messages = iter([{"type": "http.request", "body": b"x", "more_body": True}])

        async def receive():
            try:
                return next(messages)
            except StopIteration:
                await asyncio.sleep(5)
                return {"type": "http.disconnect"}

        sent = []

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": PATH,
            "raw_path": PATH.encode(),
            "root_path": "",
            "query_string": b"",
            "http_version": "1.1",
            "scheme": "http",
            "server": ("index", 80),
            "headers": [(b"authorization", authorised(token)["Authorization"].encode())],
        }
        started = time.monotonic()
        await app(scope, receive, send)
        return sent[0]["status"], time.monotonic() - started

    status, took = asyncio.run(ask())
    assert status == 408
    assert took < 4


def test_an_answer_that_takes_too_long_is_not_waited_for(server, token, monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(server, "answer", lambda *_: release.wait(10))
    wire = Wire(server, token)
    app = make_app(server, ServiceConfig(answer_timeout_s=0.1))
    answer = call(app, content=wire.make(Kind.STATS), headers=authorised(token))
    release.set()
    assert answer.status_code == 504
    assert isinstance(read_error(504, answer.content), StoreUnavailableError)


def test_who_comes_when_too_many_wait_is_told_to_come_again(server, token, monkeypatch):
    release, real = threading.Event(), server.answer

    def slow(*args):
        release.wait(10)
        return real(*args)

    monkeypatch.setattr(server, "answer", slow)
    app = make_app(server, ServiceConfig(threads=3, max_waiting=1))
    wire = Wire(server, token)

    async def ask_all():
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://index") as client:
            asks = [
                asyncio.ensure_future(client.post(PATH, content=wire.make(Kind.STATS), headers=authorised(token)))
                for _ in range(8)
            ]
            await asyncio.sleep(0.3)
            release.set()
            return await asyncio.gather(*asks)

    statuses = sorted(answer.status_code for answer in asyncio.run(ask_all()))
    assert statuses.count(200) == 4
    assert statuses.count(503) == 4


def test_bodies_on_their_way_count_as_waiting_and_further_ones_are_not_read(server, token):
    app = make_app(server, ServiceConfig(threads=1, max_waiting=1))
    data = Wire(server, token).make(Kind.STATS)

    async def ask_all():
        release, both, begun = asyncio.Event(), asyncio.Event(), []

        async def slow(number):
            begun.append(number)
            if len(begun) == 2:
                both.set()
            yield data[:10]
            await release.wait()
            yield data[10:]

        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://index") as client:
            first = [
                asyncio.ensure_future(client.post(PATH, content=slow(number), headers=authorised(token)))
                for number in range(2)
            ]
            await both.wait()
            third = await client.post(PATH, content=slow(2), headers=authorised(token))
            release.set()
            last = [*await asyncio.gather(*first), await client.post(PATH, content=data, headers=authorised(token))]
        return begun, third, last

    begun, third, last = asyncio.run(ask_all())
    assert (third.status_code, third.headers["retry-after"]) == (503, "1")
    assert begun == [0, 1]
    assert [answer.status_code for answer in last] == [200, 200, 200]


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", PATH, 405), ("POST", "/", 404), ("PUT", "/health", 405)]
)
def test_nothing_else_is_there(server, method, path, status):
    assert call(make_app(server), method, path).status_code == status


def test_logs_hold_nothing_of_a_request(server, token, caplog):
    caplog.set_level(logging.DEBUG)
    wire = Wire(server, token).start()
    call(make_app(server), content=wire.make(Kind.CHANGES, b"short"), headers=authorised(token))
    told = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("leo"))
    assert "refused: EnvelopeSizeError" in told
    for secret in (token.bearer(), token.to_text(), "acme"):
        assert secret not in told


@pytest.mark.parametrize("name", ["threads", "max_waiting", "read_timeout_s", "answer_timeout_s", "keep_alive_s"])
@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan")])
def test_settings_out_of_range_are_refused(name, value):
    with pytest.raises(ConfigError, match=f"ServiceConfig.{name}"):
        ServiceConfig(**{name: value})


# ----------------------------------------------------------------------------------------------- errors on the way


def kinds():
    found = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.PrivateIndexError)
    ]
    of_the_client = {errors.IndexRollbackError, errors.ScoreMismatchError, errors.IndexCertificateError}
    return sorted({*found} - {errors.PrivateIndexError, *of_the_client}, key=str)


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_every_error_of_the_server_arrives_as_itself(kind):
    given = kind("what is wrong", check="this")
    if kind is WriteConflictError:
        given.sequence = 7
    found = read_error(*write_error(given))
    assert type(found) is kind
    assert (str(found), found.check) == ("what is wrong", "this")
    assert getattr(found, "sequence", 7) == 7


def test_of_other_errors_only_the_name_is_told():
    status, body = write_error(StorageError("/var/lib/index.db failed"))
    assert (status, json.loads(body)) == (500, {"error": "StorageError"})
    assert "StorageError" in str(read_error(status, body))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b'{"error": "SystemExit"}',
        b'{"error": 3}',
        b'{"error": "WriteConflictError", "sequence": 1e400}',
        b"[" * 100_000,
        b"\xff",
    ],
)
@pytest.mark.parametrize(("status", "kind"), [(500, StorageError), (502, StoreUnavailableError), (404, StorageError)])
def test_what_a_proxy_says_instead_is_an_error_of_the_tree(status, body, kind):
    assert type(read_error(status, body)) is kind


@pytest.mark.parametrize("number", ["-1", "18446744073709551615", "1e999", "Infinity"])
def test_numbers_that_are_none_of_a_write_do_not_end_a_client(number):
    found = read_error(409, b'{"error": "WriteConflictError", "sequence": %s}' % number.encode())
    assert 0 <= getattr(found, "sequence", 0) < 2**63 - 1
    with pytest.raises(EnvelopeError):
        read_stats(b'{"t": {"i": {"rows": 1e999}}}')


# -------------------------------------------------------------------------------------------------- over the network


class HostileHandler(http.server.BaseHTTPRequestHandler):
    """Answers with much, or with little that is much when it is unpacked."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.server.asked.append(self.headers.get("accept-encoding"))
        body = self.server.body
        self.send_response(200)
        if self.server.encoding:
            self.send_header("Content-Encoding", self.server.encoding)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def hostile():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), HostileHandler) as server:
        server.asked, server.encoding = [], ""
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def send_both_ways(server):
    """What both ways of asking come to."""
    transport = HttpTransport(f"http://127.0.0.1:{server.server_port}", IndexToken.generate("acme"), resilience=QUICK)

    async def asend():
        try:
            return await transport.asend(b"x")
        except EnvelopeSizeError as error:
            return error
        finally:
            await transport.aclose()

    try:
        first = transport.send(b"x")
    except EnvelopeSizeError as error:
        first = error
    return first, asyncio.run(asend())


def test_an_answer_is_read_to_its_limit_and_no_further(hostile, monkeypatch):
    monkeypatch.setattr(index_http, "MOST_REPLY_BYTES", 100_000)
    hostile.body = bytes(100_000)
    assert send_both_ways(hostile) == (bytes(100_000),) * 2
    hostile.body = bytes(100_001)
    for found in send_both_ways(hostile):
        assert isinstance(found, EnvelopeSizeError)
        assert found.check == "oversized"


def test_an_answer_that_was_packed_is_not_unpacked(hostile):
    hostile.body, hostile.encoding = gzip.compress(bytes(2**24)), "gzip"
    assert send_both_ways(hostile) == (hostile.body,) * 2
    assert set(hostile.asked) == {"identity"}


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A server in another process: its address and a token."""
    file, port = tmp_path_factory.mktemp("index") / "index.db", free_port()
    with make_server(file) as made:
        token = made.add_account("acme")
    process = start_fake(file, port)
    yield f"http://127.0.0.1:{port}", token
    told = stop(process)
    assert "Traceback" not in told
    assert token.bearer() not in told


def connect(service, rings, **config):
    url, token = service
    transport = HttpTransport(url, token, resilience=QUICK)
    return make_client(None, token, rings, transport=transport, **config)


def test_a_client_in_another_process_finds_what_it_wrote(service):
    rings = make_rings()
    with connect(service, rings) as client:
        assert isinstance(client._transport, IndexTransport)
        for number in range(20):
            client.add("t", "s", f"e{number}:k", ROWS[number], expires_at=None)
        for number in range(20):
            assert client.search("t", "s", ROWS[number], k=1, now=0.0)[0].question == f"e{number}:k"


def test_eight_clients_at_once(service):
    rings = make_rings()
    clients = [connect(service, rings, tail_rows=16) for _ in range(8)]

    def work(number):
        for each in range(8):
            row = number * 8 + each
            clients[number].add("t", "s", f"e{row}:k", ROWS[row], expires_at=None)
            assert clients[number].search("t", "s", ROWS[row], k=1, now=0.0)[0].question == f"e{row}:k"

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    for client in clients:
        found = {hit.question for hit in client.search("t", "s", ROWS[0], k=64, now=0.0)}
        assert found == {f"e{row}:k" for row in range(64)}
        client.close()


async def test_the_asynchronous_way_goes_over_the_network_too(service):
    client = connect(service, make_rings())
    await client.aadd("t", "s", "a:1", ROWS[0], expires_at=None)
    hits = await asyncio.gather(*(client.asearch("t", "s", ROWS[0], k=1, now=0.0) for _ in range(4)))
    assert {hit[0].question for hit in hits} == {"a:1"}
    await client._transport.aclose()
    client.close()


def test_the_servers_refusals_arrive(service):
    url, token = service
    stranger, transport = HttpTransport(url, IndexToken.generate("acme")), HttpTransport(url, token)
    with pytest.raises(IndexAccessError):
        stranger.send(b"x")
    with pytest.raises(EnvelopeSizeError):
        transport.send(b"LEOX")
    wire = Wire(None, token)
    with pytest.raises(UnknownIndexError):
        transport.send(wire.make(Kind.CHANGES, bytes(8), index="none"))
    for each in (stranger, transport):
        each.close()


def test_what_is_not_there_is_said_to_be_out_of_reach():
    transport = HttpTransport(f"http://127.0.0.1:{free_port()}", IndexToken.generate("acme"), resilience=QUICK)
    with pytest.raises(StoreUnavailableError, match="cannot be reached \\(ConnectError\\)"):
        transport.send(b"x")
    with pytest.raises(StoreUnavailableError, match="cannot be reached"):
        asyncio.run(transport.asend(b"x"))


def test_a_busy_server_is_asked_again(monkeypatch, service):
    url, token = service
    transport = HttpTransport(url, token, resilience=QUICK)
    answers, real = iter([503, 429]), transport._client.stream

    def stream(method, target, content):
        status = next(answers, None)
        if status:
            return contextlib.nullcontext(httpx2.Response(status, stream=httpx2.ByteStream(b"")))
        return real(method, target, content=content)

    monkeypatch.setattr(transport._client, "stream", stream)
    assert transport.send(Wire(None, token).make(Kind.STATS, index=""))[:4] == b"LEOX"
    answers = iter([503] * 9)
    with pytest.raises(StoreUnavailableError, match="too busy"):
        transport.send(Wire(None, token).make(Kind.STATS, index=""))
    assert len(list(answers)) == 6
    transport.close()


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("index.example", "has an address such as"),
        ("ftp://index.example", "has an address such as"),
        ("https://", "has an address such as"),
        ("https://user:secret@index.example", "has an address such as"),
        ("http://index.example", "is not encrypted"),
        ("http://10.0.0.1:8400", "is not encrypted"),
    ],
)
def test_addresses_that_cannot_be_used_are_refused(url, match):
    with pytest.raises(ConfigError, match=match) as caught:
        HttpTransport(url, IndexToken.generate("acme"))
    assert "secret" not in str(caught.value)


def test_plain_http_is_for_this_machine_or_where_it_is_said():
    token = IndexToken.generate("acme")
    for url in ("http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1", "https://index.example"):
        assert url in repr(HttpTransport(url, token))
    assert HttpTransport("http://index.example", token, plain=True)
    assert token.bearer() not in repr(HttpTransport("http://localhost:1", token))
    with pytest.raises(ConfigError, match="timeout_s"):
        HttpTransport("http://localhost:1", token, timeout_s=0)


def test_the_token_comes_from_a_file_that_only_its_owner_reads(tmp_path, service):
    url, token = service
    file = tmp_path / "token"
    file.write_text(token.to_text() + "\n", encoding="ascii")
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="can be read by others"):
        index_at(url, file)
    file.chmod(0o600)
    make = index_at(url, file)
    one, two = make(make_rings()), make(make_rings())
    assert one.mode == "fully_encrypted"
    one.close()
    assert two.stats("t") == {}, "closing one of two leaves the other as it is"
    two.close()
    file.write_text("leo-index-1.acme.short", encoding="ascii")
    with pytest.raises(ConfigError, match="is not one"):
        index_at(url, file)
    with pytest.raises(ConfigError, match="cannot be read"):
        index_at(url, tmp_path / "nothing")


def test_killed_in_the_middle_of_writing_it_has_all_that_it_acknowledged(tmp_path):
    """kill -9, twice, while two clients write: nothing acknowledged is lost, nothing is there twice."""
    file, port, rings = tmp_path / "index.db", free_port(), make_rings()
    with make_server(file) as made:
        token = made.add_account("acme")
    written, stopped = [set(), set()], threading.Event()
    patient = ResilienceConfig(backoff_s=0.05, longest_backoff_s=0.2, longest_wait_s=30.0, max_retries=200)
    process = start_fake(file, port)

    def write(number):
        transport = HttpTransport(f"http://127.0.0.1:{port}", token, resilience=patient)
        client = make_client(None, token, rings, transport=transport, tail_rows=8)
        for each in itertools.count():
            if stopped.is_set():
                break
            row = (number * 100 + each) % 200
            client.add("t", "s", f"e{number}-{each}:k", ROWS[row], expires_at=None)
            written[number].add(f"e{number}-{each}:k")
        client.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(2):
        before = sum(map(len, written))
        while sum(map(len, written)) < before + 12:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        process = start_fake(file, port)
    stopped.set()
    for thread in threads:
        thread.join()
    stop(process)
    with make_server(file) as reopened:
        client = make_client(reopened, token, rings)
        hits = client.search("t", "s", ROWS[0], k=len(written[0] | written[1]) + 10, now=0.0)
        assert {hit.question for hit in hits} == written[0] | written[1]
        (figures,) = client.stats("t").values()
        assert figures["rows"] == len(written[0]) + len(written[1])
        client.close()


def test_an_in_process_transport_is_one_too(server, token):
    transport = InProcessTransport(server, token)
    assert isinstance(transport, IndexTransport)
    reply = asyncio.run(transport.asend(Wire(server, token).make(Kind.STATS)))
    assert reply[:4] == b"LEOX"
    with pytest.raises(LEOError):
        transport.send(b"")
    transport.close()
