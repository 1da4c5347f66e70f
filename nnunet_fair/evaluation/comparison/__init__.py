"""Two models on the same cases: paired differences, the levelling-down audit."""
