"""Four members vote, and one of them always lies. What it says is outvoted; audits then cost it its trust."""

from leo_core import LEO, LEOConfig, Route
from leo_core.providers.scripted import ScriptedModel

TRUTH = {f"How much is {a} times {b}?": str(a * b) for a in range(3, 9) for b in (7, 9)}


def honest(request: object) -> str:
    """The right product."""
    return f"The answer is {TRUTH[request.question]}."


def lie(request: object) -> str:
    """A wrong product."""
    return f"The answer is {int(TRUTH[request.question]) + 1}."


def check(request: object, answer: object) -> bool:
    """The audit: somebody who knows the right product."""
    return TRUTH[request.question] in answer.text


jury = [ScriptedModel(name, replies=honest, family=name) for name in ("anna", "bela", "cleo")]
jury.append(ScriptedModel("liar", replies=lie, family="liar"))

with LEO(jury=jury, config=LEOConfig(audit_rate=1.0), checker=check, seed=1) as leo:
    for place, question in enumerate(TRUTH):
        answer = leo.ask(question, route=Route.CONSENSUS, cache=False)
        leo.flush()
        if place in (0, len(TRUTH) - 1):
            verdict = answer.verdict
            print(f"{question} {answer.text} Posterior {verdict.confidence:.4f}")
            print(f"  {verdict.certified_margin} of its heaviest supporters could switch without changing the result")
            for vote in verdict.votes:
                print(f"  {vote.member}: {verdict.classes[vote.answer_class]}, trust {vote.trust:.2f}")
