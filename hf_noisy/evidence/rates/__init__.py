"""Estimates of the noise rate and of the kind of noise."""
