"""What receipts cost beside a bare signature and row, and whether certificates of coherence hold what they promise."""

from __future__ import annotations

import secrets
import sqlite3
import tempfile
import time
from decimal import Decimal
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leo_core.evaluation.paired import describe_machine
from leo_core.records import (
    Answer,
    CacheDecision,
    Draft,
    Identity,
    Message,
    Novelty,
    Request,
    Risk,
    Route,
    RouteDecision,
    TrustEstimate,
    Usage,
)
from leo_core.stages.consensus.coherence import measure_agreement
from leo_core.stages.consensus.config import ConsensusConfig
from leo_core.stages.consensus.trust import TrustState
from leo_core.stages.consensus.vote import reach_consensus
from leo_core.stages.receipt.canonical import fixed
from leo_core.stages.receipt.keys import SigningKey
from leo_core.stages.receipt.lcs import derive_agreement
from leo_core.stages.receipt.statement import AuditTerms, build_statement
from leo_core.stages.receipt.verify import verify_receipt
from leo_core.storage.database import Database
from leo_core.storage.receipt_log import SqliteReceiptLog

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from leo_core.records import Json, Receipt

__all__ = ["run_receipts"]

BLOCK = 100
"""Receipts in a row before the bare peer has its turn."""

ERRING = 0.2
"""Share of wrong answers in the committees."""

_BARE = "CREATE TABLE IF NOT EXISTS bare (position INTEGER PRIMARY KEY, payload BLOB NOT NULL, signature BLOB NOT NULL)"


