"""What an adapter needs, whatever the framework: each adapter adds only what its framework calls things."""
