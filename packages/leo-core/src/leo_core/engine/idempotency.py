"""A request with an idempotency key is answered once, and whoever asks again gets that answer and that receipt.

Its intent is on disk before the members are asked, its result before the receipt is signed.

What a crash leaves behind, and what the next request with the key finds:

* nothing: it is answered;
* an intent without a result: nobody knows whether a member was paid; it is answered anew (``journal.cut_off``);
* a result without a receipt: the receipt is written now, the members are not asked;
* a result with its receipt: it is given again.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from leo_core.engine.effects import (
    BeginIntent,
    Certify,
    DropIntent,
    FindIntent,
    FindReceipt,
    Join,
    KeepResult,
    Notify,
    Now,
    SettleIntent,
    Show,
)
from leo_core.errors import InProgressError, RequestError, StoreCorruptError
from leo_core.records import Intent
from leo_core.stages.cache.identity import identify
from leo_core.stages.receipt.commitment import opens
from leo_core.stages.receipt.contents import message_content
from leo_core.stages.receipt.document import read_statement
from leo_core.storage.codec import decode_result, encode_result

if TYPE_CHECKING:
    from collections.abc import Iterable

    from leo_core.engine.effects import Pipeline
    from leo_core.engine.plan import Plan
    from leo_core.records import Answer, Json, Receipt, Request

__all__ = ["answer_once", "keep_result", "recover"]

_WHY = "kept answer of this idempotency key"


def answer_once(request: Request, key: str, plan: Plan, work: Pipeline[Answer]) -> Pipeline[Answer]:
    """The kept answer of an idempotency key, or a new one that is kept.

    Args:
        request: The request.
        key: Its idempotency key.
        plan: Members and policies.
        work: Answers the request; it is not begun when there is a kept answer.

    Raises:
        RequestError: The key was used for another request.
        InProgressError: It is still being answered, here or in another process, and the wait was too long.
        StorageError: The journal failed before anything was spent, or a kept answer was altered.
    """
    tenant, digest = request.tenant, _digest(request, plan)
    turn = yield from Join(f"idempotency\x00{tenant}\x00{key}", request.constraints.max_latency_s)
    with turn:
        now = yield from Now()
        known = yield from FindIntent(tenant, key)
        if known is not None and known.began_at < now.epoch - plan.config.idempotency_ttl_s:
            known = None  # its time is over, whether or not it has been forgotten yet
        if known is not None and known.digest != digest:
            message = "this idempotency key was used for another request; every request needs a key of its own"
            raise RequestError(message)
        if known is not None and known.result is not None:
            return (yield from _replay(known, known.result))
        if not turn.leads:
            message = "a request with this idempotency key is still being answered; ask again later"
            raise InProgressError(message)
        if known is not None:
            yield from Notify("journal.cut_off", {"tenant": tenant})
        yield from BeginIntent(Intent(tenant=tenant, key=key, digest=digest, began_at=now.epoch))
        try:
            answer = yield from work
        except Exception:
            yield from DropIntent(tenant, key)
            raise
        yield from SettleIntent(tenant, key, answer.receipt.id if answer.receipt else "")
    return answer


def keep_result(request: Request, answer: Answer, statement: Json = None, openings: Json = None) -> Pipeline[None]:
    """Note the answer to a request with an idempotency key, and what is about to be signed about it."""
    if request.idempotency_key is not None:
        result = encode_result(answer, statement, openings)
        yield from KeepResult(request.tenant, request.idempotency_key, result)


def recover(intents: Iterable[Intent]) -> Pipeline[None]:
    """Write the receipts of results that a crash left without one.

    Two processes that do it at once get the same receipts: the log keeps one for an answer.
    """
    for intent in intents:
        _, statement, openings = decode_result(intent.result or "", _WHY)
        yield from _certify(intent, statement, openings)
        yield from Notify("journal.recovered", {"tenant": intent.tenant})


def _certify(intent: Intent, statement: Json, openings: Json) -> Pipeline[Receipt | None]:
    """The receipt that was cut off; without a statement, or when the log fails, there is none."""
    receipt = (yield from Certify(statement, openings)) if statement is not None else None
    if receipt is not None or statement is None:
        yield from SettleIntent(intent.tenant, intent.key, receipt.id if receipt else "")
    return receipt


def _replay(known: Intent, result: str) -> Pipeline[Answer]:
    answer, statement, openings = decode_result(result, _WHY)
    if known.receipt_id is None:
        receipt = yield from _certify(known, statement, openings)
    else:
        receipt = (yield from FindReceipt(known.receipt_id)) if known.receipt_id else None
    if receipt is not None and not _is_answer_of(answer, receipt):
        yield from Notify("journal.altered", {"tenant": known.tenant, "receipt": receipt.id})
        message = "the kept answer of this idempotency key is not the one that its receipt commits to"
        raise StoreCorruptError(message)
    yield from Notify("journal.replayed", {"tenant": known.tenant})
    yield from Show(answer.message)
    return replace(answer, receipt=receipt)


def _is_answer_of(answer: Answer, receipt: Receipt) -> bool:
    commitment = str(read_statement(receipt)["commitments"]["answer"])
    nonce = bytes.fromhex(receipt.openings.get("answer", ""))
    return bool(nonce) and opens(commitment, "answer", nonce, message_content(answer.message))


def _digest(request: Request, plan: Plan) -> str:
    identity = identify(request, models=plan.fingerprint)
    return hashlib.sha256(f"{identity.exact_key}\x00{request.constraints!r}".encode()).hexdigest()
