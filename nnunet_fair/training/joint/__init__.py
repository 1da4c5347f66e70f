"""Segmentation and treatment response in one network: head, loss, outcomes, trainers, the predictor that reads it."""
