"""Settings for all tests, and the fixtures that several rooms share."""

from hypothesis import settings

pytest_plugins = ["tests.fixtures.browser", "tests.fixtures.cohorts", "tests.fixtures.images_and_models"]

# The same examples at every run, and no time limit: a slow machine is no failure.
settings.register_profile("reproducible", derandomize=True, deadline=None)
settings.load_profile("reproducible")
