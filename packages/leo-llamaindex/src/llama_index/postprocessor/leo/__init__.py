"""LEO's node postprocessor, under the name that LlamaIndex's convention suggests."""

from leo_llamaindex import LEONodePostprocessor

__all__ = ["LEONodePostprocessor"]
