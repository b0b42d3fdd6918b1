"""A student: answers what a teacher answered often enough, from embeddings alone, and says where it does not know."""
