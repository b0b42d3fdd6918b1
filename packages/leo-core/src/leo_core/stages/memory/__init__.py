"""The micro-memory of a session: recent directions that lean follow-up turns. Never part of a hit decision."""
