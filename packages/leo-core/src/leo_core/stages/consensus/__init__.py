"""Consensus: which of several answers stands, how surely, and whom to trust for it."""
