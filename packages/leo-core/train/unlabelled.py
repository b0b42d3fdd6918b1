"""Texts without labels for the distillation: questions, sentences about code, requests, phrases.

Every question of a public set may be used only if sha256(question) % 5 == 0; BANKING77 and what else is an evaluation
stream stays out. Sentences about code are the first sentences of docstrings of the standard library (PSF licence),
numpy, scipy and scikit-learn (BSD). Requests and phrases are made here, from word lists and from the word pieces.
"""

from __future__ import annotations

import gzip
import importlib
import inspect
import json
import pkgutil
import re
import sys
import warnings
from typing import TYPE_CHECKING

import numpy as np
from fitting import trains

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = [
    "gather_code_sentences",
    "gather_public_questions",
    "make_phrases",
    "make_requests",
    "misspell",
    "swap_words",
]

MAX_LETTERS = 200
PACKAGES = ("numpy", "scipy", "sklearn")
SKIPPED = re.compile(r"(^|\.)(test|tests|conftest|__main__|idlelib|antigravity|this|turtledemo|lib2to3|_\w+)(\.|$)")

SLOTS: dict[str, tuple[str, ...]] = {
    "language": ("python", "javascript", "java", "c++", "c#", "go", "rust", "sql", "bash", "typescript", "php", "ruby",
                 "kotlin", "swift", "pandas", "numpy", "react", "excel", "regex", "html", "css", "r", "postgres"),
    "code": ("reverse a string", "sort a list of dictionaries by key", "read a csv file", "parse json",
                 "merge two dicts",
             "remove duplicates from an array", "check if a key exists", "convert a string to an int", "iterate a map",
             "write to a file", "format a date", "make an http request", "handle exceptions", "connect to a database",
             "split a string by comma", "join two tables", "group by a column", "copy an object", "flatten a list",
             "get the current time", "generate random numbers", "count the rows", "use a lambda", "define a class",
             "run tests in parallel", "mock a function", "read environment variables", "sleep for a second",
             "start a thread", "create a virtual environment", "install a package", "undo the last commit",
             "center a div", "drop a column", "filter null values", "profile memory", "find the largest file",
             "list open ports", "kill a process", "compress a folder", "schedule a job", "cache a result"),
    "error": ("index out of range", "null pointer exception", "undefined is not a function", "segmentation fault",
              "key error", "permission denied", "connection refused", "module not found", "out of memory", "timeout",
              "syntax error near unexpected token", "merge conflict", "type mismatch", "division by zero"),
    "thing": ("alarm", "timer", "reminder", "meeting", "playlist", "shopping list", "calendar", "flight", "hotel",
                 "taxi",
              "table for two", "package", "subscription", "password", "account", "order", "ticket", "light",
              "thermostat",
              "volume", "printer", "wifi", "router", "phone", "laptop", "screen", "battery", "email", "photo",
              "document",
              "invoice", "passport", "visa", "driving licence", "appointment", "prescription", "recipe", "song",
              "movie",
              "podcast", "route", "parking spot", "gym", "bicycle", "car", "washing machine", "oven", "garden", "dog"),
    "do": ("set", "cancel", "change", "delete", "find", "open", "close", "start", "stop", "pause", "turn on",
                 "turn off",
           "book", "order", "buy", "sell", "fix", "repair", "reset", "update", "share", "send", "print", "check",
           "track",
           "rename", "move", "restart", "connect", "lower", "raise", "replace", "return", "clean", "charge", "lock"),
    "when": ("tomorrow", "tonight", "at 7 am", "at noon", "next monday", "on friday", "in ten minutes", "this weekend",
             "every day", "next week", "now", "later", "before work", "in 2 hours"),
    "place": ("paris", "london", "new york", "tokyo", "berlin", "india", "the office", "home", "the airport", "chicago",
              "the kitchen", "spain", "canada", "sydney", "downtown", "the train station", "rome", "mexico"),
    "topic": ("weather", "news", "traffic", "exchange rate", "stock price", "time", "score of the game", "population",
              "capital", "distance", "recipe", "meaning of life", "speed limit", "cost of living", "history", "culture",
              "opening hours", "calories", "temperature", "holiday calendar", "currency", "tax rate", "ingredients"),
    "act": ("summarize", "translate", "explain", "rewrite", "shorten", "proofread", "classify", "describe", "compare"),
    "text": ("this paragraph", "the article", "my essay", "this email", "the contract", "these notes", "this poem",
             "the following code", "this table", "the review", "the conversation", "this report"),
}  # fmt: skip

TEMPLATES = (
    "how do i {code} in {language}", "{code} {language}", "{language} {code}", "how to {code}", "{language} {error}",
    "what does {error} mean in {language}", "fix {error}", "why do i get {error} when i {code}",
    "{language} vs {language}",
    "write a {language} function to {code}", "best way to {code} with {language}", "what is {language} used for",
    "{do} the {thing}", "{do} my {thing} {when}", "please {do} a {thing}", "can you {do} the {thing} {when}",
    "{do} {thing}",
    "how do i {do} my {thing}", "i want to {do} my {thing}", "why won't my {thing} {do}", "my {thing} is not working",
    "where is my {thing}", "i lost my {thing}", "how much does a {thing} cost", "{thing} near {place}",
    "remind me {when}",
    "what is the {topic} in {place}", "{topic} {place}", "tell me the {topic} {when}", "{topic} of {place} {when}",
    "{act} {text}", "{act} {text} in one sentence", "{act} {text} for a child", "can you {act} {text}",
    "{thing} {when}",
    "directions to {place}", "get me to {place} {when}", "is it safe to travel to {place}", "{do} it", "{act} it",
    "{thing}",
    "do i need a {thing} in {place}", "how long does it take to {do} a {thing}",
    "what's the {topic} like in {place} {when}",
)  # fmt: skip


