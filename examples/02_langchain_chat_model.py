"""LEO as a chat model of LangChain: in a chain, with callbacks, and with its figures in the response's metadata."""

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate

from leo_core.providers.extractive import ExtractiveModel
from leo_langchain import LEOCallbackHandler, LEOChatModel

CONTEXT = "The museum opens at 10:00. A ticket costs 12 euros. Children under 6 years pay nothing."
PROMPT = ChatPromptTemplate([("system", "Answer from the context.\n\nContext:\n{context}"), ("human", "{question}")])

with LEOChatModel(small=ExtractiveModel()) as model:
    handler = LEOCallbackHandler()
    chain = PROMPT | model | StrOutputParser()
    for question in ("How much does a ticket cost?", "How much does a ticket cost?", "When does the museum open?"):
        text = chain.invoke({"context": CONTEXT, "question": question}, {"callbacks": [handler]})
        print(f"{question} {text}")

    message = (PROMPT | model).invoke({"context": CONTEXT, "question": "How much does a ticket cost?"})
    facts = message.response_metadata["leo"]
    print(f"route: {facts['route']}, because {facts['cache']['why']}")
    print(f"receipt: {facts['receipt'][:24]}…")
    print(handler.summary())
