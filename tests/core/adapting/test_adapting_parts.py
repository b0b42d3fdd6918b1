"""Lazy parts, closing, members, and sums of answers."""

from __future__ import annotations

import asyncio
import copy
import gc
import html
import json
import pickle
import subprocess
import sys
import threading
from dataclasses import dataclass

import pytest

from leo_core.adapting.closing import Closeable
from leo_core.adapting.engines import MOST_ENGINES, Engines
from leo_core.adapting.framework_model import FrameworkModel
from leo_core.adapting.lazy import Lazy, LazyEngine
from leo_core.adapting.members import MemberNames, MemberPicker, OwnModels, name_member
from leo_core.adapting.summary import Summary
from leo_core.adapting.tally import MOST_KEPT, Tally
from leo_core.engine.leo import LEO
from leo_core.errors import ConfigError
from leo_core.providers.scripted import ScriptedModel
from leo_core.records import Capabilities, Message, Request, Sampling, Usage

# ----------------------------------------------------------------------------------------------------- lazy


def test_threads_build_one_and_all_get_it():
    lazy, built, together = Lazy(), [], threading.Barrier(8)
    got = []

    def build():
        built.append(object())
        return built[-1]

    def work():
        together.wait()
        got.append(lazy.get(build))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1
    assert got == built * 8


async def test_building_leaves_the_loop_free():
    lazy, threads = Lazy(), []

    def build():
        threads.append(threading.current_thread())
        return "built"

    assert await asyncio.gather(lazy.aget(build), lazy.aget(build)) == ["built", "built"]
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()
    assert await lazy.aget(pytest.fail) == "built"


@pytest.mark.parametrize("kind", [Lazy, LazyEngine])
@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda lazy: pickle.loads(pickle.dumps(lazy))])
def test_copies_and_pickles_start_empty(kind, again):
    lazy = kind()
    lazy.get(lambda: "built")
    copied = again(lazy)
    assert type(copied) is kind
    assert copied.built is None
    assert lazy.built == "built"
    assert copied.get(lambda: "own") == "own"


def test_what_is_taken_is_built_anew():
    lazy = Lazy()
    assert lazy.take() is None
    lazy.get(lambda: 1)
    assert lazy.take() == 1
    assert lazy.built is None
    assert lazy.get(lambda: 2) == 2


class Closed(Closeable):
    def __init__(self):
        self.threads = []

    def close(self):
        self.threads.append(threading.current_thread())


def test_an_engine_is_closed_once():
    engine, held = LazyEngine(), Closed()
    engine.close()
    engine.get(lambda: held)
    engine.close()
    engine.close()
    assert len(held.threads) == 1
    assert engine.built is None


async def test_a_block_closes_at_its_end():
    with Closed() as thing:
        assert not thing.threads
    assert thing.threads == [threading.current_thread()]
    async with Closed() as thing:
        assert not thing.threads
    assert len(thing.threads) == 1
    assert thing.threads[0] is not threading.current_thread()


# -------------------------------------------------------------------------------------------------- engines


def test_of_many_engines_the_one_not_used_for_longest_is_let_go_and_closed_when_its_call_has_ended():
    engines, going_on, asked, closed = Engines(), threading.Event(), threading.Event(), threading.Event()

    class Slow(ScriptedModel):
        def generate(self, request):
            asked.set()
            assert going_on.wait(20)
            return super().generate(request)

        def close(self):
            closed.set()

    first = engines.find({"key": 0})
    answers = []
    caller = threading.Thread(
        target=lambda: answers.append(first.get(lambda: LEO(Slow("slow", replies="done"))).ask("Well?").text)
    )
    caller.start()
    assert asked.wait(20)
    for key in range(1, MOST_ENGINES):
        engines.find({"key": key})
    assert engines.find({"key": 0}) is first, "used again, it is not the oldest any more"
    second = engines.find({"key": 1})
    for key in range(MOST_ENGINES, 2 * MOST_ENGINES - 1):
        engines.find({"key": key})
    assert engines.find({"key": 1}) is second
    assert engines.find({"key": 0}) is not first
    assert first.built is None
    assert not closed.is_set()
    going_on.set()
    caller.join(20)
    gc.collect()
    assert closed.wait(20)
    assert answers == ["done"]


