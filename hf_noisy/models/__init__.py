"""Modules that run inside `model.forward`, and the data types that the trainer and the methods exchange."""
