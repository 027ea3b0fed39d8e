"""Models: configuration, layers, the Transformer, its profile, and its files."""
