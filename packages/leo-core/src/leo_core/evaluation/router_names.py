"""What tables and figures call the routers of ``leo bench route``."""

from __future__ import annotations

__all__ = ["ROUTER_NAMES"]

ROUTER_NAMES = {
    "random": "random",
    "length": "length of the question",
    "neighbours": "50 nearest questions",
    "leo_prior": "LEO before the call, shipped prior",
    "leo_learned": "LEO before the call, with outcomes",
    "leo_cascade": "LEO cascade",
    "leo_foreseen": "LEO cascade, with outcomes",
    "leo_agreement": "LEO cascade, others beside",
    "oracle": "oracle",
}
"""By the names of a result's ``routers``."""
