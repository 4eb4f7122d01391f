"""What stands inside `model.forward`, and the plain types that pass between the trainer and the methods."""
