"""Settings for all tests, and the fixtures that several rooms share."""

import os
from pathlib import Path

from hypothesis import settings

pytest_plugins = [
    f"tests.fixtures.{name}" for name in ("browser", "cohorts", "images_and_models", "small_disk", "tiny_dataset")
]

# The same examples at every run, and no time limit: a slow machine is no failure.
settings.register_profile("reproducible", derandomize=True, deadline=None)
settings.load_profile("reproducible")

# Where pytest-xdist shares the tests among processes, each computes with one thread, and so does what it starts.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"
    one_core = str(Path(__file__).parent / "fixtures" / "one_core")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (one_core, os.environ.get("PYTHONPATH"))))
