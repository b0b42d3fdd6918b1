"""Risk of a request before any call, and of an answer after it."""
