"""Money, logs and traces. Everything that watches is a Listener; prices are data."""
