"""What goes wrong in the first hour says what to do about it, whichever public entry it came through."""

from __future__ import annotations

import sqlite3
import subprocess
import sys

import pytest
from langchain_core.language_models import BaseChatModel
from pydantic import ValidationError

from leo_core import LEO, LEOConfig
from leo_core.errors import LEOError
from leo_core.storage.database import Database
from leo_langchain import LEOChatModel
from leo_llamaindex import LEOLLM
from tests.servers.anthropic_server import AnthropicServer
from tests.servers.loopback import Fault
from tests.servers.openai_server import OpenAIServer

QUESTION = "Is 2027 a leap year?"
KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "LEO_API_KEY", "LEO_BASE_URL")
ENTRIES = {"core": LEO, "langchain": LEOChatModel, "llamaindex": LEOLLM}


@pytest.fixture(autouse=True)
def no_keys(monkeypatch):
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)


def ask(entry):
    """One question, through whatever is given; everything is closed afterwards."""
    with entry as opened:
        if isinstance(opened, LEO):
            return opened.ask(QUESTION)
        return opened.invoke(QUESTION) if isinstance(opened, BaseChatModel) else opened.complete(QUESTION)


def message_of(call, *kinds):
    with pytest.raises(kinds or LEOError) as caught:
        call()
    return str(caught.value)


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize(
    ("name", "variable"), [("openai:gpt-5-mini", "OPENAI_API_KEY"), ("anthropic:claude-haiku-4-5", "ANTHROPIC_API_KEY")]
)
def test_a_missing_key_is_named_by_its_variable(entry, name, variable):
    said = message_of(lambda: ask(ENTRIES[entry](small=name)))
    assert variable in said
    assert "api_key=" in said


@pytest.mark.parametrize(("server", "name"), [(OpenAIServer, "openai"), (AnthropicServer, "anthropic")])
def test_a_refused_key_and_an_unknown_model_say_what_to_look_at(server, name):
    nearly = {"openai": "gpt-5-mimi", "anthropic": "claude-haiku-4.5"}[name]
    right = {"openai": "gpt-5-mini", "anthropic": "claude-haiku-4-5"}[name]
    with server() as running:
        model = LEOChatModel(small=f"{name}:{nearly}", api_key="sk-SECRET", base_url=running.base_url, max_retries=0)
        running.fault = Fault(status=401)
        refused = message_of(lambda: ask(model))
        running.fault = Fault(status=404)
        unknown = message_of(lambda: ask(model))
    assert f"{name.upper()}_API_KEY" in refused
    assert "SECRET" not in refused
    assert right in unknown


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize(
    ("given", "likely"),
    [
        ("opnai:gpt-5-mini", "openai:gpt-5-mini"),
        ("gpt-5-mini", "openai:gpt-5-mini"),
        ("claude-sonnet-4-5", "anthropic:claude-sonnet-4-5"),
        ("extractiv", "extractive"),
    ],
)
def test_a_name_that_is_nearly_right_is_put_right(entry, given, likely):
    said = message_of(lambda: ask(ENTRIES[entry](small=given)))
    assert f"did you mean {likely!r}?" in said


def test_a_name_that_is_like_none_lists_the_forms_and_a_method_the_methods():
    said = message_of(lambda: LEO(small="quantum"))
    assert "did you mean" not in said
    assert '"openai:<model>"' in said
    assert "words, vectors, letters" in message_of(lambda: LEO(small="extractive:guess"))


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
def test_a_missing_sdk_is_named_by_its_pip_line(entry, sdk, monkeypatch):
    from importlib import util

    found = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name, *rest: None if name == sdk else found(name, *rest))
    said = message_of(lambda: ask(ENTRIES[entry](small=f"{sdk}:m")))
    assert f"pip install 'leo-core[{sdk}]'" in said


def _open_kek(name):
    from leo_core.storage.kek_names import open_kek

    open_kek(name).wrap(b"0" * 32, aad=b"")


def _open_index():
    from leo_core.storage.index_http import HttpTransport

    HttpTransport("http://127.0.0.1:1", "token")


def _draw(path):
    from leo_core.evaluation.figures import check_figure

    check_figure(path / "plot.png")


@pytest.mark.parametrize(
    ("module", "extra", "call"),
    [
        ("chromadb", "chroma", lambda path: LEO(small="extractive", store=f"chroma:{path}/c")),
        ("hvac", "vault", lambda path: _open_kek("vault:transit/leo")),
        ("pkcs11", "pkcs11", lambda path: _open_kek("pkcs11:token=t;object=k?module-path=/m.so")),
        ("httpx2", "index", lambda path: _open_index()),
        ("matplotlib", "bench", _draw),
    ],
)
def test_a_missing_extra_is_named_by_its_pip_line(module, extra, call, tmp_path, monkeypatch):
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:1")
    monkeypatch.setenv("VAULT_TOKEN", "t")
    monkeypatch.setenv("LEO_PKCS11_PIN", "1234")
    for loaded in [name for name in sys.modules if name == module or name.startswith(f"{module}.")]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, module, None)
    assert f"pip install 'leo-core[{extra}]'" in message_of(lambda: call(tmp_path))


