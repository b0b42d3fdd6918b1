"""The student as a member: the contract of models, provenance, and every reason to abstain."""

from __future__ import annotations

import pytest

from leo_core import LEO, Route
from leo_core.errors import CapabilityError, ConfigError, MemberAbstainedError, StoreCorruptError, StoreMismatchError
from leo_core.providers.names import resolve_model
from leo_core.providers.scripted import ScriptedModel
from leo_core.providers.student import StudentModel
from leo_core.records import EmbedderFingerprint, Message, Request
from leo_core.stages.embed.load import load_embedder
from tests.contracts.model import FailureContract, ModelContract, ask
from tests.core.student.lessons import list_questions, train

TAUGHT = train(list_questions()[:300])
KNOWN = "Hello, my card was stolen?"
UNKNOWN = "Photosynthesis in deep sea volcanoes"


class SlowEmbedder:
    """The same vectors from an embedder that is not said to be local."""

    is_local = False

    def __init__(self) -> None:
        self.inner = load_embedder()

    @property
    def fingerprint(self):
        return self.inner.fingerprint

    def embed(self, texts):
        return self.inner.embed(texts)


class TestContract(ModelContract):
    question = KNOWN

    @pytest.fixture(params=[None, SlowEmbedder], ids=["local", "elsewhere"])
    def model(self, request):
        return StudentModel(TAUGHT, embedder=request.param and request.param())


class TestAbstention(FailureContract):
    @pytest.mark.parametrize(
        ("request_", "reason"),
        [
            (ask(UNKNOWN), {"novel", "elsewhere"}),
            (ask(KNOWN, tenant="somebody-else"), {"tenant"}),
            (Request(messages=(Message(role="system", content="Be rude."), *ask(KNOWN).messages)), {"context"}),
            (
                Request(
                    messages=(
                        *ask("Hi").messages,
                        Message(role="assistant", content="Hello"),
                        *ask(KNOWN).messages,
                    )
                ),
                {"context"},
            ),
            (ask(KNOWN, response_format={"type": "json_object"}), {"context"}),
        ],
    )
    def test_it_says_why(self, request_, reason) -> None:
        error = self.check_raises(StudentModel(TAUGHT), request_, MemberAbstainedError)
        assert error.reason in reason
        assert error.retryable is False
        assert KNOWN not in str(error)

    def test_unsure(self) -> None:
        never = train(list_questions()[:300], least_probability=1.0)
        assert self.check_raises(StudentModel(never), ask(KNOWN), MemberAbstainedError).reason == "unsure"


def test_a_draft_says_how_sure_it_is_and_where_it_comes_from() -> None:
    draft = StudentModel(TAUGHT).generate(ask(KNOWN))
    assert draft.text == "Open the app and choose Replace card."
    assert draft.usage.cost_usd == 0.0
    assert 0.8 <= draft.metadata["probability"] <= 1.0
    student = TAUGHT.students["default"]
    places = [student.entries.index(example["entry"]) for example in draft.metadata["examples"]]
    assert [student.receipts[at] for at in places] == [each["receipt"] for each in draft.metadata["examples"]]
    assert {student.answers[student.labels[at]] for at in places} == {draft.text}


def test_the_system_prompt_that_was_taught_with_is_part_of_it() -> None:
    model = StudentModel(TAUGHT, system="You help customers.")
    told = Message(role="system", content="You help customers.")
    assert model.generate(Request(messages=(told, *ask(KNOWN).messages))).text.startswith("Open the app")
    with pytest.raises(MemberAbstainedError):
        model.generate(ask(KNOWN))
    assert model.fingerprint != StudentModel(TAUGHT).fingerprint


def test_it_is_loaded_from_its_file_and_with_its_own_embedder_only(tmp_path) -> None:
    path = tmp_path / "leo.student"
    path.write_bytes(TAUGHT.to_bytes())
    model = resolve_model(f"student:{path}")
    assert model.generate(ask(KNOWN)).text == StudentModel(TAUGHT).generate(ask(KNOWN)).text
    assert model.fingerprint == StudentModel(TAUGHT).fingerprint
    with pytest.raises(StoreMismatchError, match="was trained with the embedder static"):
        StudentModel.load(path, embedder=load_embedder("hashed"))
    with pytest.raises(ConfigError, match="cannot read"):
        StudentModel.load(tmp_path / "absent")
    path.write_bytes(b"nothing")
    with pytest.raises(StoreCorruptError):
        StudentModel.load(path)
    strange = EmbedderFingerprint(name="house", version="1", dimension=8, table_sha256="00")
    with pytest.raises(ConfigError, match="no embedder 'house'"):
        StudentModel(type(TAUGHT)(embedder=strange, students={}))


def test_where_it_abstains_the_next_member_answers() -> None:
    teacher = ScriptedModel("teacher", replies="From the teacher.", cost=0.01)
    with LEO(StudentModel(TAUGHT), teacher, seed=1) as leo:
        known = leo.ask(KNOWN, route=Route.SMALL)
        assert (known.text, known.route, known.usage.cost_usd) == (
            "Open the app and choose Replace card.",
            Route.SMALL,
            0.0,
        )
        unknown = leo.ask(UNKNOWN, route=Route.SMALL)
        assert (unknown.text, unknown.route, unknown.usage.cost_usd) == ("From the teacher.", Route.LARGE, 0.01)
        chunks = list(leo.stream(f"{UNKNOWN}, why?", route=Route.SMALL))
        assert "".join(chunk.text for chunk in chunks) == "From the teacher."
        assert leo.counts["member.abstained"] == 2
        assert "member.failed" not in leo.counts
        assert leo.ask(UNKNOWN + "!", route=Route.CASCADE).text == "From the teacher."
    with LEO(StudentModel(TAUGHT)) as alone, pytest.raises(MemberAbstainedError):
        alone.ask(UNKNOWN)
    with LEO(StudentModel(TAUGHT)) as alone, pytest.raises(CapabilityError):
        alone.ask(KNOWN, response_format={"type": "json_object"})
