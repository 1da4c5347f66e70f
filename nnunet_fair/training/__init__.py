"""The trainer: configuration, per-case scores, subgroups and their divergence, case weights, weighted losses."""
