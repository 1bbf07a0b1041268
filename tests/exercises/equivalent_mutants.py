"""Mutants that may pass, because what they do is right too. Each has its reason."""

EQUIVALENT: dict[str, dict[str, str]] = {}
