"""Treatment response from the lesion's surroundings, end to end: the network, its patches, its training."""
