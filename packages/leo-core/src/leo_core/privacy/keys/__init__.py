"""Keys of tenants: keyrings, what wraps them, how they change, and what they seal."""
