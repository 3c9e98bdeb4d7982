"""The plots: each draws one kind of figure."""
