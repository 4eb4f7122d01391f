"""Building blocks that several methods share: the callback base class, memory, losses, selection, mixing."""
