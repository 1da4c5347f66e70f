"""The examples in the docstrings of the Python API run and give what they say."""

from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize("module", ["analysis", "comparison", "scoring", "subgroups"])
def test_the_examples_are_true(module):
    found = doctest.testmod(
        importlib.import_module(f"nnunet_fair.api.{module}"), optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert found.attempted and not found.failed