def run_receipts(
    *, count: int, certificates: int, seed: int = 0, report: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Append receipts of committees to a log on disk, audit it, verify a sample; certify and tamper with coherences.

    The peer signs the same payloads with Ed25519 and inserts them into a SQLite file, one durable transaction each,
    in turns with the log. Everything but the statements' building is timed, in wall time.

    Args:
        count: Receipts, at least 1.
        certificates: Random instances of the coherence problem.
        seed: Of the answers and instances.
        report: Told the receipts done and their number.

    Returns:
        ``receipts``, ``certificates`` and the machine; the fields are documented with the benchmarks.
    """
    with tempfile.TemporaryDirectory() as folder:
        receipts = _measure_receipts(Path(folder), count, seed, report)
    return {
        "benchmark": "receipts",
        **describe_machine(),
        "seed": seed,
        "receipts": receipts,
        "certificates": _measure_certificates(certificates, seed),
    }


# ------------------------------------------------------------------------------------------------- receipts


def _measure_receipts(folder: Path, count: int, seed: int, report: Callable[[int, int], None] | None) -> dict[str, Any]:
    key, source = SigningKey.from_seed(secrets.token_bytes(32)), np.random.default_rng(seed)
    database, bare = Database(folder / "leo.db"), _open_bare(folder / "bare.db")
    log = SqliteReceiptLog(database, key, "bench.local/log")
    own, peer, sample = [], [], []
    for start in range(0, count, BLOCK):
        statements = [_state(number, source) for number in range(start, min(start + BLOCK, count))]
        took, receipts = _time(partial(_append, log, statements))
        own.append(took / len(statements))
        payloads = [receipt.document["envelope"]["payload"].encode() for receipt in receipts]
        took, _ = _time(partial(_write_bare, bare, key, payloads))
        peer.append(took / len(payloads))
        sample.append(receipts[0])
        if report is not None:
            report(start + len(statements), count)
    audit_s, audited = _time(log.audit)
    verify_s = [_time(partial(verify_receipt, each, public_key=key.public))[0] for each in sample]
    openings = [len(str(dict(each.openings))) for each in sample]
    log.close()
    database.close()
    bare.close()
    return {
        "count": count,
        "append_us": float(np.median(own)) * 1e6,
        "bare_us": float(np.median(peer)) * 1e6,
        "ratio": float(np.median(np.array(own) / np.array(peer))),
        "audit_us": audit_s / count * 1e6,
        "audited": audited,
        "verify_us": float(np.median(verify_s)) * 1e6,
        "log_bytes": (folder / "leo.db").stat().st_size / count,
        "bare_bytes": (folder / "bare.db").stat().st_size / count,
        "document_bytes": float(np.mean([len(str(each.document)) for each in sample])),
        "openings_bytes": float(np.mean(openings)),
    }


def _append(log: SqliteReceiptLog, statements: list[tuple[dict[str, Json], dict[str, str]]]) -> list[Receipt]:
    return [log.append(statement, openings) for statement, openings in statements]


def _open_bare(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(_BARE)
    return connection


def _write_bare(connection: sqlite3.Connection, key: SigningKey, payloads: list[bytes]) -> None:
    for payload in payloads:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO bare (payload, signature) VALUES (?, ?)", (payload, key.sign(payload)))
        connection.execute("COMMIT")


def _state(number: int, source: np.random.Generator) -> tuple[dict[str, Json], dict[str, str]]:
    """Statement and openings of a committee of five, of which some err."""
    names = ("a", "b", "c", "d", "e")
    numbers = [41 if wrong else 42 for wrong in source.random(len(names)) < ERRING]
    drafts = tuple(
        Draft(member=name, model=f"model-{name}", message=Message(role="assistant", content=f"The answer is {value}."))
        for name, value in zip(names, numbers, strict=True)
    )
    vectors = source.normal(size=(len(names), 64)) * 0.3 + 1.0
    config, question = ConsensusConfig(), f"What is the answer to question {number}?"
    verdict = reach_consensus(
        drafts,
        question=question,
        trust=TrustState.fresh(),
        region=-1,
        families={},
        vectors=(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32),
        required=0.5,
        config=config,
    )
    request = Request(messages=(Message(role="user", content=question),), tenant="bench")
    answer = Answer(
        id=f"{number:032x}",
        message=drafts[verdict.medoid].message,
        route=Route.CONSENSUS,
        model=drafts[verdict.medoid].model,
        members=names,
        usage=Usage(input_tokens=100, output_tokens=50, calls=5, cost_usd=0.002),
        saved=Usage(),
        risk=Risk(value=0.05, interval=(0.01, 0.1)),
        novelty=Novelty(value=0.5, entropy=0.4, deviation=1.0, region=2, samples=200),
        cache=CacheDecision(action="miss", why="no entry in scope"),
        decision=RouteDecision(route=Route.CONSENSUS, why="cheapest within the constraint"),
        verdict=verdict,
        latency_s=0.8,
        drafts=drafts,
    )
    return build_statement(
        request,
        answer,
        identity=Identity(exact_key="0" * 64, scope_key="1" * 64, text=question, semantic=True),
        trust=tuple(TrustEstimate(member=name, alpha=8.0, beta=2.0) for name in names),
        policy={"max_wrong_hits": 0.01},
        audit=AuditTerms(rate=0.02, chance=0.02, seed=bytes(32)),
        source_receipt=None,
        entropy=secrets.token_bytes(32),
        now=1.8e9 + number,
    )


# --------------------------------------------------------------------------------------------- certificates


def _measure_certificates(count: int, seed: int) -> dict[str, Any]:
    """Certify the solutions of random instances of 2 to 11 vectors; change one figure of each, and check again."""
    source = np.random.default_rng(seed)
    made = certified = refused = 0
    check_s = []
    for instance in range(count):
        vectors, weights = _draw_instance(source, 2 + instance % 10)
        found = measure_agreement(vectors, weights, (0.3, 0.7, 1.2)[instance % 3])
        if found.certificate is None:
            continue
        made += 1
        votes = [fixed(weight) for weight in weights]
        stated = {
            "value": fixed(found.value),
            "certificate": {
                "kappa": fixed(found.certificate.kappa),
                "gram": [fixed(product) for product in found.certificate.gram],
                "centre": [fixed(part) for part in found.certificate.centre],
                "orthogonal_centre": [fixed(part) for part in found.certificate.orthogonal_centre],
            },
        }
        took, holds = _time(partial(_holds, stated, votes))
        check_s.append(took)
        certified += holds
        refused += not _holds(_tamper(stated, votes, source), votes)
    times = np.array(check_s) * 1e3
    return {
        "instances": count,
        "made": made,
        "certified": certified,
        "tampered": made,
        "refused": refused,
        "check_ms_p50": float(np.percentile(times, 50)),
        "check_ms_p99": float(np.percentile(times, 99)),
    }


def _draw_instance(source: np.random.Generator, count: int) -> tuple[npt.NDArray[np.float32], list[float]]:
    centres = source.normal(size=(2, 256))
    rows = centres[source.integers(0, 2, size=count)] + source.choice([0.1, 0.6, 3.0]) * source.normal(
        size=(count, 256)
    )
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32), [round(float(weight), 6) for weight in source.uniform(0.0, 4.0, size=count)]


def _holds(stated: dict[str, Any], votes: list[str]) -> bool:
    return all(constraint.holds for constraint in derive_agreement(stated, votes))


def _tamper(stated: dict[str, Any], votes: list[str], source: np.random.Generator) -> dict[str, Any]:
    """The statement with one figure moved: the value by 1e-5, or a figure of the certificate by 0.05.

    An inner product is moved between the two votes that weigh most: between votes that hardly weigh, the certificate
    proves the same value with another one. So it does where answers lie further apart than orthogonal ones and the
    coherence, which is never below 0, is 0 with any of them; the value is moved there.
    """
    certificate = {name: list(part) if isinstance(part, list) else part for name, part in stated["certificate"].items()}
    name = source.choice(["value", "centre", "orthogonal_centre", "gram"])
    if name == "gram" and not Decimal(stated["value"]):
        name = "value"
    sign = int(source.choice([-1, 1]))
    if name == "value":
        return {**stated, "value": fixed(Decimal(stated["value"]) + sign * Decimal("0.00001"))}
    place = _find_heaviest(votes) if name == "gram" else int(source.integers(len(certificate[name])))
    certificate[name][place] = fixed(Decimal(certificate[name][place]) + sign * Decimal("0.05"))
    return {**stated, "certificate": certificate}


def _find_heaviest(votes: list[str]) -> int:
    """Place of the pair of votes with the largest product of weights, among all pairs in their order."""
    products = [Decimal(one) * Decimal(two) for one, two in combinations(votes, 2)]
    return products.index(max(products))


def _time(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that the work took, and what it returned."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result
