"""Resilience: when a member is asked, asked again, and left alone."""
