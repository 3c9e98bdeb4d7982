"""Laws of one number by a table, and what the exact sampler tabulates."""
