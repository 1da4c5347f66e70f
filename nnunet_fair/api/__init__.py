"""The Python API: DataFrames in and out, everything by case ID; ``import nnunet_fair`` offers it."""
