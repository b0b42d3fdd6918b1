"""Answers of a framework's model held against retrieved texts, whole or while they are streamed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from leo_core.engine.arguments import check_argument
from leo_core.errors import ConfigError
from leo_core.stages.grounding.sentences import split_sentences

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leo_core.records import Grounding, Json, SentenceSupport, Source

__all__ = ["ABSTENTION", "MARK", "OnUnsupported", "VerifiedText", "check_verifying"]

OnUnsupported = Literal["note", "mark", "drop", "abstain"]
ABSTENTION = "The retrieved sources do not support an answer to this question."
MARK = " [unsupported]"


def check_verifying(on_unsupported: str, max_risk: float, *, owner: str = "VerifiedText") -> None:
    """Refuse settings that make no sense; the error names the ``owner`` of the arguments.

    Raises:
        ConfigError: There is no such treatment, or the risk is outside [0, 1].
    """
    if on_unsupported not in get_args(OnUnsupported):
        message = f"on_unsupported is one of {', '.join(get_args(OnUnsupported))}, not {on_unsupported!r}"
        raise ConfigError(message)
    check_argument("max_risk", max_risk, owner=owner)


class VerifiedText:
    """One answer, held against its sources.

    Args:
        sources: What it may stand on.
        question: What was asked.
        on_unsupported: ``note`` leaves the text alone; ``mark`` puts ``mark`` behind every unsupported sentence;
            ``drop`` leaves these out, and abstains where none is left; ``abstain`` replaces an answer that is
            unsupported as a whole.
        max_risk: Risk above which a sentence, or for ``abstain`` the answer, counts as unsupported, in [0, 1].
        abstention: What an abstention says.
        mark: What a mark says.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        question: str,
        *,
        on_unsupported: OnUnsupported = "mark",
        max_risk: float = 0.5,
        abstention: str = ABSTENTION,
        mark: str = MARK,
    ) -> None:
        from leo_core.engine.grounding import load_knowledge  # noqa: PLC0415 - loads numba
        from leo_core.stages.grounding.policy import Grounder  # noqa: PLC0415 - loads numpy

        self._grounder = Grounder(sources, question=question, knowledge=load_knowledge())
        self._treatment, self._max_risk = on_unsupported, max_risk
        self._abstention, self._mark = abstention, mark
        self._text = ""
        self._shown = 0
        self._kept = 0
        self._action = "kept"
        self._found: Grounding | None = None

    def verify(self, text: str) -> str:
        """The whole answer as it may be shown."""
        return self.feed(text) + self.finish()

    def feed(self, piece: str) -> str:
        """What may be shown once this piece has come; empty while a sentence, or the whole answer, is awaited."""
        self._text += piece
        if self._treatment == "note":
            return piece
        if self._treatment == "abstain":
            return ""
        sentences = split_sentences(self._text[self._shown :])
        if len(sentences) < 2:  # noqa: PLR2004 - the last one may go on
            return ""
        return self._show(self._shown + sentences[-2][1])

    def finish(self) -> str:
        """What is left to show at the end of the answer."""
        self._found = self._grounder.judge(self._text)
        if self._treatment == "note":
            return ""
        if self._treatment == "abstain":
            if self._found.risk <= self._max_risk:
                return self._text
            self._action = "abstained"
            return self._abstention
        rest = self._show(len(self._text))
        if self._treatment == "drop" and self._action == "dropped" and not self._kept:
            self._action = "abstained"
            return self._abstention
        return rest

    def _show(self, end: int) -> str:
        """The text up to ``end``, sentence by sentence as the treatment says; white space goes with what follows."""
        part, shown, at = self._text[self._shown : end], "", 0
        for sentence in self._grounder.judge(self._text[:end], start=self._shown).sentences:
            text = part[at : sentence.end - self._shown]
            at = sentence.end - self._shown
            if self._supports(sentence):
                shown += text if self._kept or self._action != "dropped" else text.lstrip()
                self._kept += 1
            elif self._treatment == "mark":
                self._action = "marked"
                shown += _put_behind(text, self._mark)
            else:
                self._action = "dropped"
        self._shown = end
        return shown + (part[at:] if self._action != "dropped" else part[at:].rstrip())

    @property
    def grounding(self) -> Grounding | None:
        """What was found; ``None`` before the end."""
        return self._found

    @property
    def action(self) -> str:
        """``kept``, ``marked``, ``dropped`` or ``abstained``."""
        return self._action

    def describe(self) -> dict[str, Json]:
        """What was found, in plain values; empty before the end.

        ``action``, ``risk`` and ``sentences``, whose ``start`` and ``end`` are of the answer as the model wrote it.
        """
        if self._found is None:
            return {}
        plain = self._found.to_dict()
        for row, sentence in zip(plain["sentences"], self._found.sentences, strict=True):
            row["text"] = self._text[sentence.start : sentence.end]
            row["supported"] = self._supports(sentence)
        return {"action": self._action, **plain}

    def _supports(self, sentence: SentenceSupport) -> bool:
        return sentence.risk <= self._max_risk


def _put_behind(sentence: str, mark: str) -> str:
    """The mark behind the sentence; into the last cell of a row of a table, which ends with its bar."""
    row = sentence.rpartition("\n")[2].strip()
    if not (row.startswith("|") and row.endswith("|") and len(row) > 1):
        return sentence + mark
    return f"{sentence.rstrip()[:-1].rstrip()}{mark} |"
