"""Three deployments find out together whom to trust, and none of them shows its own counts.

Each has audited the same two members. Their counts are summed under masks: the aggregator in the middle sees numbers
that look random, and the sum. One deployment drops out on the way; the others finish without it.
"""

import secrets

from leo_core import LEO, LEOConfig
from leo_core.privacy.sums.secure_sum import SumAggregator, SumParty
from leo_core.privacy.sums.sum_session import SumSession
from leo_core.providers.scripted import ScriptedModel
from leo_core.stages.consensus.trust import estimate
from leo_core.stages.consensus.trust_merging import FIGURES_PER_MEMBER, fold_trust, list_counts, merge_counts
from leo_core.stages.receipt.keys import SigningKey

MEMBERS = ("anna", "liar")
POLICY = LEOConfig().consensus


def audit_some(questions: int) -> list[float]:
    """What one deployment has counted after that many audited questions."""
    jury = [ScriptedModel("anna", replies="yes"), ScriptedModel("liar", replies="no", family="liar")]
    with LEO(
        jury=jury, config=LEOConfig(audit_rate=1.0), checker=lambda _, answer: "yes" in answer.text, seed=1
    ) as leo:
        for number in range(questions):
            leo.ask(f"Is {number} a whole number?", route="consensus", cache=False)
        leo.flush()
        kept = (each for _, each in leo.store.observations(tenant="default"))
        return list_counts(fold_trust(kept, POLICY), MEMBERS)


counts = {"berlin": audit_some(4), "lisbon": audit_some(7), "oslo": audit_some(5), "turin": audit_some(3)}
keys = {name: SigningKey.generate() for name in counts}

# Agreed on beforehand, by a channel that the aggregator does not control: who takes part, by which key.
known, length = {name: key.public for name, key in keys.items()}, FIGURES_PER_MEMBER * len(MEMBERS)
session = SumSession(id=secrets.token_bytes(16), parties=known, length=length, threshold=3)
parties = {name: SumParty(session, name, key) for name, key in keys.items()}
aggregator = SumAggregator(session)

adverts = aggregator.collect_adverts(party.advertise() for party in parties.values())
shares = aggregator.collect_shares([party.share(adverts) for party in parties.values()])
masked = [party.mask(counts[name], shares) for name, party in parties.items() if name != "oslo"]
print("oslo drops out after it has shared its keys")

stayed = aggregator.collect_figures(masked)
confirmations = {name: parties[name].confirm(stayed) for name in stayed}
sums = aggregator.add_up(parties[name].unmask(confirmations) for name in stayed)

trust = merge_counts(sums, MEMBERS)
for member in MEMBERS:
    found = estimate(trust, member, -1, POLICY)
    print(f"{member}: trust {found.mean:.2f} from the audits of {len(stayed)} deployments")
plain = [sum(figures) for figures in zip(*(counts[name] for name in stayed), strict=True)]
assert [round(figure, 4) for figure in sums.tolist()] == [round(figure, 4) for figure in plain]
