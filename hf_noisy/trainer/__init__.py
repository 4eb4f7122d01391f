"""`NoisyTrainer` and the parts that it holds."""
