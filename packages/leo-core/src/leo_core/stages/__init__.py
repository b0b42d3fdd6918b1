"""Decisions, pure: what LEO computes at each step of a request."""
