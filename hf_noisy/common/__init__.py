"""Helpers that do not depend on labels: parameter checks, random generators, scripts, figures."""
