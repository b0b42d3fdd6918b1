"""What tracers of LangChain, such as LangSmith's, show of a run of LEO beside its inputs and outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.language_models import LangSmithParams

from leo_core.engine.arguments import check_arguments
from leo_core.telemetry.facts import answer_facts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
    from langchain_core.tracers.schemas import Run

    from leo_core.records import Answer

__all__ = ["describe_model", "describe_run"]


def describe_model(
    name: str, *, temperature: float | None, max_tokens: int | None, stops: str | list[str] | None
) -> LangSmithParams:
    """What is known of a call before it is made.

    Raises:
        ConfigError: The stop sequences are neither a text nor a list of texts.
    """
    check_arguments({"stop": stops}, owner="LEOChatModel")
    params = LangSmithParams(ls_provider="leo", ls_model_name=name, ls_model_type="chat")
    if temperature is not None:
        params["ls_temperature"] = temperature
    if max_tokens is not None:
        params["ls_max_tokens"] = max_tokens
    if stops:
        params["ls_stop"] = [stops] if isinstance(stops, str) else list(stops)
    return params


def describe_run(run_manager: CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun | None, answer: Answer) -> None:
    """Add route, cost, receipt and the rest to the metadata of the run, before it ends.

    Tracers keep the runs under way in ``run_map``. Where one member answered alone, the run is given its provider and
    model, as LangSmith's own gateway does, so that its tokens are priced as that model's.
    """
    if run_manager is None:
        return
    found = (_find_run(handler, run_manager.run_id) for handler in run_manager.handlers)
    watched = [run for run in found if run is not None]
    if not watched:
        return
    told: dict[str, Any] = {
        name: list(value) if isinstance(value, tuple) else value for name, value in answer_facts(answer).items()
    }
    if len(answer.members) == 1:
        provider, colon, _ = answer.members[0].partition(":")
        told |= {"ls_model_name": answer.model} | ({"ls_provider": provider} if colon else {})
    for run in watched:
        run.extra["metadata"] = {**run.extra.get("metadata", {}), **told}


def _find_run(handler: object, run_id: UUID) -> Run | None:
    runs: Mapping[str, Run] = getattr(handler, "run_map", {})
    return runs.get(str(run_id))