# -------------------------------------------------------------------------------------------------- members


@dataclass(eq=False)
class Own:
    name: str
    max_tokens: object = None


class OwnMember(FrameworkModel):
    def __init__(self, model, *, id=None, family=None, prices=None):  # noqa: A002 - the port's own word
        super().__init__(
            model, provider="own", name=model.name, fingerprint={"class": "Own"}, id=id, family=family, prices=prices
        )

    @property
    def capabilities(self):
        return Capabilities()

    def cost(self, usage, name):
        return self._price_as(usage, name)


OWN = OwnModels(kind=Own, called="an Own", name=lambda model: ("own", model.name), wrap=OwnMember)


def ask(**sampling):
    return Request(messages=(Message(role="user", content="x" * 70),), sampling=Sampling(**sampling))


def test_members_sit_in_their_roles_and_each_counts_once():
    first, second, core = Own("a"), Own("a"), ScriptedModel("parrot", "x")
    panel = MemberPicker(own=OWN).pick_panel(first, core, [first, None, second, "extractive", "extractive", core])
    assert [member.id for member in panel.jury] == ["own:a", "own:a#2", "extractive", "extractive", "parrot"]
    assert panel.small is panel.jury[0]
    assert panel.jury[2] is panel.jury[3]
    assert panel.large is panel.jury[4] is core
    assert [member.id for member in panel.members] == ["own:a", "parrot", "own:a#2", "extractive"]
    alone = MemberPicker(own=OWN).pick_panel(None, first, ())
    assert (alone.small, alone.jury) == (None, ())
    assert len(alone.members) == 1


def test_options_go_to_the_provider_that_they_are_for():
    options = {"api_key": {"openai": "o"}, "base_url": "http://host/v1", "timeout_s": None, "max_retries": 7}
    picker = MemberPicker(own=OWN, options=options, prices={"house": {"input": 2.0, "output": 4.0}})
    openai, claude = picker.pick_panel(None, None, ["openai:house", "anthropic:house"]).jury
    assert (openai._api_key, claude._api_key) == ("o", None)
    assert openai.fingerprint["base_url"] == claude.fingerprint["base_url"] == "http://host/v1"
    assert (openai._max_retries, openai._timeout_s) == (7, 60)
    million = Usage(input_tokens=1_000_000)
    assert openai.price(million) == claude.price(million) == 2.0
    own = picker.pick_panel(Own("house"), None, ()).small
    assert own.price(million) == 2.0


def test_what_is_no_member_is_refused():
    with pytest.raises(ConfigError, match=r"an Own or a leo_core model, not int"):
        MemberPicker(own=OWN).pick_panel(7, None, ())


def test_names_before_anything_is_built():
    assert name_member("openai:x", OWN) == "openai:x"
    assert name_member(Own("a"), OWN) == "own:a"
    assert name_member(ScriptedModel("http://me:s@host", "x"), OWN) == "http://host"
    assert name_member(7, OWN) == "int"


def test_a_framework_model_has_an_identity_and_prices():
    member = OwnMember(Own("gpt-house"), prices={"gpt-house": {"input": 2.0, "output": 4.0}})
    assert (member.id, member.family, repr(member)) == ("own:gpt-house", "gpt", "OwnMember('own:gpt-house')")
    assert member.fingerprint == {"class": "Own"}
    named = OwnMember(Own("gpt-house"), id="mine", family="ours")
    assert (named.id, named.family) == ("mine", "ours")
    usage = Usage(input_tokens=1_000_000, output_tokens=1_000_000)
    assert member.price(usage) == 6.0
    assert named.price(usage) is None
    assert member.cost(usage, "unheard-of") == 6.0
    assert member.cost(Usage(input_tokens=1_000_000), "gpt-4o") != 2.0
    member.close()


