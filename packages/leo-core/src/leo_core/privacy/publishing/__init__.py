"""Published figures: noise, and the budget that it is charged to."""
