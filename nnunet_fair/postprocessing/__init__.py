"""From predicted masks to the masks that are handed on: breast box, components, empty masks, pasting back."""
