"""What the texts are represented by: encoder vectors, word features, and nearest neighbours."""
