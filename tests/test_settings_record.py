from dataclasses import dataclass

import pytest

from nnunet_fair.errors import UserError
from nnunet_fair.settings_record import (
    check_bool,
    check_choice,
    check_integer,
    check_left_alone,
    check_number,
    nearest_hint,
    read_record,
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    strength: float
    limit: float | str | None = "auto"
    share: float = 0.5
    cases: int | None = None
    rule: str = "mean"
    neighbours: int = 6
    on: bool = True
    groups: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self):
        check_number(self, "strength", low=0)
        check_number(self, "limit", low=0, low_open=True, others=("auto", None))
        check_number(self, "share", low=0, high=1)
        check_integer(self, "cases", low=1, others=(None,))
        check_choice(self, "rule", ("mean", "max", "none"))
        check_choice(self, "neighbours", (6, 18))
        check_bool(self, "on")
        if not self.on:
            check_left_alone(self, "share", "only while it is on")


def test_content_wins_over_defaults_and_lists_become_tuples():
    read = read_record(
        Settings, {"share": 1, "groups": [[1], [2, 3]]}, where="a.json", defaults={"strength": 2, "share": 0}
    )
    assert read == Settings(strength=2, share=1, groups=((1,), (2, 3)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1], r"a\.json must be an object of settings, found \[1\]"),
        (
            {"strenght": 1},
            r"a\.json: unknown setting 'strenght' \(did you mean 'strength'\?\); known are strength, lim",
        ),
        ({"qqqq": 1}, "unknown setting 'qqqq'; known are strength"),
        ({"share": 1}, "the setting 'strength' is missing"),
        ({"strength": -1}, "a.json: setting `strength`: expected a number of 0 or more, found -1"),
        ({"strength": True}, "`strength`: expected a number of 0 or more, found True"),
        ({"strength": float("nan")}, "found nan"),
        ({"strength": float("inf")}, "found inf"),
        ({"strength": "1"}, "found '1'"),
        ({"strength": 1, "limit": 0}, "`limit`: expected a number above 0 or auto or null, found 0"),
        ({"strength": 1, "share": 1.01}, "`share`: expected a number from 0 to 1, found 1.01"),
        ({"strength": 1, "cases": 2.0}, "`cases`: expected a whole number of 1 or more or null, found 2.0"),
        ({"strength": 1, "cases": True}, "found True"),
        ({"strength": 1, "cases": 0}, "found 0"),
        ({"strength": 1, "rule": "min"}, "`rule`: expected mean, max or none, found 'min'"),
        ({"strength": 1, "rule": ["mean"]}, r"`rule`: expected mean, max or none, found \('mean',\)"),
        ({"strength": 1, "neighbours": 6.0}, "`neighbours`: expected 6 or 18, found 6.0"),
        ({"strength": 1, "on": 1}, "`on`: expected true or false, found 1"),
        ({"strength": 1, "on": False, "share": 0.4}, "`share` = 0.4 has no effect here: only while it is on"),
    ],
)
def test_what_is_wrong_is_said_by_name(content, message):
    with pytest.raises(UserError, match=message):
        read_record(Settings, content, where="a.json")


@pytest.mark.parametrize(
    "content",
    [
        {"strength": 0},
        {"strength": 1, "limit": None},
        {"strength": 1, "limit": 1e-9},
        {"strength": 1, "share": 0},
        {"strength": 1, "cases": 1},
        {"strength": 1, "neighbours": 18},
        {"strength": 1, "on": False},
    ],
)
def test_the_ends_of_the_ranges_are_taken(content):
    read = read_record(Settings, content, where="a.json")
    assert {name: getattr(read, name) for name in content} == content


def test_the_hint_ignores_upper_and_lower_case_and_is_silent_where_nothing_is_near():
    assert nearest_hint("SEXE", ["age", "Sex"]) == " (did you mean 'Sex'?)"
    assert nearest_hint("zzz", ["age", "sex"]) == ""
    assert nearest_hint("age", []) == ""
