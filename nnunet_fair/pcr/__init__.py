"""Prediction of treatment response (pCR, the challenge's Task 2): lesion features and response models."""
