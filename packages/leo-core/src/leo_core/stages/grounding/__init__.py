"""Does each sentence of an answer stand in the sources it was given, and may the sources be trusted."""
