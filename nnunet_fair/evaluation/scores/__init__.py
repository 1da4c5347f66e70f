"""Scores of one cohort, from its table of cases."""
