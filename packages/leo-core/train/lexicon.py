"""Derive the guards' thesaurus from WordNet 3.0 and write it into the package.

    python packages/leo-core/train/lexicon.py [--wordnet /usr/share/wordnet] [--dry-run]

WordNet's files are those of the Debian package ``wordnet-base`` (``index.*``, ``data.*``, ``cntlist.rev``; format:
wndb(5WN)). What ships are relations between words; no gloss, no example, no sentence frame.

A *sense* is a synset. Each word gets

- the senses it has: two words with a sense in common are synonyms;
- the senses above them: of a verb what it is a way of doing, of an adjective the one it is like, of any word the one
  it is derived from. A word is taken for what stands above it, not for its neighbours below that;
- the opposite senses.

Words are kept by their stem (the guards'), several words joined by ``_``. Animals, plants and places are left out, and
so are proper names, since two of these in one slot are two things. Prints the size of the table as one JSON object.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from leo_core.stages.cache.guards.words import stem

HERE = Path(__file__).resolve()
OUTPUT = HERE.parents[1] / "src" / "leo_core" / "stages" / "cache" / "guards" / "thesaurus.txt.gz"
PARTS = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
LEFT_OUT = frozenset({"05", "15", "20"})
"""Lexicographer files of animals, places and plants (lexnames(5WN))."""
WORD = re.compile(r"[a-z]{2,}(?:[_-][a-z]+){0,2}")
SIMILAR = "&"
DERIVED = frozenset("+\\")
ABOVE = "@"
OPPOSITE = "!"
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sense:
    """A synset.

    Attributes:
        part: Part of speech: n, v, a, r, or s for an adjective that is like another one.
        file: Number of its lexicographer file.
        words: Its lemmas, several words joined by ``_``.
        pointers: Kind, target, and the numbers (from 1) of the words that it holds between; 0 stands for all words.
    """

    part: str
    file: str
    words: tuple[str, ...]
    pointers: tuple[tuple[str, str, int, int], ...]


def read_senses(folder: Path) -> dict[str, Sense]:
    """Every synset by part of speech and offset."""
    found: dict[str, Sense] = {}
    for part, name in PARTS.items():
        for line in (folder / f"data.{name}").read_text(encoding="ascii").splitlines():
            if line.startswith(" "):
                continue
            head = line.split(" | ", 1)[0].split()
            size = int(head[3], 16)
            at = 4 + 2 * size
            words = tuple(word.split("(")[0] for word in head[4:at:2])
            pointers = tuple(
                (kind, target_part.replace("s", "a") + offset, *bytes.fromhex(between))
                for kind, offset, target_part, between in zip(
                    *(head[at + 1 + step : at + 1 + 4 * int(head[at]) : 4] for step in range(4)), strict=True
                )
            )
            found[part + head[0]] = Sense(part=head[2], file=head[1], words=words, pointers=pointers)
    return found


def read_ranks(folder: Path) -> dict[tuple[str, str], int]:
    """Rank of each sense among those of a word, 1 for the most frequent, by word and synset."""
    found: dict[tuple[str, str], int] = {}
    for part, name in PARTS.items():
        for line in (folder / f"index.{name}").read_text(encoding="ascii").splitlines():
            if not line.startswith(" "):
                lemma, _, count, *rest = line.split()
                for rank, offset in enumerate(rest[-int(count) :], start=1):
                    found[lemma, part + offset] = rank
    return found


def relate(
    senses: dict[str, Sense], ranks: dict[tuple[str, str], int], deepest: int
) -> tuple[dict[str, set[str]], dict[str, set[str]], dict[str, set[str]]]:
    """Senses, senses above and opposite senses of every word; senses after the ``deepest`` of a word are left out."""
    own: dict[str, set[str]] = defaultdict(set)
    above: dict[str, set[str]] = defaultdict(set)
    against: dict[str, set[str]] = defaultdict(set)
    for name, sense in senses.items():
        if sense.file in LEFT_OUT:
            continue
        for number, word in enumerate(sense.words, start=1):
            if not WORD.fullmatch(word) or ranks.get((word, name), 1) > deepest:
                continue
            if "_" in word and sense.part == "n":
                continue
            own[word].add(name)
            for kind, target, source, _ in sense.pointers:
                if (
                    (kind == SIMILAR and sense.part == "s")
                    or (kind in DERIVED and source == number and name < target)
                    or (kind == ABOVE and sense.part == "v")
                ):
                    above[word].add(target)
                elif kind == OPPOSITE and source == number:
                    against[word].add(target)
    return own, above, against


def add_irregular(folder: Path, *tables: dict[str, set[str]]) -> None:
    """Give irregular forms of verbs ("gone") the senses of their verb, beside their own."""
    for line in (folder / "verb.exc").read_text(encoding="ascii").splitlines():
        form, verb, *_ = line.split()
        if verb in tables[0] and WORD.fullmatch(form):
            for table in tables:
                table[form] |= {name for name in table.get(verb, ()) if name[0] == "v"}


def spell(own: dict[str, set[str]], above: dict[str, set[str]], against: dict[str, set[str]]) -> list[str]:
    """A line for each stem: the stem, its senses, those above and those against it, as numbers to the base of 36."""
    tables: list[dict[str, set[str]]] = [defaultdict(set) for _ in range(3)]
    for stems, table in zip(tables, (own, above, against), strict=True):
        for word, names in table.items():
            stems["_".join(stem(part) for part in re.split("[_-]", word))] |= names
    holders: dict[str, int] = defaultdict(int)
    for stems in tables:
        for names in stems.values():
            for name in names:
                holders[name] += 1
    numbers = {name: number for number, name in enumerate(sorted(name for name, count in holders.items() if count > 1))}
    lines = []
    for word in sorted(tables[0]):
        columns = [
            ",".join(
                write(number) for number in sorted(numbers[name] for name in stems.get(word, ()) if name in numbers)
            )
            for stems in tables
        ]
        if columns[0] or (columns[1] and columns[2]):
            lines.append(" ".join([word, *columns]).rstrip())
    return lines


def write(number: int) -> str:
    """A number to the base of 36."""
    out = ""
    while number or not out:
        number, digit = divmod(number, len(DIGITS))
        out = DIGITS[digit] + out
    return out


def main() -> None:
    """Derive, print and write."""
    parser = argparse.ArgumentParser(description="Derive the guards' thesaurus from WordNet.")
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"))
    parser.add_argument("--deepest", type=int, default=6, help="last sense of a word that counts")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--dry-run", action="store_true")
    options = parser.parse_args()
    tables = relate(read_senses(options.wordnet), read_ranks(options.wordnet), options.deepest)
    add_irregular(options.wordnet, *tables)
    lines = spell(*tables)
    packed = gzip.compress("\n".join(sorted(lines)).encode(), compresslevel=9, mtime=0)
    print(json.dumps({"words": len(lines), "bytes": len(packed)}))
    if not options.dry_run:
        options.output.write_bytes(packed)


if __name__ == "__main__":
    main()
