"""Files and datasets in: tables, columns, labels, corpora, splits, injected noise, metrics."""
