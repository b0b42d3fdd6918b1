"""What the middlewares write into the agent's state."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired

from langchain.agents.middleware.types import AgentState, OmitFromInput

__all__ = ["LEOState"]


def _latest(_: Any, new: Any) -> Any:
    """Of several middlewares that write in one step, the outermost has the last word."""
    return new


class LEOState(AgentState[Any]):
    """The agent's state, with what LEO found out about the last answer that it served or judged.

    Attributes:
        leo: Plain values. Of a judged answer as in ``response_metadata["leo"]`` of LEO's chat model (``route``,
            ``risk``, ``risk_interval``, ``confidence``, ``abstained``, ``cost_usd``, ``receipt``, ``answer_id`` …), and
            ``outcome``: ``"confirmed"``, ``"overruled"`` or ``"doubtful"``; ``served``: ``"own"`` (the agent's answer),
            ``"other"`` or ``"abstention"``. Of an answer from the cache ``route`` ``"cache"``, ``saved_usd`` and the
            rest that the cache says.
    """

    leo: NotRequired[Annotated[dict[str, Any], OmitFromInput, _latest]]
