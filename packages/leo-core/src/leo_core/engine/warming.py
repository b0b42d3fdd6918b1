"""Filling the cache from what was answered before: LEO's own exports, and logs of prompts with their answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from leo_core.engine.effects import AddAlias, EmbedTexts, Entropy, FindExact, Now, WriteEntry
from leo_core.engine.entries import make_entry, weigh_entry
from leo_core.engine.request_form import check_form, check_number
from leo_core.engine.requests import make_request
from leo_core.errors import ConfigError, RequestError
from leo_core.privacy.personal.redaction import holds_personal_data
from leo_core.records import Message, Route, Usage
from leo_core.stages.cache.identity import identify

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from leo_core.engine.effects import Pipeline
    from leo_core.engine.plan import Plan
    from leo_core.records import Request, Vector
    from leo_core.storage.cache_file import FiledEntry

__all__ = ["PastAnswer", "keep_filed", "keep_past", "make_past_answer", "read_log"]

PastAnswer = tuple["Request", Message, "Mapping[str, Any]"]
"""A request, its answer, and facts of it: ``model``, ``cost_usd``."""

_FACTS = frozenset({"model", "cost_usd"})
_DEAREST_USD = 1e9


def read_log(path: Path, settings: Mapping[str, Any]) -> Iterator[PastAnswer]:
    """The pairs of a file of JSON lines.

    Raises:
        ConfigError: The file cannot be read.
        RequestError: A line is no pair; the message gives its number.
    """
    try:
        with path.open(encoding="utf-8") as stream:
            for number, line in enumerate(stream, 1):
                if not line.strip():
                    continue
                try:
                    yield make_past_answer(json.loads(line), settings)
                except (ValueError, RecursionError) as error:  # RequestError is one of these
                    message = f"line {number} of {path}: {error}"
                    raise RequestError(message) from error
    except (OSError, UnicodeDecodeError) as error:
        message = f"cannot read {path}: {error}"
        raise ConfigError(message) from error


def make_past_answer(pair: Any, settings: Mapping[str, Any]) -> PastAnswer:
    """A pair in the form that callers write it: ``(prompt, answer)``, or a mapping with these and further settings.

    Raises:
        RequestError: It has neither form, or a setting is unknown or out of its range.
    """
    if isinstance(pair, tuple) and len(pair) == 2:  # noqa: PLR2004 - a pair
        pair = {"prompt": pair[0], "answer": pair[1]}
    if not isinstance(pair, dict) or "prompt" not in pair or "answer" not in pair:
        message = "a past answer needs the form (prompt, answer) or {'prompt': …, 'answer': …}"
        raise RequestError(message)
    facts = {name: value for name, value in pair.items() if name in _FACTS}
    check_number(facts.get("cost_usd"), "cost_usd", most=_DEAREST_USD)
    rest = {name: value for name, value in pair.items() if name not in _FACTS | {"prompt", "answer"}}
    for name in ("tags", "sources"):
        if isinstance(rest.get(name), list):
            rest[name] = tuple(rest[name])
    request = make_request(pair["prompt"], **(dict(settings) | rest))
    check_form(request)
    if not request.tenant:
        message = "the tenant is empty; leave it out, or name whose answer it is"
        raise RequestError(message)
    (answer,) = make_request([_to_assistant(pair["answer"])]).messages
    return request, answer, facts


def _to_assistant(answer: Any) -> Any:
    if isinstance(answer, str):
        return {"role": "assistant", "content": answer}
    if isinstance(answer, dict):
        return {**answer, "role": "assistant"}
    return answer


def keep_past(pairs: Sequence[PastAnswer], plan: Plan) -> Pipeline[int]:
    """Keep past answers; returns how many.

    Passed over are requests that the cache can answer already, and those with personal data that the policy covers: the
    model saw it, so that its answer may depend on it.
    """
    pairs = [pair for pair in pairs if not holds_personal_data(pair[0], plan.config.personal_data)]
    identities = [identify(request, models=plan.fingerprint) for request, _, _ in pairs]
    texts = [identity.text if identity.semantic else "" for identity in identities]
    vectors = yield from _embed(texts)
    now = yield from Now()
    kept = 0
    for (request, message, facts), identity, vector in zip(pairs, identities, vectors, strict=True):
        known = yield from FindExact(request.tenant, identity.exact_key)
        if known is not None or not (message.content or message.tool_calls):
            continue
        model = str(facts.get("model") or "")
        entry = make_entry(
            request,
            message,
            identity,
            entry_id=(yield from Entropy(16)).hex(),
            now=now.epoch,
            plan=plan,
            members=(model,) if model else (),
            model=model,
            route=Route.LARGE,
            usage=Usage(calls=1, cost_usd=facts.get("cost_usd")),
        )
        yield from WriteEntry(weigh_entry(entry, vector), vector)
        kept += 1
    return kept


def keep_filed(entries: Sequence[FiledEntry]) -> Pipeline[int]:
    """Keep entries of an export, but for expired ones and those that a newer answer is kept for."""
    now = yield from Now()
    alive = [filed for filed in entries if filed.entry.expires_at is None or filed.entry.expires_at >= now.epoch]
    texts = [[filed.entry.text if filed.semantic else "", *(text for _, text in filed.aliases)] for filed in alive]
    vectors = iter((yield from _embed([text for each in texts for text in each])))
    kept = 0
    for filed in alive:
        own, *others = [next(vectors) for _ in range(1 + len(filed.aliases))]
        known = yield from FindExact(filed.entry.tenant, filed.entry.exact_key)
        if known is not None and known.created_at >= filed.entry.created_at:
            continue
        yield from WriteEntry(weigh_entry(filed.entry, own), own)
        for (exact_key, text), vector in zip(filed.aliases, others, strict=True):
            if vector is not None:
                yield from AddAlias(filed.entry.tenant, filed.entry.id, text, vector, exact_key)
        kept += 1
    return kept


def _embed(texts: Sequence[str]) -> Pipeline[list[Vector | None]]:
    """A vector per text; ``None`` for an empty one, and for all when the embedder failed."""
    wanted = tuple(text for text in texts if text)
    found = (yield from EmbedTexts(wanted)) if wanted else ()
    if found is None:
        return [None] * len(texts)
    vectors = iter(found)
    return [next(vectors).vector if text else None for text in texts]
