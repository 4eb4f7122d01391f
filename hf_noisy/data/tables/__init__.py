"""What tables mean: which columns hold what, which classes their labels have, which rows have a text."""
