"""LEO in LlamaIndex: a query engine over a few notes, whose answers name their nodes and carry a receipt."""

from llama_index.core import VectorStoreIndex
from llama_index.core.schema import TextNode

from leo_core.providers.extractive import ExtractiveModel
from leo_llamaindex import LEOLLM, LEOEmbedding, LEONodePostprocessor

NOTES = {
    "trains": "The night train to Vienna leaves at 22:10. It arrives at 6:40.",
    "tickets": "A ticket to Vienna costs 59 euros. Tickets can be returned until one day before departure.",
    "luggage": "Each traveller may bring 3 pieces of luggage. Bicycles need a ticket of their own.",
}

nodes = [TextNode(text=text, metadata={"note": name}) for name, text in NOTES.items()]
index = VectorStoreIndex(nodes, embed_model=LEOEmbedding())

with LEOLLM(small=ExtractiveModel()) as llm:
    engine = index.as_query_engine(llm=llm, similarity_top_k=2, node_postprocessors=[LEONodePostprocessor()])
    for question in ("How much does a ticket to Vienna cost?", "How many pieces of luggage may each traveller bring?"):
        response = engine.query(question)
        facts = response.metadata["leo"]
        print(f"{question} {response}")
        print(f"  nodes: {', '.join(each.node.metadata['note'] for each in response.source_nodes)}")
        print(f"  route {facts['route']}, P(wrong) {facts['risk']:.3f}, receipt {facts['receipt'][:21]}…")
