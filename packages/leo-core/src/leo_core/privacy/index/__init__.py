"""The encrypted index: its server, its client, and what they say to each other."""
