"""MAMA-MIA, and cohorts in its layout, to nnU-Net raw format."""
