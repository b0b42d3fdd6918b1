"""Processes that tests start are not traced.

Tracing doubles their time, some of them are killed while they write, and what they run is measured here too.
"""

import asyncio
import os

from hypothesis import HealthCheck, settings

settings.register_profile("leo", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("leo")
"""How long an example takes says more of the machine than of the code."""

asyncio.set_event_loop(None)
"""Otherwise the first asynchronous test makes pytest-asyncio create a loop in passing, which nobody closes."""

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.pop("COVERAGE_PROCESS_CONFIG", None)

LONG = (
    "core/privacy/test_index_end_to_end.py",
    "core/privacy/test_index_service.py",
    "core/engine/test_kill.py",
    "examples/test_examples.py",
    "core/engine/test_single_flight.py",
    "core/kernels/test_kernels_compile.py",
    "core/kernels/test_kernels_pcs.py",
    "core/storage/test_receipt_log.py",
    "core/engine/test_idempotency.py",
    "core/engine/test_budgets.py",
    "core/engine/test_chroma_outage.py",
    "core/engine/test_fault_injection.py",
    "core/privacy/test_keyring_load.py",
    "adapters/langchain/test_langchain_single_flight.py",
    "core/evaluation/test_cache_bench.py",
    "core/cache/test_cache_minimal_pairs_traffic.py",
    "packaging/test_wheels.py",
    "soak/test_two_writers.py",
    "soak/test_tenants.py",
)


def pytest_collection_modifyitems(items):
    """Files with few and long tests come first, so that no worker is left with them at the end."""
    items.sort(key=lambda item: not item.path.as_posix().endswith(LONG))
