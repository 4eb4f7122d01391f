"""Text features: encoder vectors, word features and nearest neighbours."""