def gather_public_questions(data: Path) -> list[str]:
    """Questions of GSM8K, MMLU, CRUXEval, HaluEval and Wizard of Wikipedia that may be trained on."""
    found: set[str] = set()
    for name, fields in (
        ("replay/gsm.jsonl.gz", ("question",)),
        ("replay/crux.jsonl.gz", ("question",)),
        ("routing/mmlu_mixtral_gpt4.jsonl.gz", ("question",)),
        ("grounding/halueval_qa.jsonl.gz", ("question",)),
        ("grounding/begin_wow.jsonl.gz", ("question", "context")),
    ):
        if (data / name).exists():
            with gzip.open(data / name, "rt", encoding="utf-8") as lines:
                rows = [json.loads(line) for line in lines]
            found.update(_trim(row[field]) for row in rows for field in fields if trains(row["question"]))
    return sorted(found)


def gather_code_sentences(limit: int, seed: int) -> list[str]:
    """First sentences of docstrings."""
    found: set[str] = set()
    warnings.simplefilter("ignore")
    for module in _import_modules():
        for name, member in list(vars(module).items()):
            if not name.startswith("_"):
                members = [member, *vars(member).values()] if inspect.isclass(member) else [member]
                found.update(filter(None, map(_first_sentence, members)))
    order = np.random.default_rng(seed).permutation(len(found))
    ranked = sorted(found)
    return [ranked[at] for at in order[:limit]]


def make_requests(count: int, seed: int) -> list[str]:
    """Requests from the templates."""
    draw = np.random.default_rng(seed)
    found: dict[str, None] = {}
    for _ in range(4 * count):
        text = TEMPLATES[draw.integers(len(TEMPLATES))]
        while slot := re.search(r"\{(\w+)\}", text):
            words = SLOTS[slot[1]]
            text = text[: slot.start()] + words[draw.integers(len(words))] + text[slot.end() :]
        found.setdefault(text)
        if len(found) >= count:
            break
    return list(found)


def make_phrases(pieces: Sequence[str], count: int, seed: int) -> list[str]:
    """Chance phrases of one to five words; commoner words (earlier in the list) come oftener."""
    draw = np.random.default_rng(seed)
    words = [piece for piece in pieces if re.fullmatch(r"[a-z]{2,}", piece)]
    phrases = list(words)
    chance = 1.0 / (np.arange(len(words)) + 2000.0)
    chance /= chance.sum()
    sizes = draw.integers(2, 6, max(0, count - len(words)))
    phrases.extend(" ".join(words[at] for at in draw.choice(len(words), size, p=chance)) for size in sizes)
    return phrases[:count] if count >= len(words) else phrases[: len(words)]


def swap_words(texts: Sequence[str], pieces: Sequence[str], count: int, seed: int) -> list[str]:
    """Texts with one or two of their longer words replaced by other words."""
    draw = np.random.default_rng(seed)
    words = [piece for piece in pieces if re.fullmatch(r"[a-z]{4,}", piece)]
    found = []
    for _ in range(count):
        parts = texts[draw.integers(len(texts))].split()
        places = [place for place, part in enumerate(parts) if len(part) > 3]  # noqa: PLR2004 - words that carry meaning
        for place in draw.permutation(places)[: draw.integers(1, 3)]:
            parts[int(place)] = words[draw.integers(len(words))]
        found.append(" ".join(parts))
    return found


def misspell(text: str, draw: np.random.Generator) -> str:
    """A text with one typing error: two letters swapped, one dropped, doubled, or replaced by another of the text."""
    places = [at for at in range(1, len(text) - 1) if text[at].isalpha() and text[at - 1].isalpha()]
    if not places:
        return text
    at = places[draw.integers(len(places))]
    kind = draw.integers(4)
    if kind == 0:
        return text[: at - 1] + text[at] + text[at - 1] + text[at + 1 :]
    if kind == 1:
        return text[:at] + text[at + 1 :]
    if kind == 2:  # noqa: PLR2004 - the third of four kinds of error
        return text[:at] + text[at] + text[at:]
    return text[:at] + text[places[draw.integers(len(places))]] + text[at + 1 :]


def _trim(text: str) -> str:
    return text[:MAX_LETTERS]


def _import_modules() -> Iterator[object]:
    names = [name for name in sys.stdlib_module_names if not SKIPPED.search(name)]
    names += [f"{name}.{part}" for name in ("asyncio", "concurrent.futures", "email", "http", "urllib", "xml", "json",
              "logging", "unittest", "multiprocessing", "importlib", "html") for part in _children(name)]  # fmt: skip
    for name in PACKAGES:
        names += [name, *(f"{name}.{part}" for part in _children(name))]
    for name in sorted(names):
        if not SKIPPED.search(name):
            try:
                yield importlib.import_module(name)
            except Exception:  # noqa: BLE001, S112 - what cannot be imported here has no sentences
                continue


def _children(name: str) -> list[str]:
    try:
        return [each.name for each in pkgutil.iter_modules(importlib.import_module(name).__path__)]
    except (ImportError, AttributeError):
        return []


def _first_sentence(member: object) -> str | None:
    doc = inspect.getdoc(member) if callable(member) else None
    if not doc:
        return None
    sentence = re.split(r"(?<=[.!?])\s|\n\s*\n", doc.strip())[0]
    sentence = " ".join(sentence.split())
    good = 12 <= len(sentence) <= MAX_LETTERS and "->" not in sentence and sentence.count(" ") > 1  # noqa: PLR2004 - a sentence, not a fragment
    return sentence if good else None
