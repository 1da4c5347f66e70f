"""Does divergence-driven training help real patients? Two public cohorts, cross-validated over patients."""
