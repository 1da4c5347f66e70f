import pandas as pd
import pytest

from nnunet_fair.errors import UserError
from nnunet_fair.training.chance import dealt_out
from studies.real.dataset import shift_split, size_thirds
from studies.real.results import (
    check_settings,
    has_result,
    late_evidence,
    numbered,
    patient_numbers,
    patient_scores,
    write_result,
)
from studies.real.runs import Run

PATIENT_OF = pd.Series({"a_l": "P1", "a_r": "P1", "b_s": "P2", "c_s": "P3"})


def test_numbers_depend_on_the_ids_alone_and_follow_no_order():
    names = [f"P{number:04d}" for number in range(50)]
    numbers = patient_numbers(names)
    assert sorted(numbers) == list(range(1, 51))
    assert numbers.to_dict() == patient_numbers(names[::-1] * 2).to_dict()
    rank = numbers[names].corr(pd.Series(range(50), index=names), method="spearman")
    assert abs(rank) < 0.3


def test_a_result_has_numbers_instead_of_names(tmp_path):
    cases = pd.DataFrame({"dsc": [0.12345, 0.5, 0.9], "norm_hd": [0.1, 0.2, 0.3]}, index=["a_r", "a_l", "b_s"])
    frame = numbered(cases, PATIENT_OF)
    numbers = patient_numbers(["P1", "P2", "P3"])
    first = frame[frame["patient"] == numbers["P1"]]
    assert first[["image", "dsc"]].to_numpy().tolist() == [[1, 0.5], [2, 0.1234]]
    assert not has_result(tmp_path, "run")
    write_result(tmp_path, "run", frame, {"settings": {}})
    assert has_result(tmp_path, "run")
    written = "".join(path.read_text() for path in tmp_path.iterdir())
    assert not any(name in written for name in ("P1", "P2", "a_l", "b_s"))
    scores = patient_scores(tmp_path, ["run"])
    assert scores.loc[str(numbers["P1"]), "dsc"] == pytest.approx((0.5 + 0.1234) / 2)
    assert scores.loc[str(numbers["P2"]), "norm_hd"] == 0.3
    with pytest.raises(UserError, match="scored by two"):
        patient_scores(tmp_path, ["run", "run"])


def test_results_of_other_settings_are_refused(tmp_path):
    name = Run("folds", "stock", 0, 1).name
    frame = pd.DataFrame({"patient": [1], "image": [1], "dsc": [0.5], "norm_hd": [0.1]})
    write_result(tmp_path, name, frame, {"settings": {"epochs": 40}, "source": "prepared"})
    check_settings(tmp_path, {"epochs": 40}, "prepared")
    with pytest.raises(UserError, match="epochs is 40 there and 20 here"):
        check_settings(tmp_path, {"epochs": 20}, "prepared")
    with pytest.raises(UserError, match="source is 'prepared' there and 'archive' here"):
        check_settings(tmp_path, {"epochs": 40}, "archive")


def test_the_second_half_of_a_training_is_summed_up(tmp_path):
    rows = [(0, "x", 0.9), (1, "a=1", 0.2), (1, "b=1", 0.1), (2, "a=1", 0.4), (3, "b=1", 0.3)]
    pd.DataFrame(rows, columns=["epoch", "subgroup", "probability"]).to_csv(tmp_path / "fair_history.csv", index=False)
    weights = [{"c": 9.0, "d": 9.0}, {"c": 1.0, "d": 3.0}]
    found = late_evidence(tmp_path, weights)
    assert found == {
        "weight_spread": 1.0,
        "weight_largest": 3.0,
        "top_subgroup": "a=1",
        "top_probability": 0.3,
        "top_share": 0.667,
    }


def test_permuted_attributes_stay_with_a_patient_and_keep_their_numbers():
    patients = pd.Series({f"{p}_{view}": f"P{p}" for p in range(40) for view in "lr"})
    cases = pd.DataFrame({"age": [f"g{int(name[1:]) % 4}" for name in patients]}, index=patients.index)
    dealt = dealt_out(cases, patients, 3)
    assert (dealt.groupby(patients)["age"].nunique() == 1).all()
    assert dealt["age"].value_counts().to_dict() == cases["age"].value_counts().to_dict()
    assert (dealt["age"] != cases["age"]).mean() > 0.5
    assert dealt.equals(dealt_out(cases, patients, 3))
    assert not dealt.equals(dealt_out(cases, patients, 4))


def test_nobody_held_out_trains_in_the_shift():
    site = pd.Series({"P1": "held out", "P2": "trained on", "P3": "trained on"})
    split = shift_split({"train": ["a_l", "a_r", "b_s"], "val": ["c_s"]}, site, PATIENT_OF)
    assert split == {"train": ["b_s"], "val": ["a_l", "a_r", "c_s"]}


def test_size_thirds_are_equally_large():
    thirds = size_thirds(pd.Series({name: size for size, name in enumerate("abcdef")}))
    assert thirds.tolist() == ["small", "small", "middle", "middle", "large", "large"]
