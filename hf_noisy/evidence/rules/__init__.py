"""What rules (labeling functions) leave behind in texts and votes."""
