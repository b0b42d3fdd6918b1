"""The whole suite."""

from __future__ import annotations

from leo_llamaindex.testing.announcements import AnnouncementTests
from leo_llamaindex.testing.answers import AnswerTests
from leo_llamaindex.testing.engines import EngineTests
from leo_llamaindex.testing.tools import ToolTests

__all__ = ["LLMConformance"]


class LLMConformance(AnswerTests, AnnouncementTests, ToolTests, EngineTests):
    """What every LLM of LlamaIndex keeps that wants to be used in its engines and agents.

    Inherit it in a test module and override the fixture ``llm``. The model behind the LLM is scripted: it

    * answers every plain question with one and the same text of several words,
    * calls the first tool, or the one that the question names, when the user spoke last or it must; it takes numbers
      and quoted texts from the question for the arguments,
    * calls all tools when the question says "both",
    * fills a schema in the same way,
    * speaks ReAct when the prompt says ``Thought:``: it calls ``add`` with 2 and 3, and answers the observation.

    What the LLM cannot do is said by the attributes of
    :class:`Scenes <leo_llamaindex.testing.scenes.Scenes>`.

    Example::

        class TestMyLLM(LLMConformance):
            secret = "sk-of-this-test"

            @pytest.fixture
            def llm(self):
                return MyLLM(api_key=self.secret, base_url=scripted_server.url)
    """
