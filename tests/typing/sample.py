"""What a typed application writes: ``make dist-check`` has mypy and basedpyright check it against the wheels."""

from __future__ import annotations

from typing import assert_type

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from llama_index.core.base.llms.types import CompletionResponse
from llama_index.core.llms.function_calling import FunctionCallingLLM

from leo_core import LEO, Answer, Budget, LEOConfig, Receipt, Route, verify_receipt
from leo_langchain import LEOCache, LEOChatModel
from leo_llamaindex import LEOLLM

PROMPT = "Context: The ferry leaves at 9:40.\n\nQuestion: When does the ferry leave?"


def ask_core() -> str:
    """The engine by itself."""
    config = LEOConfig.preset("economy")
    assert_type(config, LEOConfig)
    with LEO(small="extractive", config=config, store=":memory:") as leo:
        answer = leo.ask(PROMPT, tenant="acme")
        assert_type(answer, Answer)
        assert_type(answer.receipt, Receipt | None)
        assert_type(answer.route, Route)
        assert_type(leo.public_key, str)
        if answer.receipt is not None:
            verify_receipt(answer.receipt, public_key=leo.public_key)
        return answer.text


def ask_langchain() -> str:
    """The chat model of LangChain, and the cache."""
    model = LEOChatModel.from_preset("verified", small="extractive")
    assert_type(model, LEOChatModel)
    as_any_model: BaseChatModel = LEOChatModel.offline()
    message = model.invoke(PROMPT)
    assert_type(message, AIMessage)
    with LEOCache("cache.db", max_wrong_hits=0.01) as cache:
        assert_type(cache, LEOCache)
    return message.text + as_any_model.invoke(PROMPT).text


def ask_llamaindex() -> str:
    """The LLM of LlamaIndex."""
    llm = LEOLLM.offline(tenant="acme")
    assert_type(llm, LEOLLM)
    as_any_llm: FunctionCallingLLM = llm
    response = as_any_llm.complete(PROMPT)
    assert_type(response, CompletionResponse)
    return response.text


def limit() -> Budget:
    """A budget."""
    return Budget(name="team", limit_usd=5.0, period="day")


def wrong_uses(leo: LEO) -> None:
    """What a checker has to refuse: an ignore that is not needed is an error of its own."""
    leo.ask(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    LEOConfig.preset("fast")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
