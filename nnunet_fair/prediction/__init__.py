"""From unseen patients to masks: the recipe a model was trained with, nnU-Net's predictor, post-processing."""
