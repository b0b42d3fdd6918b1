"""Choose the way on which a request is answered."""
