"""What an import loads. Each check runs in a fresh interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

HEAVY = (
    *("numba", "openai", "anthropic", "chromadb", "tenseal", "hvac", "pkcs11"),
    *("matplotlib", "langchain_core", "llama_index"),
)


def modules_after(code):
    """Which heavy modules are loaded after running ``code`` in a fresh interpreter, and the seconds it took."""
    program = f"""
import json, sys, time
started = time.perf_counter()
{code}
took = time.perf_counter() - started
print(json.dumps([sorted(sys.modules), took]))
"""
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120, env=unmeasured
    )
    modules, took = json.loads(done.stdout)
    return set(modules), took


def test_importing_leo_core_is_light():
    modules, _ = modules_after("import leo_core")
    assert not modules & {*HEAVY, "numpy", "cryptography", "pydantic", "sqlite3"}


def test_records_configs_and_the_command_line_load_neither_numba_nor_an_sdk():
    modules, _ = modules_after("import leo_core.config, leo_core.records, leo_core.ports, leo_core.cli.app")
    assert not modules & set(HEAVY)


def test_verifying_a_receipt_loads_neither_numpy_nor_numba():
    modules, _ = modules_after("from leo_core import verify_receipt")
    assert not modules & {*HEAVY, "numpy"}


def test_a_keyring_loads_neither_numpy_nor_what_other_keks_need():
    modules, _ = modules_after(
        "import leo_core.privacy.keys.keyring, leo_core.storage.kek_names, leo_core.storage.keyfile"
    )
    assert not modules & {*HEAVY, "numpy", "requests", "pydantic"}


def test_the_server_of_encrypted_search_knows_no_secret_side_and_loads_seal_and_numba_when_it_computes():
    modules, _ = modules_after("import leo_core.privacy.ckks.block_scoring, leo_core.privacy.ckks.params")
    assert not modules & {*HEAVY, "leo_core.privacy.ckks.fhe_secret", "leo_core.privacy.ckks.seal"}
    modules, _ = modules_after("import leo_core.privacy.ckks.fhe_secret")
    assert not modules & set(HEAVY)


def test_an_index_server_knows_no_secret_side_and_the_client_loads_no_seal():
    modules, _ = modules_after("import leo_core.privacy.index.server, leo_core.privacy.index.service")
    assert not modules & {
        *HEAVY,
        "leo_core.privacy.ckks.fhe_secret",
        "leo_core.privacy.keys.keyring",
        "leo_core.privacy.ckks.seal",
    }
    modules, _ = modules_after("import leo_core.privacy.index.client, leo_core.storage.index_http")
    assert not modules & {*HEAVY, "starlette", "uvicorn"}


def test_a_provider_loads_its_sdk_only_when_it_is_called():
    modules, _ = modules_after(
        "from leo_core.providers.names import resolve_model\n"
        "resolve_model('openai:gpt-5-mini'); resolve_model('anthropic:claude-sonnet-4-5'); resolve_model('extractive')"
    )
    assert not modules & {"openai", "anthropic", "numba"}


def test_importing_leo_langchain_loads_neither_agents_nor_the_engine():
    modules, _ = modules_after("import leo_langchain")
    assert not modules & {"langchain", "langgraph", "numba", "llama_index"}


def test_without_the_extra_a_middleware_names_it_and_the_rest_works():
    done = subprocess.run(
        [
            *(sys.executable, "-c"),
            (
                "import sys\nsys.modules['langchain'] = None\nimport leo_langchain\n"
                "leo_langchain.LEOCache()\nleo_langchain.LEOCacheMiddleware"
            ),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (
        "MissingExtraError: LEOCacheMiddleware needs an optional part: pip install 'leo-langchain[agents]'"
        in done.stderr
    )


def test_listeners_load_what_they_need_alone_and_say_what_brings_it():
    modules, _ = modules_after(
        "import leo_core.engine.leo, leo_core.telemetry.logs\n"
        "sys.modules['opentelemetry'] = sys.modules['prometheus_client'] = None\n"
        "from leo_core.errors import MissingExtraError\n"
        "for name in ('otel', 'prometheus'):\n"
        "    try: __import__(f'leo_core.telemetry.{name}')\n"
        "    except MissingExtraError as error: assert f'leo-core[{name}]' in str(error), error\n"
        "    else: raise AssertionError(name)\n"
        "del sys.modules['opentelemetry'], sys.modules['prometheus_client']\n"
    )
    assert not [name for name in modules if name.startswith(("opentelemetry", "prometheus_client"))]


@pytest.mark.parametrize(
    "name",
    [
        "LEO",
        "Answer",
        "Chunk",
        "LEOConfig",
        "Message",
        "Receipt",
        "Request",
        "Route",
        "load_embedder",
        "load_pair_model",
        "verify_receipt",
    ],
)
def test_the_public_door_opens_to_what_it_names(name):
    import leo_core

    assert getattr(leo_core, name).__name__ == name
    assert name in dir(leo_core)


def test_the_door_names_nothing_twice_and_an_unknown_name_is_an_attribute_error():
    import leo_core

    assert len(leo_core.__all__) == len(set(leo_core.__all__))
    with pytest.raises(AttributeError, match="nothing"):
        _ = leo_core.nothing
