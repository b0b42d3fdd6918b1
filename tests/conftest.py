"""Processes that tests start are not traced.

Tracing doubles their time, some of them are killed while they write, and what they run is measured here too.
"""

import os

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.pop("COVERAGE_PROCESS_CONFIG", None)
