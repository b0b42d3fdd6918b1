"""A request behind stand-ins: from here on, nothing of LEO sees the personal data that was found in it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from leo_core.engine.effects import Notify, ShowRevealed
from leo_core.errors import StreamInterruptedError
from leo_core.privacy.personal.redaction import cover_request, reveal, reveal_message

if TYPE_CHECKING:
    from collections.abc import Callable

    from leo_core.engine.effects import Pipeline
    from leo_core.engine.plan import Plan
    from leo_core.records import Answer, Request

__all__ = ["answer_covered"]


def answer_covered(request: Request, plan: Plan, work: Callable[[Request], Pipeline[Answer]]) -> Pipeline[Answer]:
    """Answer a request that holds stand-ins for its personal data, and reveal the answer to its caller.

    Args:
        request: The request.
        plan: Members and policies.
        work: Answers the covered request: embeds it, looks it up, asks members, signs, keeps.

    Raises:
        PersonalDataError: The policy refuses requests with personal data.
    """
    covered, stand_ins = cover_request(request, plan.config.personal_data)
    if covered.redaction is not None and covered is not request:
        facts = {"mode": covered.redaction.mode, "counts": dict(covered.redaction.counts)}
        yield from Notify("personal_data.found", facts)
    values = stand_ins.values
    if not values:
        answer = yield from work(covered)
        return replace(answer, redaction=covered.redaction) if covered.redaction else answer
    yield from ShowRevealed(values)
    try:
        answer = yield from work(covered)
    except StreamInterruptedError as error:
        raise StreamInterruptedError(str(error), partial=reveal(error.partial, values)) from error
    draft, correction = answer.draft, answer.correction
    return replace(
        answer,
        message=reveal_message(answer.message, values),
        correction=None
        if correction is None
        else replace(correction, message=reveal_message(correction.message, values)),
        covered=answer.message,
        draft=None if draft is None else replace(draft, message=reveal_message(draft.message, values), native=None),
        redaction=covered.redaction,
    )
