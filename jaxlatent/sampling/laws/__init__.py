"""What samplers draw from, one law a file."""