@pytest.mark.parametrize(
    ("own", "asked", "output"), [(None, None, 1024), (9, None, 9), (9, 5, 5), ("many", None, 1024), (None, 5, 5)]
)
def test_the_estimate_is_what_the_reply_may_cost(own, asked, output):
    member = OwnMember(Own("house", own), prices={"house": {"input": 1.0, "output": 1.0}})
    estimate = member.estimate(ask(max_tokens=asked))
    assert (estimate.output_tokens, estimate.calls) == (output, 1)
    assert estimate.input_tokens >= 20
    assert estimate.cost_usd == pytest.approx((estimate.input_tokens + output) / 1e6)


# ----------------------------------------------------------------------------------------------------- sums


def add(tally, **more):
    facts = {"route": "small", "model": "m", "hit": False, "input_tokens": 3, "output_tokens": 2}
    tally.add_answer(**{**facts, "cost_usd": 0.5, "saved_usd": None, **more})


def test_answers_add_up():
    tally = Tally()
    add(tally, calls=1, risk=0.25, receipt="r1")
    add(tally, calls=1, route="cache", hit=True, cost_usd=0.0, saved_usd=-0.25, risk=0.75)
    add(tally, calls=1, model="n", cost_usd=None)
    tally.add_receipt("r2")
    tally.count(errors=2)
    figures = tally.figures("calls", "errors", "never")
    assert {name: figures.pop(name) for name in ("calls", "errors", "never")} == {"calls": 3, "errors": 2, "never": 0}
    assert Summary(**figures) == Summary(
        hits=1, routes={"small": 2, "cache": 1}, models={"m": 2, "n": 1}, input_tokens=9, output_tokens=6,
        spent_usd=0.5, saved_usd=-0.25, unpriced=1, risks=(0.25, 0.75), receipts=("r1", "r2"),
    )  # fmt: skip
    assert tally.spent_usd == 0.5


def test_threads_lose_nothing_and_the_last_are_kept():
    tally = Tally()

    def work():
        for _ in range(MOST_KEPT // 4):
            add(tally, risk=0.25, calls=1)
            tally.count(errors=1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    figures = tally.figures("calls", "errors")
    assert (figures["calls"], figures["errors"], figures["spent_usd"]) == (20_000, 20_000, 10_000.0)
    assert len(figures["risks"]) == MOST_KEPT


def test_a_summary_shows_itself_everywhere():
    summary = Summary(routes={"small": 1, "large": 2}, models={"<b>": 3}, unpriced=1, risks=(0.25, 0.75))
    assert summary.mean_risk == 0.5
    assert summary.to_dict()["mean_risk"] == 0.5
    assert json.loads(json.dumps(summary.to_dict()))["risks"] == [0.25, 0.75]
    rows = ["large 2, small 1", "$0.000000, 1 of unknown price", "mean 0.500, highest 0.750"]
    page = html.unescape(summary._repr_html_())
    for row in rows:
        assert row in str(summary)
        assert row in page
        assert row in list(summary.__rich__().columns[1].cells)
    assert "<b>" not in summary._repr_html_()
    assert Summary().mean_risk is None
    assert str(Summary()).count("none") == 3


def test_adapters_load_neither_numba_nor_an_sdk():
    program = (
        "import sys, pkgutil, importlib, leo_core.adapting as room\n"
        "for found in pkgutil.iter_modules(room.__path__, 'leo_core.adapting.'): importlib.import_module(found.name)\n"
        "assert not {'langchain_core', 'llama_index', 'numpy'} & set(sys.modules), 'the room knows a framework'\n"
        "import leo_langchain.chat_model, leo_langchain.cache, leo_llamaindex\n"
        "print(sorted({'numba', 'openai', 'anthropic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


def test_members_are_named_anew_when_they_are_others() -> None:
    asked: list[object] = []

    def ask_name(given: object) -> tuple[str, str]:
        asked.append(given)
        return "own", str(given)

    own = OwnModels(kind=int, called="a number", name=ask_name, wrap=FrameworkModel)
    names = MemberNames()
    assert names.join((), own) == ""
    assert [names.join(("openai:a", 7, 7), own) for _ in range(2)] == ["openai:a+own:7"] * 2
    assert asked == [7, 7]
    assert names.join((7, 8), own) == "own:7+own:8"
    assert names.join((8,), own) == "own:8"
