"""jaxlatent makes a plain autoencoder generative; see the README for a tour."""
