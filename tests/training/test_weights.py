"""The rules, and what weights do to loss and drawing, worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_fair.training.config import FairConfig
from nnunet_fair.training.weights import SAMPLING_FLOOR, CaseWeights, published_weights, shortfall_weights

CASES = ("a", "b", "c", "d")
VALUES = np.array([5 / 3, 5 / 3, 1 / 3, 1 / 3])


def weights(values=VALUES, *, on_loss=True, on_sampling=False, alpha=0.0) -> CaseWeights:
    return CaseWeights(CASES, np.array(values), on_loss, on_sampling, alpha)


def test_rules_by_hand():
    config = FairConfig(strength=2.0, max_weight=2.5)
    shortfall = np.array([0.2, 0.05, 0.0])
    # σ = 0.2: 1 + 2·1 = 3 → 2.5; 1 + 2·0.25 = 1.5; 1
    assert shortfall_weights(shortfall, 0.2, config) == pytest.approx(np.array([2.5, 1.5, 1.0]) * 3 / 5.0)
    assert published_weights(shortfall, 0.2, config).tolist() == [0.2, 0.05, 1.0]


@given(
    shortfalls=st.lists(st.floats(0, 1), min_size=1, max_size=30),
    strength=st.floats(0, 50),
    max_weight=st.floats(1, 20, exclude_min=True),
)
def test_weights_have_mean_one_and_never_favour_the_better_off(shortfalls, strength, max_weight):
    shortfall = np.array(shortfalls)
    found = shortfall_weights(shortfall, 0.1, FairConfig(strength=strength, max_weight=max_weight))
    assert found.mean() == pytest.approx(1.0)
    assert found.max() <= max_weight * found.min() * (1 + 1e-9)
    assert (np.diff(found[np.argsort(shortfall)]) >= -1e-12).all()  # the further below, the larger the weight


def test_strength_zero_is_stock_training():
    assert shortfall_weights(np.array([0.5, 0.0, 0.3]), 0.1, FairConfig(strength=0.0)).tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("alpha", [0.0, 0.25, 1.0])
def test_alpha_mixes_the_unweighted_loss_in(alpha):
    found = weights(alpha=alpha).loss_weights(["a", "d"])
    assert (found or [1.0, 1.0]) == pytest.approx([alpha + (1 - alpha) * 5 / 3, alpha + (1 - alpha) / 3])
    assert (found is None) == (alpha == 1.0)


def test_the_losses_of_a_batch_go_by_case_id():
    case_weights = weights()
    assert case_weights.loss_weights(["d", "a", "a"]) == pytest.approx([1 / 3, 5 / 3, 5 / 3])
    with pytest.raises(KeyError):
        case_weights.loss_weights(["elsewhere"])


def test_weights_of_one_are_no_weights():
    neutral = weights(np.ones(4))
    assert neutral.loss_weights(["a", "b"]) is None
    assert neutral.neutral_on_loss
    mixed = weights([1.0, 1.0, 0.5, 1.5])
    assert mixed.loss_weights(["a", "b"]) is None
    assert not mixed.neutral_on_loss


def test_loss_and_sampling_share_the_same_expected_weight():
    for on_loss in (False, True):
        both = weights(on_loss=on_loss, on_sampling=True)
        loss = np.array(both.loss_weights(CASES) or [1.0] * 4)
        product = both.sampling_probabilities() * loss
        assert product / product.sum() == pytest.approx(VALUES / VALUES.sum())
        assert (loss == 1).all() == (not on_loss) == both.neutral_on_loss
    assert weights().sampling_probabilities() is None


def test_every_case_keeps_a_floor_probability():
    found = weights([1.998, 1.998, 0.002, 0.002], on_loss=False, on_sampling=True).sampling_probabilities()
    assert found.tolist() == pytest.approx([1.998, 1.998, SAMPLING_FLOOR, SAMPLING_FLOOR])


def test_renewal_keeps_a_share_of_the_former_weights():
    once = weights(np.ones(4)).renewed(VALUES, 0.75)
    assert once.values == pytest.approx(0.75 + 0.25 * VALUES)
    assert once.renewed(VALUES, 0.75).values == pytest.approx(0.75 * once.values + 0.25 * VALUES)
    assert weights(np.ones(4)).renewed(VALUES).values.tolist() == VALUES.tolist()
    assert weights(np.ones(4)).renewed(VALUES, 1.0).values.tolist() == [1.0] * 4


def test_saved_weights_come_back_by_case_id():
    saved = {"d": 4.0, "a": 2.0, "gone": 9.0}
    assert weights().of(saved).by_case() == {"a": 2.0, "b": 1.0, "c": 1.0, "d": 4.0}


def test_weights_are_a_value():
    case_weights = weights()
    with pytest.raises(ValueError, match="read-only"):
        case_weights.values[0] = 7.0
    assert not any(case_id in repr(case_weights).split("(")[1].split() for case_id in CASES)


def test_drawing_does_not_depend_on_the_mean_of_the_weights():
    found = weights(3 * VALUES, on_loss=False, on_sampling=True).sampling_probabilities()
    assert found == pytest.approx(VALUES)


def test_weights_are_numbers_with_a_fraction_and_one_a_case():
    whole = weights(np.array([1, 2, 1, 2]))
    assert whole.values.dtype == float and list(map(type, whole.by_case().values())) == [float] * 4
    with pytest.raises(ValueError, match="zip"):
        weights(np.ones(3)).by_case()


def test_no_training_case_has_no_weights():
    assert shortfall_weights(np.zeros(0), 0.1, FairConfig()).tolist() == []


def test_without_spread_nobody_falls_short():
    assert shortfall_weights(np.array([0.2, 0.0]), 0.0, FairConfig(strength=2.0)).tolist() == [1.0, 1.0]
