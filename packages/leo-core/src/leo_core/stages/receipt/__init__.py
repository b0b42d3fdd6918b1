"""Receipts: signed statements of how an answer was found, in a Merkle log (``definitions``: receipt)."""
