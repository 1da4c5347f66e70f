"""What a mask file is: endings, reading and writing, grids, components, which file belongs to which case."""
