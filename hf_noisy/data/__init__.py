"""Reading of files and datasets: tables, columns, labels, corpora, splits, injected noise, metrics."""
