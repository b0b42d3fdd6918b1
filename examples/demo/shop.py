"""The bicycle shop: its handbook, the members that answer for it, and the chain and the tool made of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from members import EmbeddingReader, FaultyReader, LexicalReader, PriceTag

from leo_core import LEOConfig
from leo_langchain import LEOCallbackHandler, LEOChatModel

if TYPE_CHECKING:
    from langchain_core.outputs import LLMResult
    from langchain_core.runnables import Runnable

    from leo_core import Answer, Request

__all__ = ["Shop", "open_shop", "read_handbook", "rental_price", "settings"]

SMALL_TAG = PriceTag(input_usd=0.15, output_usd=0.60)
LARGE_TAG = PriceTag(input_usd=3.00, output_usd=15.00)
FAULTY_TAG = PriceTag(input_usd=0.15, output_usd=0.60)
"""The demo's price tags, in US dollars per million tokens, as hosted models of two sizes ask. The readers are free."""
MAX_WRONG_HITS = 0.05
AUDIT_RATE = 0.5
PAUSE_S = 0.04
SEED = 7

HANDBOOK = Path(__file__).parent / "handbook"
DAILY_EUROS = {"city bike": 15, "cargo bike": 32}


def read_handbook() -> dict[str, str]:
    """The handbook's sections by title, each as running text."""
    sections = {}
    for path in sorted(HANDBOOK.glob("*.md")):
        title, text = path.read_text(encoding="utf-8").split("\n", 1)
        sections[title.removeprefix("# ")] = re.sub(r"\s+", " ", text).strip()
    return sections


def settings() -> LEOConfig:
    """The preset ``economy`` with the demo's promise and audits.

    Waiting has no price here, so that the router's choices are the same on every machine.
    """
    economy = LEOConfig.preset("economy")
    return replace(
        economy,
        cache=replace(economy.cache, max_wrong_hits=MAX_WRONG_HITS),
        route=replace(economy.route, latency_usd_per_s=0.0),
        audit_rate=AUDIT_RATE,
    )


@tool
def rental_price(bike: Literal["city bike", "cargo bike"], days: int) -> str:
    """Work out what the rental of a bike costs for a number of days."""
    return f"The rental of a {bike} for {days} days costs {DAILY_EUROS[bike] * days} euros."


class Recorder(BaseCallbackHandler):
    """Keeps what the answers' metadata says, in order: a parser at the end of a chain drops it."""

    def __init__(self) -> None:
        self.facts: list[dict[str, Any]] = []

    def on_llm_end(self, response: LLMResult, **_: Any) -> None:
        """Keep the metadata of one answer."""
        self.facts.append(response.generations[0][0].message.response_metadata["leo"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """The chain and what watches it.

    Attributes:
        model: LEO as a chat model.
        prompt: The handbook as the system message, the question as the user's.
        handler: Adds up what is spent and saved.
        facts: The right fact per question asked so far, for audits: a checker may know what the members do not.
    """

    model: LEOChatModel
    prompt: ChatPromptTemplate
    handler: LEOCallbackHandler
    facts: dict[str, str]

    def chain(self, **settings: Any) -> Runnable[dict[str, str], str]:
        """``prompt | model | parser``; settings are keywords of the model's call, such as ``route``."""
        return self.prompt | self.model.bind(**settings) | StrOutputParser()

    def ask(self, question: str, **settings: Any) -> dict[str, Any]:
        """Ask through the chain; returns every figure of the answer (``LEO.explain``), with ``text``."""
        recorder = Recorder()
        text = self.chain(**settings).invoke({"question": question}, {"callbacks": [self.handler, recorder]})
        return {"text": text, **self.explain(recorder.facts[-1]["answer_id"])}

    def explain(self, answer_id: str) -> dict[str, Any]:
        """Every figure of an answer; what was learned from it is written first, so that the demo is repeatable."""
        self.model.leo.flush()
        return self.model.leo.explain(answer_id)


def open_shop(store: Path) -> Shop:
    """The shop with its members, in a store."""
    small, large = LexicalReader(SMALL_TAG), EmbeddingReader(LARGE_TAG, pause_s=PAUSE_S)
    facts: dict[str, str] = {}

    def check_fact(request: Request, answer: Answer) -> bool | None:
        fact = facts.get(request.question)
        return None if fact is None else fact in answer.text

    model = LEOChatModel(
        small=small,
        large=large,
        jury=(small, large, FaultyReader(large, FAULTY_TAG)),
        config=settings(),
        store=store,
        checker=check_fact,
        engine_seed=SEED,
    )
    prompt = ChatPromptTemplate([
        ("system", "Answer the customer of Harbour Bikes from the context.\n\nContext:\n{handbook}"),
        ("human", "{question}"),
    ]).partial(handbook="\n\n".join(read_handbook().values()))  # fmt: skip
    return Shop(model=model, prompt=prompt, handler=LEOCallbackHandler(), facts=facts)
