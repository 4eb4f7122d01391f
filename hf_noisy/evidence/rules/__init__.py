"""Effects of rules (labeling functions) on texts and votes: words, tokens and folds."""
