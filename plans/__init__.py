"""Plan presets as JSON, and what installs them."""
