"""Per-case metrics, challenge scores, subgroup statistics, comparison of two models, the report."""
