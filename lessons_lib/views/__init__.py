"""Views: the figure style, static figures, and the explorers."""
