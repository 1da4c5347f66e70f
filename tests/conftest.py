"""Settings for all tests."""

from hypothesis import settings

# The same examples at every run, and no time limit: a slow machine is no failure.
settings.register_profile("reproducible", derandomize=True, deadline=None)
settings.load_profile("reproducible")
