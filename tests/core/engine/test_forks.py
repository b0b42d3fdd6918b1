"""An engine that was used before the process forked, as with servers that load the application first."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

ROOT = str(Path(__file__).parents[3])
SCRIPT = f"""
import os, sys, threading, time
sys.path.insert(0, {ROOT!r})
from leo_core import LEO, Budget, LEOConfig
from leo_core.providers.scripted import ScriptedModel

def reply(request):
    if "slowly" in request.question:
        time.sleep(0.5)
    return request.question

def worker(*questions):
    child = os.fork()
    if child == 0:
        for question in questions:
            leo.ask(question)
        in_time = leo.flush(30.0)
        kept = sum(1 for _ in leo.store.entries("default"))
        leo._world.knowledge.refresh()
        requests = leo._world.knowledge.recall("default").promise.requests
        print(in_time, kept, requests, leo.budgets()[0].spent_usd, flush=True)
        leo.close()
        os._exit(0)
    return child

config = LEOConfig(budgets=(Budget(limit_usd=1.0, per="all", period="total"),))
leo = LEO(small=ScriptedModel("parrot", replies=reply, cost=0.01), store=sys.argv[1], config=config)
leo.ask("asked by the parent")
exec(sys.argv[2])
print(leo.flush(30.0), sum(1 for _ in leo.store.entries("default")), leo.log.audit(), flush=True)
leo.close()
"""


def run(store, code):
    arguments = [sys.executable, "-c", SCRIPT, str(store), code]
    found = subprocess.run(arguments, capture_output=True, text=True, timeout=100, check=False)
    assert found.returncode == 0, found.stderr
    return found.stdout.splitlines()


def test_workers_keep_their_answers_and_learn_from_each_other(tmp_path):
    code = """
leo.flush()
for questions in (("one", "two"), ("three", "one")):
    os.waitpid(worker(*questions), 0)
"""
    assert run(tmp_path / "leo.db", code) == ["True 3 3 0.03", "True 4 5 0.04", "True 4 5"]


def test_what_the_parent_was_about_to_keep_is_kept_once(tmp_path):
    """The fork comes while the background is at work, and while more waits for it."""
    code = """
leo._world.background.submit(lambda: time.sleep(0.3))
leo.ask("still to be kept")
child = worker("one")
os.waitpid(child, 0)
"""
    lines = run(tmp_path / "leo.db", code)
    assert lines[-1] == "True 3 3"
    assert lines[0].startswith("True ")


def test_a_worker_asks_more_than_the_queue_holds(tmp_path):
    code = """
leo.flush()
leo._world.background._capacity = 2
os.waitpid(worker(*map(str, range(5))), 0)
"""
    assert run(tmp_path / "leo.db", code) == ["True 6 6 0.06", "True 6 6"]
