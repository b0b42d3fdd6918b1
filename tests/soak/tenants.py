"""Threads of several tenants use one cache at random. Run: ``python -m tests.soak.tenants OPERATIONS SEED``.

Every value names the tenant and the model that it was kept for, so that a value that reaches anybody else is seen.
Prints what was found as one JSON object; ends with an error if there was a leak.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from langchain_core.outputs import Generation

from leo_langchain import LEOCache, tenant

TENANTS = ("acme", "acme ", "Acme", "globex", "default")
PROMPTS = ("How do I reset my password?", "How can I reset my password?", "Where are you?", "a", "b", "c")
MODELS = ("m", "n")
THREADS = 4


def run(folder: Path, operations: int, seed: int) -> dict[str, int]:
    """Do so many operations; returns how many of each kind there were, and how many leaks."""
    path = str(folder / "leo.db")
    counts: Counter[str] = Counter()
    lock = threading.Lock()
    settings: Any = {"max_wrong_hits": 0.3, "single_flight_wait_s": 0.1, "seed": seed}  # many look up and bring nothing
    with LEOCache(path, **settings) as cache:
        bound = {name: LEOCache(cache.leo.store.inner, tenant=name, **settings) for name in TENANTS[:2]}

        def work(number: int) -> None:
            dice = random.Random(f"{seed} {number}")
            own: Counter[str] = Counter()
            for step in range(operations // THREADS):
                owner, prompt, model = dice.choice(TENANTS), dice.choice(PROMPTS), dice.choice(MODELS)
                own[do(owner, prompt, model, f"{number}.{step}", dice)] += 1
            with lock:
                counts.update(own)

        def do(owner: str, prompt: str, model: str, value: str, dice: random.Random) -> str:
            draw = dice.random()
            if owner in bound and dice.random() < 0.3:  # the object says whose, and not a block
                return use(bound[owner], owner, prompt, model, value, draw)
            with tenant(owner):
                if dice.random() < 0.2:  # somebody else's turn comes in between
                    with tenant(dice.choice(TENANTS)):
                        cache.lookup(prompt, model)
                return use(cache, owner, prompt, model, value, draw)

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(work, range(THREADS)))
        failed = {name: count for name, count in cache.counts.items() if name.endswith("failed")}
        assert not failed, failed
    return {"operations": sum(counts.values()), "leaks": counts["leak"], **counts}


def use(cache: LEOCache, owner: str, prompt: str, model: str, value: str, draw: float) -> str:
    """One operation; tells which, or that it saw a leak."""
    if draw < 0.62:
        found = cache.lookup(prompt, model)
        if found is None:
            return "miss"
        return "hit" if found[0].text.split("|")[:2] == [owner, model] else "leak"
    if draw < 0.98:
        cache.update(prompt, model, [Generation(text=f"{owner}|{model}|{prompt}|{value}")])
        return "update"
    cache.clear(tenant=owner)
    return "clear"


def main() -> None:
    """Run, print, and fail where there was a leak."""
    with tempfile.TemporaryDirectory() as folder:
        found = run(Path(folder), int(sys.argv[1]), int(sys.argv[2]))
    sys.stdout.write(json.dumps(found) + "\n")
    sys.exit(found["leaks"] > 0)


if __name__ == "__main__":
    main()
