"""The reference has an entry for every public name of the three packages; the glossary has the terms of the field."""

from __future__ import annotations

import importlib
import re
from functools import cache
from typing import Any

import pytest

from tests.docs.blocks import ROOT

ENTRY = re.compile(r"^::: ([\w.]+)$", re.MULTILINE)
PACKAGES = ("leo_core", "leo_langchain", "leo_llamaindex")
NO_ENTRY = {"__version__"}


def resolve(path: str) -> Any:
    """The module, class or function of a dotted path."""
    parts = path.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for name in parts[end:]:
            found = getattr(found, name)
        return found
    raise ModuleNotFoundError(path)


@cache
def documented() -> frozenset[int]:
    """Ids of all objects with an entry, by themselves or in the entry of their module."""
    found: list[Any] = []
    for page in ROOT.glob("docs/**/*.md"):
        for path in ENTRY.findall(page.read_text(encoding="utf-8")):
            entry = resolve(path)
            found += [entry, *(getattr(entry, name) for name in getattr(entry, "__all__", ()))]
    return frozenset(map(id, found))


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_has_an_entry(package: str) -> None:
    module = importlib.import_module(package)
    missing = [
        name for name in module.__all__ if name not in NO_ENTRY and id(getattr(module, name)) not in documented()
    ]
    assert not missing


def test_a_name_without_an_entry_would_be_seen() -> None:
    from leo_core.stages.receipt import verify

    assert id(verify.verify_receipt) in documented()
    assert id(resolve) not in documented()


# ------------------------------------------------------------------------------------------------- glossary

GLOSSARY = (ROOT / "docs/reference/glossary.md").read_text(encoding="utf-8")
TERM = re.compile(r"^\*\*(.+?)\*\*\n:   \S", re.MULTILINE)
FIELD_TERMS = (
    "AUROC",
    "Byzantine",
    "DSSE",
    "ECE",
    "embedding",
    "homomorphic encryption",
    "Merkle tree",
    "posterior",
    "prior",
    "semantic cache",
    "single flight",
    "Thompson sampling",
    "witness",
)
"""Terms of the field on which the pages lean; the words of LEO's own are the rest of the glossary."""


def test_terms_are_in_order_and_stand_once() -> None:
    terms = [term.lower() for term in TERM.findall(GLOSSARY)]
    assert terms == sorted(set(terms))
    assert len(terms) > 90


@pytest.mark.parametrize("term", FIELD_TERMS)
def test_terms_of_the_field_are_explained(term: str) -> None:
    assert term in TERM.findall(GLOSSARY)
