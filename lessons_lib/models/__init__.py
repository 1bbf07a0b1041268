"""Models: from a table of bigrams to the Transformer, each built from the parts before it."""