def test_encryption_without_its_extra_is_named_by_its_pip_line():
    """In a process of its own: once loaded, the library stays."""
    program = (
        "import sys; sys.modules['tenseal.sealapi'] = None\n"
        "from leo_core.errors import LEOError\n"
        "try:\n"
        "    from leo_core.privacy.ckks.fhe_secret import FheSecret\n"
        "    from leo_core.privacy.ckks.params import FheParams\n"
        "    FheSecret.generate(FheParams.preset('score128'))\n"
        "except LEOError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert "pip install 'leo-core[fhe]'" in done.stdout


@pytest.mark.parametrize("entry", ENTRIES)
def test_no_member_says_how_to_give_one(entry):
    said = message_of(lambda: ask(ENTRIES[entry]()), LEOError, ValidationError)
    assert "small=" in said
    assert "jury=" in said


@pytest.mark.parametrize("entry", ["langchain", "llamaindex"])
def test_a_misspelt_argument_and_preset_are_put_right(entry):
    made = ENTRIES[entry]
    assert "did you mean 'max_wrong_hits'?" in message_of(
        lambda: made(small="extractive", max_wrong_hit=0.1), LEOError, ValidationError
    )
    assert "did you mean 'verified'?" in message_of(lambda: made.from_preset("verify", small="extractive"))
    said = message_of(lambda: made(small="extractive", privacy="sealed"), LEOError, ValidationError)
    assert "sealed_local" in said


def test_an_unknown_preset_route_and_embedder_list_what_there_is():
    assert "economy, balanced, verified, private" in message_of(lambda: LEOConfig.preset("fast"))
    with LEO(small="extractive") as leo:
        assert "consensus" in message_of(lambda: leo.ask(QUESTION, route="fastest"))
    assert "default, hashed, static" in message_of(lambda: LEO(small="extractive", embedder="bert"))


# ------------------------------------------------------------------------------------------------------- stores

STORES = {
    "core": lambda path, **more: LEO(small="extractive", store=path, **more),
    "langchain": lambda path, **more: LEOChatModel(small="extractive", store=path, **more),
    "llamaindex": lambda path, **more: LEOLLM(small="extractive", store=path, **more),
}


@pytest.mark.parametrize("entry", STORES)
def test_a_file_that_is_no_store_is_left_as_it_is(entry, tmp_path):
    path = tmp_path / "notes.db"
    path.write_bytes(b"My notes. " * 500)
    said = message_of(lambda: ask(STORES[entry](path)))
    assert "restore a copy or choose another path" in said
    assert path.read_bytes() == b"My notes. " * 500


@pytest.mark.parametrize("entry", STORES)
def test_a_store_of_a_newer_leo_says_upgrade(entry, tmp_path):
    path = tmp_path / "leo.db"
    Database(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    assert "upgrade leo-core or choose another path" in message_of(lambda: ask(STORES[entry](path)))


@pytest.mark.parametrize("entry", STORES)
def test_a_store_of_another_embedder_says_which(entry, tmp_path):
    path = tmp_path / "leo.db"
    with LEO(small="extractive", store=path, embedder="hashed") as leo:
        leo.ask(QUESTION)
        leo.flush()
    said = message_of(lambda: ask(STORES[entry](path)))
    assert "hashed" in said
    assert "embedder=" in said


def test_a_store_that_another_key_signed_asks_for_that_key(tmp_path):
    path = tmp_path / "leo.db"
    with LEO(small="extractive", store=path) as leo:
        leo.ask(QUESTION)
    (tmp_path / "leo.db.key").rename(tmp_path / "lost.key")
    said = message_of(lambda: LEO(small="extractive", store=path))
    assert "give the key file that signed them as signing_key" in said


def test_a_store_that_cannot_be_written_says_check_the_rights(tmp_path):
    assert "check that path, folder and rights" in message_of(lambda: LEO(small="extractive", store=tmp_path))


def test_a_locked_store_says_end_the_other_writer(tmp_path):
    path = tmp_path / "leo.db"
    Database(path).close()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        with Database(path, busy_timeout_s=0.0) as database:
            said = message_of(lambda: database.write().__enter__())
    finally:
        holder.close()
    assert "end the other writer" in said


def test_a_missing_tenant_says_how_to_name_one():
    with LEO(small="extractive", config=LEOConfig(require_tenant=True)) as leo:
        assert "give the request a tenant" in message_of(lambda: leo.ask(QUESTION))


@pytest.mark.parametrize("entry", [LEOChatModel, LEOLLM])
@pytest.mark.parametrize(
    "wrong",
    [
        {"smal": "openai:gpt-5-mini"},
        {"small": None},
        {"small": "openai:gpt-5-mini", "privacy": "no such mode"},
        {"small": "openai:gpt-5-mini", "max_error": 7},
        {"small": "openai:gpt-5-mini", "api_key": ["sk-in-a-list"]},
        {"small": "openai:gpt-5-mini", "api_key": {"openai": ["sk-in-a-list"]}},
    ],
)
def test_a_refused_setting_shows_no_key(entry, wrong):
    said = message_of(lambda: entry(**{"api_key": "sk-alone", "signing_key": "sk-signing", **wrong}), Exception)
    assert "sk-" not in said
