"""LEO as an LLM, under the name that LlamaIndex's convention suggests."""

from leo_llamaindex import LEOLLM
from leo_llamaindex import LEOLLM as LEO

__all__ = ["LEO", "LEOLLM"]
