"""How unlike past traffic a request is."""
