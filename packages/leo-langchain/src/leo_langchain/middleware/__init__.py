"""LEO inside LangChain's agents (``create_agent``): a module for each middleware; they need ``langchain``."""
