from __future__ import annotations

import pytest

from nnunet_fair.case_ids import match_rows
from nnunet_fair.errors import UserError


@pytest.mark.parametrize(
    ("table_ids", "case_ids", "told"),
    [
        (["95", "106"], ["095", "106"], "1 case matched without leading zeros: '95' is '095'"),
        (["case_7"], ["case_007"], "leading zeros"),
        (["P1.nii.gz"], ["P1"], "endings of files"),
        (["P1_0000.nii.gz"], ["P1"], "endings of files"),
        (["ISIC_1.jpg"], ["isic_1"], "endings of files"),
        (["sub-01"], ["01"], "sub-"),
        (["7.0"], ["7"], ".0"),
        (["Mu\u0308ller"], ["Müller"], None),
        (["P1"], ["p1"], None),
    ],
)
def test_what_ids_lose_and_gain(table_ids, case_ids, told):
    match = match_rows(table_ids, case_ids)
    assert match.rows == dict(zip(case_ids, table_ids, strict=True))
    assert (match.notes == ()) if told is None else told in match.notes[0]


def test_the_exact_row_comes_first():
    match = match_rows(["1", "01", "001"], ["01", "1"])
    assert match.rows == {"01": "01", "1": "1"} and match.notes == ()


@pytest.mark.parametrize(
    ("table_ids", "case_ids"),
    [(["7", "07"], ["007"]), (["007"], ["7", "07"]), (["a.nii", "a.png"], ["a"]), (["sub-1"], ["1", "1.nii"])],
)
def test_ambiguous_ids_are_refused(table_ids, case_ids):
    with pytest.raises(UserError, match="exactly as in the dataset"):
        match_rows(table_ids, case_ids)


def test_a_row_that_belongs_to_another_case_is_not_taken():
    assert match_rows(["7"], ["7", "07"]).rows == {"7": "7"}
