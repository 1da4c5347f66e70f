"""Metrics of one case, from its two masks."""
