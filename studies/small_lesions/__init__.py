"""Candidates that may lift small lesions (docs/effect-real.md, "Small lesions"): losses and drawing, as trainers."""
