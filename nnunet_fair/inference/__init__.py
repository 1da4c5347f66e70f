"""What happens to predictions: breast box, components, empty masks, pasting back, exporting a stock model."""
