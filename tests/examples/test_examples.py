"""Every example and the demo, run as users run them, in a process of their own that can reach no network."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
OFFLINE = """
import runpy, sys
from pathlib import Path
import pytest_socket
pytest_socket.socket_allow_hosts(["127.0.0.1", "::1"], allow_unix_socket=True)
sys.argv = sys.argv[1:]
sys.path[0] = str(Path(sys.argv[0]).parent)
runpy.run_path(sys.argv[0], run_name="__main__")
"""
EXPECTED = {
    "01_ask.py": ["The library opens at 9:00.", "route small", "route cache", "leo:rcpt:"],
    "02_langchain_chat_model.py": ["A ticket costs 12 euros.", "because same request", "hits          1 (33%)"],
    "03_langchain_cache.py": ["[from the model]", "[from the cache]", "4 questions, 2 calls"],
    "04_llamaindex_query_engine.py": ["A ticket to Vienna costs 59 euros.", "nodes: tickets", "receipt leo:rcpt:"],
    "05_verify_a_receipt.py": [
        "the receipt as it was exported: valid",
        "held against its answer: valid",
        "refused (commitment.answer)",
        "one changed character: refused",
    ],
    "06_multi_tenant.py": [
        "acme: It costs 10 euros. [cache]",
        "globex: It costs 99 euros. [cache]",
        "cleared acme: 1 answer removed; globex keeps 1",
        "TenantRequiredError",
    ],
    "07_jury_with_a_liar.py": ["The answer is 21.", "liar: number: 22, trust 0.80", "liar: number: 73, trust 0.06"],
    "10_agent_middleware.py": [
        "acme: There are 12 in stock. [consensus, overruled]\n  2 calls of the clerk, 1 of the tool so far",
        "acme: There are 12 in stock. [cache, overruled]\n  2 calls of the clerk, 1 of the tool so far",
        "globex: There are 12 in stock. [consensus, overruled]\n  4 calls of the clerk, 2 of the tool so far",
        "every receipt is valid",
    ],
    "09_merge_trust.py": ["oslo drops out", "anna: trust 0.98", "liar: trust 0.07"],
    "08_streaming_async.py": ["leaves| at| 7:15| in| the| morning.| [small]", "[cache]", "45 minutes. [small]"],
}
STEPS = (
    "Explore before serving",
    "Paraphrases served from the cache",
    "Near-misses are not served",
    "Routes",
    "A faulty member is outvoted",
    "Streaming",
    "An agent calls its tool",
    "LlamaIndex: a query engine over the handbook",
    "Spent and saved",
    "Receipts",
    "LEO&#x27;s own time per request",
)


def run_offline(folder: Path, script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", OFFLINE, str(script), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_there_is_an_expectation_for_every_example() -> None:
    assert sorted(path.name for path in EXAMPLES.glob("[0-9]*.py")) == sorted(EXPECTED)


def test_the_readme_lists_every_example() -> None:
    listed = re.findall(r"\]\(([\w/]+\.py)\)", (EXAMPLES / "README.md").read_text(encoding="utf-8"))
    assert listed == [*sorted(EXPECTED), "demo/run.py"]


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_example_is_short_and_documented(name: str) -> None:
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    assert len(text.splitlines()) < 60
    assert text.startswith('"""')


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_example_shows_what_it_says(name: str, tmp_path: Path) -> None:
    done = run_offline(tmp_path, EXAMPLES / name)
    assert done.returncode == 0, done.stderr
    for line in EXPECTED[name]:
        assert line in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp("demo") / "out"
    done = run_offline(out.parent, EXAMPLES / "demo" / "run.py", "--out", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr
    return out, done.stdout


def test_demo_says_what_it_showed(demo: tuple[Path, str]) -> None:
    _, said = demo
    assert re.search(r"explored \d+, served\s+\d+", said)
    assert "At the demo's price tags" in said
    assert "numbers differ: 2, 7" in said
    assert re.search(r"faulty-reader\s+│ number: 19 .* outvoted", said)
    assert re.search(r"streaming: In case .* \[large\]\n", said)
    assert re.search(r"streaming: In case .* \[cache\]\n", said)
    assert "rental_price({'bike': 'cargo bike', 'days': 3})" in said
    assert re.search(r"All 1[12] steps did what they claim", said)


class Outside(HTMLParser):
    """Collects whatever a page would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found += [(tag, "")] if tag in ("script", "iframe", "link", "object", "embed", "img") else []
        self.found += [(tag, value or "") for name, value in attributes if name in ("src", "href", "srcset", "data")]


def test_demo_page_is_self_contained(demo: tuple[Path, str]) -> None:
    page = (demo[0] / "demo.html").read_text(encoding="utf-8")
    outside = Outside()
    outside.feed(page)
    assert outside.found == []
    assert not re.search(r"url\(|@import|https?://", page)


def test_demo_page_holds_every_step_and_both_themes(demo: tuple[Path, str]) -> None:
    page = (demo[0] / "demo.html").read_text(encoding="utf-8")
    titles = re.findall(r"<h2><i>\d+</i>(.*?)</h2>", page)
    assert [title for title in titles if title in STEPS] == list(STEPS)
    assert "prefers-color-scheme:dark" in page
    assert "<svg" in page


def test_demo_leaves_a_receipt_that_verifies(demo: tuple[Path, str]) -> None:
    from leo_core import verify_receipt

    out, _ = demo
    document = json.loads((out / "receipt.json").read_text(encoding="utf-8"))
    verify_receipt(document, public_key=(out / "leo.pub").read_text(encoding="utf-8"))


def test_demo_fails_loudly_when_a_claim_does_not_hold(tmp_path: Path) -> None:
    script = tmp_path / "broken.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(EXAMPLES / 'demo')!r}); import run, steps\n"
        "steps.REQUESTS = 12\n"  # too few to have explored enough
        "sys.exit(run.main())\n",
        encoding="utf-8",
    )
    done = run_offline(tmp_path, script)
    assert done.returncode == 1
    assert "The demo failed: it claims that LEO served paraphrases after it had explored" in " ".join(
        done.stdout.split()
    )
