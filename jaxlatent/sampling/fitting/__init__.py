"""What is found from z-points: frame and region, clusters, mixtures, parents."""
