"""The machinery around the lessons: finding, normalising, stamping, executing and checking notebooks."""
