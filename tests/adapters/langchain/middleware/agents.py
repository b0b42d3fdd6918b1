"""Agents against scripted providers: a model that looks the weather up, and answers in words or in a form."""

from __future__ import annotations

import json
import threading
from typing import Any

from langchain.agents import create_agent
from langchain_core.tools import BaseTool, tool
from pydantic import BaseModel

from tests.adapters.langchain.langchain_servers import chat_openai
from tests.servers.brain import Asked, Reply, ToolUse

__all__ = ["Report", "WeatherStation", "agent_of", "answer", "ask", "forecast", "report"]

ANSWERS = {
    "What is the capital of France?": "Paris",
    "What's the capital of France?": "Paris",
    "What is 6 times 7?": "42",
}
WRONG = {"What is the capital of France?": "Lyon", "What is 6 times 7?": "41"}


class Report(BaseModel):
    """The weather in a place."""

    place: str
    degrees: int


def forecast(asked: Asked) -> Reply:
    """A model that looks the weather up once for each place named, then answers; ``liar`` models answer wrongly."""
    names = {each.name for each in asked.tools}
    if "weather" in names and asked.last_role == "user" and "weather" in asked.question:
        places = [place for place in ("Oslo", "Rome") if place in asked.question] or ["Oslo"]
        number = len(asked.body["messages"])
        uses = (ToolUse(name="weather", arguments={"place": place}, id=f"call_{place}_{number}") for place in places)
        return Reply(tool_uses=tuple(uses))
    if "Report" in names:
        return Reply(tool_uses=(ToolUse(name="Report", arguments=report(asked), id="call_report"),))
    if asked.schema is not None:
        return Reply(text=json.dumps(report(asked)))
    return Reply(text=answer(asked))


def report(asked: Asked) -> dict[str, Any]:
    return {"place": "Oslo", "degrees": 30 if "liar" in asked.model else 3}


def answer(asked: Asked) -> str:
    if asked.last_role == "tool":
        return "It is 30 degrees." if "liar" in asked.model else "It is 3 degrees."
    known = WRONG if "liar" in asked.model else ANSWERS
    return known.get(asked.question, "I do not know.")


class WeatherStation:
    """A tool that counts its calls."""

    def __init__(self, *, fails: int = 0) -> None:
        self.calls: list[str] = []
        self.fails = fails
        self._lock = threading.Lock()

    @property
    def tool(self) -> BaseTool:
        @tool
        def weather(place: str) -> str:
            """The weather in a place."""
            with self._lock:
                self.calls.append(place)
                if self.fails > 0:
                    self.fails -= 1
                    raise RuntimeError("the station is down")
            return f"3 degrees in {place}"

        return weather


def agent_of(url: str, middleware: list[Any], *tools: BaseTool, model: str = "agent-1", **settings: Any) -> Any:
    """An agent of LangChain whose model is langchain-openai's."""
    return create_agent(chat_openai(url, model=model), list(tools), middleware=middleware, **settings)


def ask(agent: Any, question: str = "What is the capital of France?", **settings: Any) -> dict[str, Any]:
    """One turn with an agent."""
    return agent.invoke({"messages": [("user", question)]}, **settings)
