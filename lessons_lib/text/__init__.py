"""Text: where it comes from, how it is cut into tokens, and what counting says about it."""
