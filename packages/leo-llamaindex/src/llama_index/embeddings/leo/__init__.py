"""LEO's embedding, under the name that LlamaIndex's convention suggests."""

from leo_llamaindex import LEOEmbedding

__all__ = ["LEOEmbedding"]
