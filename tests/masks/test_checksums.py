from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnunet_fair.masks import checksums
from nnunet_fair.masks.checksums import crc32


@settings(max_examples=80, deadline=None)
@given(
    runs=st.lists(st.tuples(st.integers(0, 300), st.booleans()), max_size=8),
    value=st.integers(0, 2**32 - 1),
    block=st.sampled_from([1, 7, 64, 1 << 18]),
)
def test_it_is_zlibs_checksum_whatever_is_zero(runs, value, block):
    rng = np.random.default_rng(len(runs))
    parts = [rng.integers(0, 256, n, np.uint8) if filled else np.zeros(n, np.uint8) for n, filled in runs]
    array = np.concatenate([np.zeros(0, np.uint8), *parts])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checksums, "BLOCK", block)
        assert crc32(array, value) == zlib.crc32(array.tobytes(), value)


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.uint8])
def test_a_volume_of_any_type(dtype):
    array = np.zeros((30, 200, 210), dtype)
    array[12:15, 50:60, 70:90] = np.arange(20)
    assert crc32(array) == zlib.crc32(array.tobytes())
    array[-1, -1, -1] = 1
    assert crc32(array, 5) == zlib.crc32(array.tobytes(), 5)
