"""Weak supervision: labeling functions, their votes, label models, and labels by language models."""
