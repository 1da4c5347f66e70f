"""nnunet-fair: an nnU-Net v2 plugin that finds the patient subgroups a model serves worse and lifts them."""

__version__ = "0.1.0"
