"""Texts to unit vectors. See ``load.load_embedder``."""
