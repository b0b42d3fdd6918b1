"""The fenced blocks of the documentation, and the marks above them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "BLOCK_REASONS",
    "LINE_REASONS",
    "PAGES",
    "PRINTS",
    "ROOT",
    "Block",
    "is_marked",
    "name_of",
    "pages_with",
    "read_blocks",
]

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("packages/*/README.md"), *ROOT.glob("docs/**/*.md")])
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<body>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL)
PRINTS = "<!-- prints -->"
NEEDS_KEY = "<!-- needs a key -->"
NOT_RUN = re.compile(r"<!-- not run: (.+) -->")
BLOCK_REASONS = {
    "needs a key": re.compile(r"openai|anthropic|OpenAI|Anthropic"),
    "another library": re.compile(r"^(?:from|import) (?:gptcache|langchain_redis|routellm)\b", re.MULTILINE),
    "a store of yours": re.compile(r"^\$ leo .*\b[\w-]+\.(?:db|student)\b", re.MULTILINE),
}
"""Why a whole block is not run, as it is said above it, and what then stands in it."""
LINE_REASONS = {
    "installs": re.compile(r"pip install "),
    "runs until it is stopped": re.compile(r"(?:leo index serve|chroma run) "),
    "takes minutes, or needs data": re.compile(r"leo bench "),
    "needs a key": re.compile(r"leo .*(?:openai:|anthropic:|env:LEO_KEK)"),
    "needs a server": re.compile(r"leo .*(?:https://|vault:|pkcs11:)"),
    "names what only you have": re.compile(r"leo .*(?:leo:rcpt:[0-9a-f]{64}|\.share )"),
}
"""Why a line of a console block is not run: it begins like this."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block: its language, its text, the line above it, and the line on which it begins."""

    language: str
    body: str
    above: str
    line: int

    @property
    def reason(self) -> str:
        """Why it is not run; empty for a block that is."""
        if self.above == NEEDS_KEY:
            return "needs a key"
        marked = NOT_RUN.fullmatch(self.above)
        return marked[1] if marked else ""


def read_blocks(page: Path) -> list[Block]:
    """The blocks of a page in order."""
    text = page.read_text(encoding="utf-8")
    blocks = []
    for match in FENCE.finditer(text):
        indent = match["indent"]
        body = "".join(line.removeprefix(indent) for line in match["body"].splitlines(keepends=True))
        before = text[: match.start()]
        above = before.rstrip("\n").rpartition("\n")[2].strip()
        blocks.append(Block(language=match["language"], body=body, above=above, line=before.count("\n") + 1))
    return blocks


def name_of(page: Path) -> str:
    """A page's path in the repository."""
    return str(page.relative_to(ROOT))


def is_marked(block: Block) -> bool:
    """Whether a block is not run."""
    return bool(block.reason)


def pages_with(*languages: str) -> list[Path]:
    """Pages with a block of one of the languages."""
    return [page for page in PAGES if any(block.language in languages for block in read_blocks(page))]
