"""The one folder ``nnUNet_extTrainer`` points at; nnU-Net imports every module in it, so it only hands on names."""
