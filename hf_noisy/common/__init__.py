"""Helpers that know nothing of labels: parameter checks, random generators, scripts, figures."""
