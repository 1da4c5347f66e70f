"""Segmentation and treatment response in one training: the head, its loss, the outcomes, the trainers."""
