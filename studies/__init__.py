"""Studies on real patients; none of their data is part of this repository."""
