"""The corpora that come with the package, and a small encoder to train on them."""
