"""English words that say little about what a text is about: the closed classes, from the grammar, not from data."""

from __future__ import annotations

__all__ = ["FUNCTION_WEIGHT", "FUNCTION_WORDS", "QUESTION_WEIGHT", "QUESTION_WORDS"]

FUNCTION_WEIGHT = 0.2
QUESTION_WEIGHT = 0.5

FUNCTION_WORDS = frozenset(
    """
    a an the this that these those some any all each every both either another such other same own
    i you he she it we they me him her us them my your his its our their mine yours hers ours theirs
    myself yourself himself herself itself ourselves themselves one someone anyone something anything people
    am is are was were be been being do does did doing done have has had having
    will would shall should can could may might must ought get got make made go going
    of in on at by for with about against between into through during before after above below to from
    up down out off over under again and or but if because as until while than then so too very just also
    only there here way more most much many best good
    s t d m ll re ve don doesn didn isn aren wasn weren won wouldn couldn shouldn
    """.split()  # noqa: SIM905 - words read better as a text
)
"""Articles, pronouns, auxiliaries, prepositions, conjunctions, light verbs and adverbs, and what contractions leave."""

QUESTION_WORDS = frozenset(
    "what which who whom whose when where why how no not nor neither never without".split()  # noqa: SIM905 - words read better as a text
)
"""Words that ask or deny: as frequent as function words, but they turn the meaning."""
