"""What every ``Retriable`` keeps: a test class inherits :class:`RetriableContract` beside the model's contract."""

from __future__ import annotations

from leo_core.ports import Model, Retriable
from leo_core.records import Request


class RetriableContract:
    """The contract; see the port. Gives nothing by itself: the fixtures are those of the model's contract."""

    def test_once_is_the_same_model_without_retries(self, model: Model, request_: Request) -> None:
        """It answers alike under the same name; and the model itself keeps its retries."""
        assert isinstance(model, Retriable)
        retries = model.max_retries
        assert retries >= 0
        once = model.once()
        assert isinstance(once, Retriable)
        assert once.max_retries == 0
        assert model.max_retries == retries
        assert (once.id, once.family, once.fingerprint) == (model.id, model.family, model.fingerprint)
        one, other = once.generate(request_), model.generate(request_)
        assert (one.member, one.model, one.text) == (other.member, other.model, other.text)
