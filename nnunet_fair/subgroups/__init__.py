"""Frequent subgroups of patients, their divergence, and intervals by the bootstrap."""
