"""Models for the world: each file holds one kind and imports its SDK only when it is used."""
