"""LEO as the cache of every LangChain model in the process: ``set_llm_cache(LEOCache(...))``.

The model here is LangChain's own fake, which counts its calls; any chat model works the same way. The same request is
served at once. A paraphrase is explored first: the model answers, and the two answers are compared. It is served only
after enough comparisons have shown that the promise (``max_wrong_hits``) holds.
"""

from typing import Any

from langchain_core.globals import set_llm_cache
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage

from leo_langchain import LEOCache

CALLS: list[str] = []


def replies() -> Any:
    """An endless stream of the same reply; notes each call."""
    while True:
        CALLS.append("called")
        yield AIMessage("Paris.")


model = GenericFakeChatModel(messages=replies())
with LEOCache() as cache:
    set_llm_cache(cache)
    try:
        for question in (
            "What is the capital of France?",
            "What is the capital of France?",
            "What's the capital of France?",
            "What's the capital of France?",
        ):
            before = len(CALLS)
            reply = model.invoke(question)
            source = "the model" if len(CALLS) > before else "the cache"
            print(f"{question} {reply.text} [from {source}]")
    finally:
        set_llm_cache(None)
    print(f"4 questions, {len(CALLS)} calls")
