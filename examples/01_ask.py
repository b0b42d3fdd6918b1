"""Ask LEO with nothing but the core: a question with its context goes in, an answer with a receipt comes out.

The member is local: an extractive reader that quotes the sentence of the context which answers the question.
With a hosted one, write ``LEO(small="openai:gpt-5-mini", large="anthropic:claude-sonnet-4-5", store="leo.db")``.
"""

from leo_core import LEO
from leo_core.providers.extractive import ExtractiveModel

CONTEXT = "Context: The library opens at 9:00. It lends books for 28 days. Late books cost 20 cents a day."


def ask(leo: LEO, question: str) -> None:
    """Ask, and print the answer with its main figures."""
    answer = leo.ask(f"{CONTEXT}\n\nQuestion: {question}")
    print(f"{question} {answer.text}")
    print(f"  route {answer.route}, P(wrong) {answer.risk.value:.3f}, LEO's own time {answer.own_s * 1e3:.1f} ms")
    print(f"  {answer.receipt.id[:24]}…")


with LEO(small=ExtractiveModel()) as leo:
    leo.warm_up()
    ask(leo, "How many days does the library lend books for?")
    ask(leo, "When does the library open?")
    ask(leo, "When does the library open?")  # the same request again: served from the cache
    print(f"events: {leo.counts}")
