"""An engine that was used before the process forked, as with servers that load the application first."""

from __future__ import annotations

import atexit
import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from leo_core import LEO
from leo_core.providers.scripted import ScriptedModel
from leo_core.storage import forks

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


def test_engines_that_are_gone_leave_nothing_to_be_told_or_done_at_the_end(tmp_path, monkeypatch):
    """An application may make an engine for each request."""

    def use():
        with LEO(small=ScriptedModel("parrot", replies="Hello."), store=tmp_path / "leo.db") as leo:
            leo.ask("Hello?")

    use()
    gc.collect()
    told, registered, at_exit = len(forks._WATCHERS._watchers), [], []
    monkeypatch.setattr(atexit, "register", at_exit.append)
    monkeypatch.setattr(atexit, "unregister", lambda one: at_exit.remove(one) if one in at_exit else None)
    monkeypatch.setattr(os, "register_at_fork", lambda **hooks: registered.append(hooks))
    for _ in range(5):
        use()
    gc.collect()
    assert len(forks._WATCHERS._watchers) <= told
    assert (registered, at_exit) == ([], [])


def test_those_that_are_told_before_a_fork_are_told_after_it(monkeypatch, caplog):
    hooks, heard = {}, []
    monkeypatch.setattr(os, "register_at_fork", lambda **given: hooks.update(given))

    class Watcher:
        def __init__(self, name):
            self.name = name

        def before_fork(self):
            heard.append(f"before {self.name}")
            if self.name == "broken":
                raise RuntimeError("no")

        def after_fork_in_parent(self):
            heard.append(f"after {self.name}")

        def after_fork_in_child(self):
            heard.append(f"child {self.name}")

    watchers = forks._Watchers()
    kept = [Watcher("old"), Watcher("broken"), Watcher("young"), Watcher("gone")]
    for each in kept:
        watchers.add(each)
    del kept[3], each
    gc.collect()
    hooks["before"]()
    late = Watcher("late")
    watchers.add(late)
    del kept  # what is prepared for a fork has to hear of its end
    gc.collect()
    hooks["after_in_parent"]()
    assert heard == ["before young", "before broken", "before old", "after old", "after broken", "after young"]
    assert "Watcher was not prepared for a fork" in caplog.text
    heard.clear()
    hooks["before"]()
    hooks["after_in_child"]()
    assert (heard[0], heard[-1]) == ("before late", "child late")
