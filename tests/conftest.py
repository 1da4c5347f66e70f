"""Settings for all tests, and the fixtures that several rooms share."""

from hypothesis import settings

pytest_plugins = [
    f"tests.fixtures.{name}" for name in ("browser", "cohorts", "images_and_models", "small_disk", "tiny_dataset")
]

# The same examples at every run, and no time limit: a slow machine is no failure.
settings.register_profile("reproducible", derandomize=True, deadline=None)
settings.load_profile("reproducible")
