"""Comparisons carried out and written down: what is compared, the table, its figures."""
