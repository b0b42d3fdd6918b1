"""Money: what tokens cost. Prices are data with a date."""
