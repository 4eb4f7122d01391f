"""Inference of the true classes from labels, votes and text features."""
