"""Clipping of the gradient."""

import numpy as np
import pytest
import torch

from nnunet_fair.training.clipping import QUANTILE, WINDOW, GradientClipping


def clipped(clipping: GradientClipping, norm: float, weights=None, *, neutral: bool = False) -> float:
    """The norm that is left of a gradient of shape (2,) in the direction (3, 4)."""
    parameter = torch.nn.Parameter(torch.zeros(2))
    parameter.grad = torch.tensor([0.6 * norm, 0.8 * norm])
    clipping.clip([parameter], weights, neutral=neutral)
    assert parameter.grad[1] * 3 == pytest.approx(float(parameter.grad[0] * 4))  # its direction stays
    return float(parameter.grad.norm())


def test_a_given_norm_holds_from_the_first_step_and_without_weights():
    clipping = GradientClipping(2)
    assert clipped(clipping, 5.0, neutral=True) == pytest.approx(2.0)
    assert clipped(clipping, 1.5) == pytest.approx(1.5)
    np.testing.assert_allclose(clipping.end_epoch(), [[5.0, 2.0], [1.5, 2.0]], rtol=1e-6)
    assert clipped(clipping, 5.0) == pytest.approx(2.0)


def test_the_automatic_norm_is_a_quantile_of_the_former_steps():
    clipping = GradientClipping("auto")
    for norm in range(1, 12):
        assert clipped(clipping, norm) == pytest.approx(norm)  # nothing is known yet
    clipping.end_epoch()
    assert QUANTILE == 0.9
    assert clipped(clipping, 50.0) == pytest.approx(10.0)  # 0.9 of the way from 1 to 11
    assert clipped(clipping, 9.0) == pytest.approx(9.0)
    clipping.end_epoch()  # by the norms before clipping: 50 and 9 join 1 to 11
    assert clipped(clipping, 80.0) == pytest.approx(np.quantile([*range(1, 12), 50, 9], 0.9))


def test_the_automatic_norm_is_that_of_unweighted_steps():
    clipping = GradientClipping("auto")
    clipped(clipping, 4.0)
    clipped(clipping, 12.0, [5.0, 1.0])
    clipped(clipping, 2.0, [0.25, 0.75])
    clipping.end_epoch()
    assert clipping.state() == pytest.approx([4.0, 4.0, 4.0])
    assert clipped(clipping, 12.0, [5.0, 1.0]) == pytest.approx(4.0)


def test_the_automatic_norm_cuts_nothing_without_weights():
    clipping = GradientClipping("auto")
    clipped(clipping, 1.0)
    clipping.end_epoch()
    parameter = torch.nn.Parameter(torch.zeros(3))
    parameter.grad = torch.tensor([0.1, 7.3, -1e-9])
    before = parameter.grad.clone()
    clipping.clip([parameter], None, neutral=True)
    assert torch.equal(parameter.grad, before)
    assert clipped(clipping, 7.3) == pytest.approx(1.0)


def test_a_window_of_steps_counts():
    clipping = GradientClipping("auto")
    for norm in [9.0] * 10 + [1.0] * WINDOW:
        clipped(clipping, norm)
    clipping.end_epoch()
    assert clipping.state() == pytest.approx([1.0] * WINDOW)


def test_steps_that_went_wrong_do_not_count():
    clipping = GradientClipping("auto")
    clipped(clipping, 3.0)
    parameter = torch.nn.Parameter(torch.zeros(1))
    for wrong in (float("nan"), float("inf")):
        parameter.grad = torch.tensor([wrong])
        clipping.clip([parameter], None, neutral=False)
    clipped(clipping, 0.0, [0.0, 0.0])
    clipping.end_epoch()
    assert clipping.state() == pytest.approx([3.0])


def test_an_epoch_without_steps_changes_nothing():
    clipping = GradientClipping("auto")
    assert clipping.end_epoch().shape == (0, 2)
    assert clipped(clipping, 5.0) == pytest.approx(5.0)


def test_a_saved_state_gives_the_same_norm():
    first, second = GradientClipping("auto"), GradientClipping("auto")
    for norm in (1.0, 2.0, 5.0):
        clipped(first, norm)
    first.end_epoch()
    second.load_state(first.state())
    assert clipped(second, 100.0) == clipped(first, 100.0) < 100.0
