"""An agent of LangChain with LEO around it: cached model calls and tools, and a verdict with a receipt at the end."""

from langchain.agents import create_agent
from langchain_core.tools import tool

from leo_core import Message, Request, verify_receipt
from leo_core.providers.scripted import ScriptedModel
from leo_core.records import ToolCall
from leo_langchain import LEOCacheMiddleware, LEOChatModel, LEOToolCacheMiddleware, LEOVerifyMiddleware

lookups = []
questions = []


@tool
def stock(item: str) -> int:
    """How many of an item are in stock."""
    lookups.append(item)
    return 12


def clerk(request: Request) -> Message | str:
    """Looks into the stock, and then misreads what it found."""
    questions.append(request.question)
    if request.messages[-1].role == "user":
        return Message(role="assistant", tool_calls=(ToolCall(id="call_1", name="stock", arguments={"item": "bell"}),))
    return "There are 21 in stock."


def auditor(_: Request) -> str:
    """Reads what is there."""
    return "There are 12 in stock."


jury = [ScriptedModel("anna", auditor), ScriptedModel("ben", auditor)]
with (
    LEOChatModel(small=ScriptedModel("clerk", clerk), use_cache=False) as model,
    LEOCacheMiddleware() as cache,
    LEOVerifyMiddleware(jury) as verify,
    LEOToolCacheMiddleware(tools=[stock], ttl_s=60) as tools,
):
    agent = create_agent(model, [stock], middleware=[cache, verify, tools])
    for tenant in ("acme", "acme", "globex"):
        result = agent.invoke(
            {"messages": [("user", "How many bells are in stock?")]},
            context={"tenant": tenant},
        )
        facts = result["leo"]
        verdict = facts.get("source", facts)
        print(f"{tenant}: {result['messages'][-1].text} [{facts['route']}, {verdict['outcome']}]")
        print(f"  {len(questions)} calls of the clerk, {len(lookups)} of the tool so far")
        verify_receipt(verify.leo.log.get(verdict["receipt"]), public_key=verify.leo.public_key)
    print("every receipt is valid")
