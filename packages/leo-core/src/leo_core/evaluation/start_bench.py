"""Cold and warm start, each measured in a fresh process."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from typing import Any

import numpy as np

__all__ = ["measure_starts"]

RUNS = 5

_FIRST_ANSWER = """
import json, sys, time
started = time.perf_counter()
import leo_core
imported = time.perf_counter()
leo = leo_core.LEO("extractive")
made = time.perf_counter()
leo.ask("Context: Paris is the capital of France. Question: What is the capital of France?")
answered = time.perf_counter()
leo.ask("Context: Rome is the capital of Italy. Question: What is the capital of Italy?")
again = time.perf_counter()
leo.close()
print(json.dumps({"import_s": imported - started, "first_answer_s": answered - started,
                  "make_s": made - imported, "ask_s": answered - made, "second_ask_s": again - answered,
                  "numba": "numba" in sys.modules}))
"""

_RECEIPT = """
import json, sys, time
started = time.perf_counter()
from leo_core.stages.receipt.keys import SigningKey
from leo_core.stages.receipt.verify import verify_receipt
from leo_core.errors import NotAReceiptError
key = SigningKey.generate()
try:
    verify_receipt({}, public_key=key.public.to_pem())
except NotAReceiptError:
    pass
print(json.dumps({"first_answer_s": time.perf_counter() - started, "numba": "numba" in sys.modules}))
"""


def measure_starts(runs: int = RUNS) -> dict[str, Any]:
    """Seconds from the first import to the first answer of the local reader, and of the receipt path.

    Returns:
        ``cold`` (one run with an empty folder for machine code), ``warm`` and ``receipt`` (medians of ``runs``), each
        with ``first_answer_s`` and whether numba was loaded.
    """
    with tempfile.TemporaryDirectory() as folder:
        cold = _run(_FIRST_ANSWER, folder)
        warm = [_run(_FIRST_ANSWER, folder) for _ in range(runs)]
        receipt = [_run(_RECEIPT, folder) for _ in range(runs)]
    return {"cold": cold, "warm": _median(warm), "receipt": _median(receipt)}


def _run(code: str, folder: str) -> dict[str, Any]:
    with_folder = f"import os; os.environ['NUMBA_CACHE_DIR'] = {folder!r}\n{code}"
    done = subprocess.run(  # noqa: S603 - this Python, with the code above
        [sys.executable, "-c", with_folder], capture_output=True, text=True, check=True, timeout=300
    )
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _median(runs: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        name: any(run[name] for run in runs) if isinstance(value, bool) else float(np.median([r[name] for r in runs]))
        for name, value in runs[0].items()
    }
