"""Handing a model on: export, the search for patients in it, the model card."""
