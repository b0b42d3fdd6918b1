"""Where entries, observations, states and receipts are kept."""
