"""Cleaning of series: what goes, what is filled, what is smoothed. Knows no files."""
