"""How many labels are wrong, and of what kind the noise is."""
