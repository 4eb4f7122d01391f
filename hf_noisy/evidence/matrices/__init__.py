"""Transition matrices P(given label | true class) and their estimators."""
