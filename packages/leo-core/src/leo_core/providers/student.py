"""A local member that answers what it was taught, and abstains from everything else."""

from __future__ import annotations

import asyncio
import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from leo_core.errors import ConfigError, MemberAbstainedError, StoreMismatchError
from leo_core.providers.draft_chunks import draft_chunks
from leo_core.providers.payload import check_messages
from leo_core.providers.tokens import estimate_input_tokens, estimate_text_tokens
from leo_core.records import Capabilities, Chunk, Draft, Json, Message, Request, Usage
from leo_core.stages.embed.load import load_embedder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from leo_core.ports import Embedder
    from leo_core.stages.student.student import Judgement, Student
    from leo_core.stages.student.taught import Taught

__all__ = ["StudentModel"]

_PROVIDER: Final = "student"
_WHY: Final = {
    "context": "the request is more than one question in the context that it was taught in",
    "tenant": "it was taught nothing for this tenant",
    "elsewhere": "the question lies away from what it was taught",
    "novel": "the question is unlike every example",
    "unsure": "the answer is not likely enough to be right",
}


class StudentModel:
    """A classifier of questions, trained on verified answers, as a member: local, deterministic, without cost.

    It sees the last user turn alone. What it was taught holds for the context that the teacher answered in, so it
    abstains where there are other turns, or another system prompt than ``system``. A tenant is answered by its own
    student only.

    A draft's metadata has ``probability`` (calibrated P(right)), ``cosine`` of the nearest example, and ``examples``:
    entry, receipt and cosine of the nearest ones with this answer.

    Args:
        taught: What it knows.
        embedder: The embedder that it was trained with; by default the shipped one of that name.
        system: The system prompt under which the taught answers were given; empty for none.
        id: Id of the member.

    Raises:
        StoreMismatchError: The embedder is another one than that of the training.
        ConfigError: No embedder is shipped under the name that the training noted.
    """

    def __init__(
        self,
        taught: Taught,
        *,
        embedder: Embedder | None = None,
        system: str = "",
        id: str = "student",  # noqa: A002 - the port's own word
    ) -> None:
        wanted = taught.embedder
        embedder = embedder or load_embedder(wanted.name, dimension=wanted.dimension)
        if embedder.fingerprint != wanted:
            message = f"the student was trained with the embedder {wanted}, not {embedder.fingerprint}"
            raise StoreMismatchError(message)
        self._taught, self._embedder, self._system, self._id = taught, embedder, system, id
        self._digest = hashlib.sha256(taught.to_bytes()).hexdigest()

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        embedder: Embedder | None = None,
        system: str = "",
        id: str = "student",  # noqa: A002 - as above
    ) -> Self:
        """The student in a file that ``leo student train`` or :meth:`leo_core.LEO.train_student` wrote.

        Raises:
            ConfigError: The file cannot be read.
            StoreCorruptError: It is no student, or is damaged.
            StoreMismatchError: A newer LEO wrote it, or the embedder is another one.
        """
        from leo_core.stages.student.taught import Taught  # noqa: PLC0415 - loads numpy

        try:
            data = Path(path).read_bytes()
        except OSError as error:
            message = f"cannot read {path}: {error.strerror}"
            raise ConfigError(message) from error
        return cls(Taught.from_bytes(data), embedder=embedder, system=system, id=id)

    @property
    def id(self) -> str:
        """Id of the member."""
        return self._id

    @property
    def family(self) -> str:
        """A family of its own."""
        return "student"

    @property
    def capabilities(self) -> Capabilities:
        """Plain text."""
        return Capabilities(tools=False, structured_output=False, images=False, audio=False, files=False)

    @property
    def fingerprint(self) -> Mapping[str, Json]:
        """SHA-256 of what it was taught, and of the system prompt."""
        system = hashlib.sha256(self._system.encode("utf-8", "surrogatepass")).hexdigest()
        return {"provider": _PROVIDER, "taught": self._digest, "system": system}

    @property
    def taught(self) -> Taught:
        """What it knows."""
        return self._taught

    def __repr__(self) -> str:
        """What matters, and no secret."""
        return f"StudentModel({self._id!r}, {self._digest[:16]})"

    def estimate(self, request: Request) -> Usage:
        """Tokens by estimate, those of the longest answer; it costs nothing."""
        student = self._taught.students.get(request.tenant)
        longest = max(map(estimate_text_tokens, student.answers), default=1) if student is not None else 1
        return Usage(input_tokens=estimate_input_tokens(request), output_tokens=longest, calls=1, cost_usd=0.0)

    def price(self, usage: Usage) -> float | None:  # noqa: ARG002 - the port's signature
        """Nothing."""
        return 0.0

    def generate(self, request: Request) -> Draft:
        """Answer, or abstain.

        Raises:
            RequestError: The request is malformed.
            MemberAbstainedError: It does not know; ``reason`` is ``context``, ``tenant``, ``elsewhere``, ``novel`` or
                ``unsure``.
        """
        started = time.perf_counter()
        check_messages(request)
        student = self._taught.students.get(request.tenant)
        if student is None or not self._fits(request):
            raise self._abstain("tenant" if student is None else "context")
        judged = student.judge(self._embedder.embed([request.question])[0])
        if judged.abstains or judged.answer is None:
            raise self._abstain(judged.abstains)
        return self._draft(request, student, judged, student.answers[judged.answer], started)

    async def agenerate(self, request: Request) -> Draft:
        """As :meth:`generate`; in a thread where the embedder may take its time."""
        if self._embedder.is_local:
            return self.generate(request)
        return await asyncio.to_thread(self.generate, request)

    def stream(self, request: Request) -> Iterator[Chunk]:
        """As :meth:`generate`, word by word; it abstains before the first."""
        yield from draft_chunks(self.generate(request))

    async def astream(self, request: Request) -> AsyncIterator[Chunk]:
        """As :meth:`generate`, word by word; it abstains before the first."""
        for chunk in draft_chunks(await self.agenerate(request)):
            yield chunk

    def close(self) -> None:
        """Nothing to release."""

    def _fits(self, request: Request) -> bool:
        """Whether there is one user turn of text, under the system prompt that the student was taught with."""
        before, last = request.messages[:-1], request.messages[-1]
        told = tuple(turn.text for turn in before if turn.role == "system")
        plain = isinstance(last.content, str) or all(block.get("type") == "text" for block in last.content)
        return (
            last.role == "user"
            and plain
            and len(told) == len(before)
            and told == ((self._system,) if self._system else ())
            and not request.tools
            and request.response_format is None
            and bool(request.question.strip())
        )

    def _abstain(self, reason: str) -> MemberAbstainedError:
        message = f"{self._id} abstains: {_WHY[reason]}"
        return MemberAbstainedError(message, provider=_PROVIDER, model=self._id, reason=reason)

    def _draft(self, request: Request, student: Student, judged: Judgement, text: str, started: float) -> Draft:
        examples: list[Json] = [
            {"entry": student.entries[row], "receipt": student.receipts[row], "cosine": round(cosine, 6)}
            for row, cosine in judged.nearest
        ]
        tokens = estimate_text_tokens(text)
        return Draft(
            member=self._id,
            model=self._id,
            message=Message(role="assistant", content=text),
            usage=Usage(input_tokens=estimate_input_tokens(request), output_tokens=tokens, calls=1, cost_usd=0.0),
            latency_s=time.perf_counter() - started,
            metadata={
                "model_name": self._id,
                "model_provider": _PROVIDER,
                "usage_estimated": True,
                "probability": round(judged.probability, 6),
                "cosine": round(judged.cosine, 6),
                "examples": examples,
            },
        )
