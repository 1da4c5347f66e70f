from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_fair.metadata.attributes import bin_names
from nnunet_fair.metadata.group_order import group_order, ordered_groups


@pytest.mark.parametrize(
    "ordered",
    [
        ["up to 25", ">25 to 30", ">30"],
        ["0 to 9.5", ">9.5 to 40", ">40 to 120"],
        ["0-40", "41-50", "51-60", "61-70", "71+", "unknown"],
        ["9", "10", "100", "x10", "x9"],
        ["18 and more", "19"],
        ["52.85 to 126.6 mL", ">126.6 to 345 mL"],
        ["up to 900 mm³", ">900 to 4,189 mm³", ">4,189 to 9,500 mm³", ">9,500 mm³"],
        ["1.5 T", "3 T", "10 T"],
        ["-5 to -1", ">-1 to 0.5", ">0.5 to 1e+20"],
        ["<2", "2-5", ">5", "T1: <=2 cm", "T2: >2-5 cm", "T3: >5 cm"],
        ["1 more day", "AAI", "post", "pre"],
    ],
)
def test_groups_stand_in_the_order_of_their_numbers_then_of_their_letters(ordered):
    assert all(
        ordered_groups(shuffled) == ordered for shuffled in itertools.islice(itertools.permutations(ordered), 60)
    )


@given(st.lists(st.text(max_size=6) | st.from_regex(r"[><]?\d{1,3}( to \d{1,3})?[+]?"), unique=True))
def test_every_name_has_its_own_place(names):
    assert len({group_order(name) for name in names}) == len(names)
    assert ordered_groups(names) == ordered_groups(names[::-1])


@given(
    st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=6, unique=True).map(sorted),
    st.booleans(),
    st.sampled_from([(), (-np.inf,)]),
    st.sampled_from([(), (np.inf,)]),
)
def test_bins_of_numbers_are_ordered_as_their_edges(edges, is_volume, low, high):
    names = bin_names([*low, *edges, *high], is_volume=is_volume)
    assert ordered_groups(names[::-1]) == names
