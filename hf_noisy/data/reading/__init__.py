"""Reads what has rows: files of every kind, folders, rows in memory."""
