"""Markov chains in a tilted body: one for each vector, all chains of a tile in step."""
