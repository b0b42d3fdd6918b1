"""Trust over several deployments: counts as figures that can be summed, and the state that the sums make.

Each deployment counts right and wrong answers of the same members (:mod:`leo_core.stages.consensus.trust`). The counts
add up: S and F of the merged state are the sums of the deployments' S and F. Summed by
:mod:`leo_core.privacy.sums.secure_sum`, no deployment shows its own. Regions are each deployment's own and are not
merged.
"""

from __future__ import annotations

from itertools import product
from types import MappingProxyType
from typing import TYPE_CHECKING

from leo_core.errors import RequestError
from leo_core.stages.consensus.trust import EVERYWHERE, IN_DISPUTE, TrustState, update_trust

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from leo_core.records import Observation
    from leo_core.stages.consensus.config import ConsensusConfig

__all__ = ["FIGURES_PER_MEMBER", "fold_trust", "list_counts", "merge_counts"]

_PLACES = (EVERYWHERE, IN_DISPUTE)
FIGURES_PER_MEMBER = 2 * len(_PLACES)


def fold_trust(observations: Iterable[Observation], config: ConsensusConfig) -> TrustState:
    """The state that observations make, such as a store's of one tenant.

    Raises:
        RequestError: An observation does not say what its kind has to say.
    """
    state = TrustState.fresh()
    for observation in observations:
        state = update_trust(state, observation, config)
    return state


def list_counts(state: TrustState, members: Sequence[str]) -> list[float]:
    """Four figures of each member, in the order of ``members``: right and wrong everywhere, right and wrong in dispute.

    Members that are not known have zeros. All deployments have to name the same members in the same order.

    Raises:
        RequestError: A member is named twice.
    """
    _check(members)
    return [
        figure
        for member, place in product(members, _PLACES)
        for figure in state.counts.get((member, place), (0.0, 0.0))
    ]


def merge_counts(sums: Sequence[float], members: Sequence[str]) -> TrustState:
    """The state of summed figures; below 0, as noise may leave them, they count as 0.

    Raises:
        RequestError: A member is named twice, or there are not four figures of each.
    """
    _check(members)
    if len(sums) != FIGURES_PER_MEMBER * len(members):
        message = f"there are {len(sums)} figures; {len(members)} members have {FIGURES_PER_MEMBER * len(members)}"
        raise RequestError(message)
    figures = iter(max(0.0, float(figure)) for figure in sums)
    counts = {key: (next(figures), next(figures)) for key in product(members, _PLACES)}
    return TrustState(MappingProxyType({key: count for key, count in counts.items() if any(count)}))


def _check(members: Sequence[str]) -> None:
    if len(set(members)) != len(members):
        message = f"a member is named twice: {', '.join(members)}"
        raise RequestError(message)
