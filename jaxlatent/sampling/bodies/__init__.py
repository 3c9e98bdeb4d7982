"""The regions that vectors lie in."""
