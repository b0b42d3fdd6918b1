"""From the verified pairs of a store to a student: which answers are the same, and what is learned of each tenant."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from leo_core.engine.verified_pairs import ExportTerms, export_pairs
from leo_core.errors import ConfigError
from leo_core.records import Message
from leo_core.stages.consensus.canonical_answers import canonicalise
from leo_core.stages.consensus.equivalence import classify
from leo_core.stages.consensus.questions import read_question
from leo_core.stages.student.config import StudentConfig
from leo_core.stages.student.fit import Examples, find_fold, fit_student
from leo_core.stages.student.taught import Taught

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from leo_core.config import LEOConfig
    from leo_core.engine.verified_pairs import VerifiedPair
    from leo_core.ports import Embedder, Store

__all__ = ["Lesson", "group_answers", "make_examples", "save_student", "teach"]

_ANSWERS = frozenset({"yes-no", "number", "date", "time", "literal", "string", "text"})
"""Kinds of answers that can be taught: no letters of options, since their meaning is in the question, no programs."""
_COMPARED = 400
"""Spellings of answers, the most frequent ones, that are compared with each other."""
_AT_ONCE = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What came of a training.

    Attributes:
        taught: The students.
        pairs: Verified pairs by tenant, those that were held out among them.
        examples: The same with their vectors.
        untaught: Tenants without a student, and why.
        dropped: How many entries were no verified pairs, by reason.
    """

    taught: Taught
    pairs: Mapping[str, Sequence[VerifiedPair]]
    examples: Mapping[str, Examples]
    untaught: Mapping[str, str]
    dropped: Mapping[str, int]


def teach(
    store: Store,
    tenants: Iterable[str],
    config: LEOConfig,
    *,
    embedder: Embedder,
    student: StudentConfig | None = None,
    terms: ExportTerms | None = None,
    progress: Callable[[int], None] | None = None,
) -> Lesson:
    """Train a student for each tenant, each on its own verified pairs.

    Args:
        store: The store; a sealed one, so that nothing is learned that LEO did not write.
        tenants: Whose.
        config: Settings that the store is used with.
        embedder: What makes vectors of the questions.
        student: Settings of the student.
        terms: Which pairs; by default those of ``leo export``.
        progress: Hears how many entries were looked at so far.

    Raises:
        ConfigError: No tenant has enough verified pairs; the message says what is missing.
    """
    settings = student or StudentConfig()
    pairs, examples, students, untaught = {}, {}, {}, {}
    dropped: Counter[str] = Counter()
    looked = 0
    for tenant in tenants:
        before = looked

        def tell(seen: int, before: int = before) -> None:
            nonlocal looked
            looked = before + seen
            if progress is not None:
                progress(looked)

        export = export_pairs(store, (tenant,), terms or ExportTerms(), config, progress=tell)
        dropped.update(export.dropped)
        pairs[tenant] = tuple(export.pairs)
        examples[tenant] = make_examples(export.pairs, embedder)
        try:
            students[tenant] = fit_student(examples[tenant], settings)
        except ConfigError as error:
            untaught[tenant] = str(error)
    if not students:
        message = "; ".join(f"{tenant}: {why}" for tenant, why in untaught.items()) or "the store has no tenant"
        raise ConfigError(message)
    taught = Taught(embedder=embedder.fingerprint, students=students)
    return Lesson(taught=taught, pairs=pairs, examples=examples, untaught=untaught, dropped=dropped)


def make_examples(pairs: Sequence[VerifiedPair], embedder: Embedder) -> Examples:
    """Pairs as examples: vectors of the questions, and which answers are the same."""
    parts = [
        embedder.embed([pair.question for pair in pairs[start : start + _AT_ONCE]])
        for start in range(0, len(pairs), _AT_ONCE)
    ]
    empty = np.zeros((0, embedder.fingerprint.dimension), dtype=np.float32)
    return Examples(
        vectors=np.concatenate([empty, *parts]).astype(np.float32),
        groups=group_answers([(pair.question, pair.answer) for pair in pairs]),
        texts=[pair.answer for pair in pairs],
        folds=np.array([find_fold(pair.question) for pair in pairs], dtype=np.int32),
        entries=[pair.entry for pair in pairs],
        receipts=[pair.receipt for pair in pairs],
    )


def group_answers(pairs: Sequence[tuple[str, str]]) -> npt.NDArray[np.int32]:
    """Number of the answer of each (question, answer): equal where the answers say the same.

    Answers are brought to their canonical form, each read in the light of its own question; the most frequent forms are
    then compared with each other, as a committee's answers are. What cannot be taught, such as a refusal or the letter
    of an option, is a group of its own each time.
    """
    forms: list[tuple[str, str, int]] = []
    shown: dict[tuple[str, str, int], Message] = {}
    for at, (question, answer) in enumerate(pairs):
        message = Message(role="assistant", content=answer)
        canonical = canonicalise(message, read_question(question))
        teachable = canonical.kind in _ANSWERS and bool(canonical.form)
        form = (canonical.kind, canonical.form, -1 if teachable else at)
        forms.append(form)
        shown.setdefault(form, message)
    counts = Counter(forms)
    frequent = sorted((form for form in counts if form[2] < 0), key=lambda form: (-counts[form], form))[:_COMPARED]
    home = dict(zip(frequent, classify([shown[form] for form in frequent])[0] if frequent else (), strict=True))
    for form in counts:
        home.setdefault(form, len(home))
    numbers = {number: place for place, number in enumerate(dict.fromkeys(home[form] for form in forms))}
    return np.array([numbers[home[form]] for form in forms], dtype=np.int32)


def save_student(lesson: Lesson, path: str | Path) -> None:
    """Write the students into one file, whole or not at all, with mode 0600.

    Raises:
        ConfigError: It cannot be written.
    """
    from leo_core.storage.whole_file import replace_file  # noqa: PLC0415 - only where a file is written

    try:
        with replace_file(path) as stream:
            stream.write(lesson.taught.to_bytes())
    except OSError as error:
        message = f"cannot write {path}: {error.strerror}"
        raise ConfigError(message) from error
