"""The case-weighted losses: parity with nnU-Net's own, and hand-worked values."""

import math

import pytest
import torch
from nnunetv2.training.loss.compound_losses import DC_and_BCE_loss, DC_and_CE_loss, DC_and_topk_loss
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss, SoftDiceLoss

from nnunet_fair.training.losses import CaseWeightedLoss, case_weighted

B, SPATIAL = 3, (5, 6, 7)


def stock_loss(kind: str, *, batch_dice: bool, smooth: float = 1e-5, dice=MemoryEfficientSoftDiceLoss):
    if "regions" in kind:
        return DC_and_BCE_loss(
            {},
            {"batch_dice": batch_dice, "do_bg": True, "smooth": smooth, "ddp": False},
            use_ignore_label="ignore" in kind,
            dice_class=dice,
        )
    return DC_and_CE_loss(
        {"batch_dice": batch_dice, "smooth": smooth, "do_bg": False, "ddp": False},
        {},
        ignore_label=3 if "ignore" in kind else None,
        dice_class=dice,
    )


def batch(kind: str, spatial=SPATIAL, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn((B, 3, *spatial), generator=generator).to(dtype).requires_grad_()
    if "regions" in kind:
        target = torch.rand((B, 3 + ("ignore" in kind), *spatial), generator=generator) > 0.6
    else:
        target = torch.randint(0, 4 if "ignore" in kind else 3, (B, 1, *spatial), generator=generator).to(torch.int16)
    return logits, target


KINDS = ["labels", "labels_ignore", "regions", "regions_ignore"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_dice", [False, True], ids=["dice", "batch_dice"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("dice", [MemoryEfficientSoftDiceLoss, SoftDiceLoss], ids=["memory-efficient", "plain"])
def test_all_weights_one_equals_nnunet(kind, batch_dice, dtype, dice):
    stock = stock_loss(kind, batch_dice=batch_dice, dice=dice)
    weighted = case_weighted(stock)
    logits, target = batch(kind, dtype=dtype)
    expected = stock(logits, target)
    actual = weighted(logits, target, torch.ones(B))
    assert actual.item() == pytest.approx(expected.item(), abs=5e-7)
    expected_gradient, actual_gradient = (torch.autograd.grad(loss, logits)[0] for loss in (expected, actual))
    torch.testing.assert_close(actual_gradient, expected_gradient, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_all_weights_one_equals_nnunet_under_autocast(kind):
    stock = stock_loss(kind, batch_dice=False)
    logits, target = batch(kind, dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected, actual = stock(logits, target), case_weighted(stock)(logits, target, torch.ones(B))
    assert actual.item() == pytest.approx(expected.item(), rel=1e-3)
    expected_gradient, actual_gradient = (torch.autograd.grad(loss, logits)[0].float() for loss in (expected, actual))
    torch.testing.assert_close(actual_gradient, expected_gradient, rtol=2e-2, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_dice", [False, True], ids=["dice", "batch_dice"])
def test_all_weights_one_equals_nnunet_under_deep_supervision(kind, batch_dice):
    stock = DeepSupervisionWrapper(stock_loss(kind, batch_dice=batch_dice), [0.7, 0.3, 0.0])
    scales = [batch(kind, spatial, seed=seed) for seed, spatial in enumerate([(4, 8, 8), (2, 4, 4), (1, 2, 2)])]
    logits, targets = [scale[0] for scale in scales], [scale[1] for scale in scales]
    expected = stock(logits, targets)
    actual = case_weighted(stock)(logits, targets, [torch.ones(B)] * 3)
    assert actual.item() == pytest.approx(expected.item(), abs=5e-7)
    for one, other in zip(
        torch.autograd.grad(actual, logits[:2]), torch.autograd.grad(expected, logits[:2]), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("kind", ["labels", "regions"])
def test_without_batch_dice_it_is_the_weighted_mean_of_each_cases_own_loss(kind):
    # without an ignore label every case has the same number of voxels: the mean over the batch is a mean of cases
    stock = stock_loss(kind, batch_dice=False)
    logits, target = batch(kind)
    weights = torch.tensor([0.25, 1.0, 3.0])
    alone = torch.stack([stock(logits[i : i + 1], target[i : i + 1]) for i in range(B)])
    expected = (weights * alone).sum() / B
    actual = case_weighted(stock)(logits, target, weights)
    assert actual.item() == pytest.approx(expected.item(), abs=1e-6)
    torch.testing.assert_close(
        torch.autograd.grad(actual, logits)[0], torch.autograd.grad(expected, logits)[0], rtol=1e-5, atol=1e-9
    )


def two_voxel_batch():
    """Two cases of two voxels with foreground probabilities (3/4, 1/4) and (1/2, 1/2); only voxel 0 is foreground."""
    log3 = math.log(3)
    logits = torch.tensor([[[0.0, 0.0], [log3, -log3]], [[0.0, 0.0], [0.0, 0.0]]], dtype=torch.float64)
    return logits[..., None], torch.tensor([[[1, 0]], [[1, 0]]])[..., None]


def test_a_hand_worked_batch():
    logits, target = two_voxel_batch()
    # Dice: case 0 2·¾ / (1 + 1) = ¾, case 1 2·½ / 2 = ½; cross-entropy a voxel: ln 4/3 twice, ln 2 twice
    weights = torch.tensor([2.0, 0.5])
    loss = case_weighted(stock_loss("labels", batch_dice=False, smooth=0.0))(logits, target, weights)
    expected = -(2 * 0.75 + 0.5 * 0.5) / 2 + (2 * 2 * math.log(4 / 3) + 0.5 * 2 * math.log(2)) / 4
    assert loss.item() == pytest.approx(expected, abs=1e-7)


def test_a_hand_worked_batch_with_batch_dice():
    logits, target = two_voxel_batch()
    weights = torch.tensor([2.0, 0.5])
    loss = case_weighted(stock_loss("labels", batch_dice=True, smooth=0.0))(logits, target, weights)
    # intersections ¾ and ½, sums 1 + 1 each, weighted before the ratio: 2·(2·¾ + ½·½) / (2·2 + ½·2) = 3.5 / 5
    expected = -3.5 / 5 + (2 * 2 * math.log(4 / 3) + 0.5 * 2 * math.log(2)) / 4
    assert loss.item() == pytest.approx(expected, abs=1e-7)


def by_definition(kind, logits, target, weights, *, batch_dice, weight_ce=1.0, weight_dice=1.0, smooth=1e-5):
    """The weighted loss in plain loops over cases and classes, as the module's first lines define it."""
    if "regions" in kind:
        valid = (1 - target[:, -1:].double()) if "ignore" in kind else torch.ones(B, 1, *SPATIAL)
        onehot, predicted = target[:, :3].double(), torch.sigmoid(logits)
        entropy = -(onehot * torch.log(predicted) + (1 - onehot) * torch.log(1 - predicted))
        entropies = [(entropy[i] * valid[i]).sum() for i in range(B)]
        n_valid = valid.sum() if "ignore" in kind else entropy.numel()
    else:
        valid = (target != 3).double()
        onehot = torch.stack([(target[:, 0] == label).double() for label in range(3)], dim=1)
        predicted = torch.softmax(logits, dim=1)
        entropies = [-(onehot[i] * torch.log(predicted[i])).sum() for i in range(B)]
        n_valid = valid.sum()
        onehot, predicted = onehot[:, 1:], predicted[:, 1:]  # nnU-Net's Dice leaves the background out
    dice = []
    for label in range(onehot.shape[1]):
        shared = [(onehot[i, label] * predicted[i, label] * valid[i, 0]).sum() for i in range(B)]
        volume = [((onehot[i, label] + predicted[i, label]) * valid[i, 0]).sum() for i in range(B)]
        if batch_dice:
            total = sum(w * v for w, v in zip(weights, volume, strict=True))
            dice.append((2 * sum(w * v for w, v in zip(weights, shared, strict=True)) + smooth) / (total + smooth))
        else:
            each = zip(weights, shared, volume, strict=True)
            dice.append(sum(w * (2 * inside + smooth) / (whole + smooth) for w, inside, whole in each) / B)
    cross_entropy = sum(w * e for w, e in zip(weights, entropies, strict=True)) / n_valid
    return weight_ce * cross_entropy - weight_dice * sum(dice) / len(dice)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_dice", [False, True], ids=["dice", "batch_dice"])
@pytest.mark.parametrize(("weight_ce", "weight_dice"), [(1.0, 1.0), (0.3, 2.0), (0.0, 0.7), (0.6, 0.0)])
def test_value_and_gradient_equal_the_definition(kind, batch_dice, weight_ce, weight_dice):
    stock = stock_loss(kind, batch_dice=batch_dice)
    stock.weight_ce, stock.weight_dice = weight_ce, weight_dice
    logits, target = batch(kind, dtype=torch.float64, seed=4)
    weights = torch.tensor([0.25, 1.5, 3.0], dtype=torch.float64)
    actual = case_weighted(stock)(logits, target, weights)
    expected = by_definition(
        kind, logits, target, weights, batch_dice=batch_dice, weight_ce=weight_ce, weight_dice=weight_dice
    )
    assert actual.item() == pytest.approx(expected.item(), abs=1e-6)
    found, wanted = (torch.autograd.grad(loss, logits)[0] for loss in (actual, expected))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-9)


def test_the_stock_loss_is_left_as_it_is():
    for kind in KINDS:
        stock = stock_loss(kind, batch_dice=False)
        reduction = stock.ce.reduction
        assert case_weighted(stock).ce.reduction == "none"
        assert stock.ce.reduction == reduction


def test_ignored_voxels_count_neither_above_nor_below_the_line():
    logits, target = two_voxel_batch()
    target[1, 0, 1] = 3  # one voxel of case 1 is ignored: three valid voxels in the batch
    loss = case_weighted(stock_loss("labels_ignore", batch_dice=False, smooth=0.0))(
        logits, target, torch.tensor([1.0, 3.0])
    )
    # case 1 keeps voxel 0 alone: Dice 2·½ / (½ + 1) = 2/3
    expected = -(0.75 + 3 * 2 / 3) / 2 + (2 * math.log(4 / 3) + 3 * math.log(2)) / 3
    assert loss.item() == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("batch_dice", [False, True])
def test_a_batch_of_ignored_voxels_only_gives_a_finite_loss_and_gradient(batch_dice):
    logits, target = batch("labels_ignore")
    loss = case_weighted(stock_loss("labels_ignore", batch_dice=batch_dice))(
        logits, torch.full_like(target, 3), torch.tensor([1.0, 2.0, 0.5])
    )
    assert torch.isfinite(loss)
    assert torch.isfinite(torch.autograd.grad(loss, logits)[0]).all()


def test_one_valid_voxel_is_divided_by_one():
    logits, target = two_voxel_batch()
    target = torch.full_like(target, 3)
    target[0, 0, 0] = 1
    stock = stock_loss("labels_ignore", batch_dice=False)
    stock.weight_dice = 0.0
    assert case_weighted(stock)(logits, target, torch.tensor([3.0, 1.0])).item() == pytest.approx(3 * math.log(4 / 3))


def test_regions_of_ignored_voxels_only_give_a_finite_loss_and_gradient():
    logits, target = batch("regions_ignore")
    target[:, -1] = True
    loss = case_weighted(stock_loss("regions_ignore", batch_dice=False))(logits, target, torch.ones(B))
    assert torch.isfinite(loss)
    assert torch.isfinite(torch.autograd.grad(loss, logits)[0]).all()


def test_the_gradient_of_a_case_grows_with_its_weight():
    logits, target = batch("labels")
    weighted = case_weighted(stock_loss("labels", batch_dice=False))
    neutral = torch.autograd.grad(weighted(logits, target, torch.ones(B)), logits)[0]
    tripled = torch.autograd.grad(weighted(logits, target, torch.tensor([1.0, 3.0, 1.0])), logits)[0]
    torch.testing.assert_close(tripled[1], 3 * neutral[1])
    torch.testing.assert_close(tripled[[0, 2]], neutral[[0, 2]])


@pytest.mark.slow
def test_compiled_dice_is_compiled_again():
    stock = stock_loss("labels", batch_dice=False)
    logits, target = batch("labels")
    weights = torch.tensor([0.5, 1.0, 2.0])
    expected = case_weighted(stock)(logits, target, weights)
    stock.dc = torch.compile(stock.dc, backend="eager")
    assert case_weighted(stock)(logits, target, weights).item() == pytest.approx(expected.item(), abs=1e-6)


def test_an_unknown_loss_is_refused_with_the_way_out():
    with pytest.raises(NotImplementedError, match=r"DC_and_topk_loss.*ON_SAMPLING"):
        case_weighted(DC_and_topk_loss({"batch_dice": False}, {"k": 10}))


def test_class_weights_are_refused():
    stock = DC_and_CE_loss({"batch_dice": False}, {"weight": torch.ones(3)})
    with pytest.raises(NotImplementedError, match="class weights"):
        case_weighted(stock)


def test_without_weights_nnunets_own_loss_is_called():
    stock = DeepSupervisionWrapper(stock_loss("labels", batch_dice=False), [0.6, 0.4])
    loss = CaseWeightedLoss(stock, case_weighted(stock))
    scales = [batch("labels", spatial) for spatial in [(4, 8, 8), (2, 4, 4)]]
    logits, targets = [s[0] for s in scales], [s[1] for s in scales]
    assert torch.equal(loss(logits, targets), stock(logits, targets))
    loss.weights = torch.tensor([0.2, 1.0, 1.8])
    assert not torch.equal(loss(logits, targets), stock(logits, targets))


def test_weights_reach_the_loss_with_and_without_deep_supervision():
    stock, weights = stock_loss("labels", batch_dice=False), torch.tensor([0.2, 1.0, 1.8])
    logits, target = batch("labels")
    alone = case_weighted(stock)(logits, target, weights)
    loss = CaseWeightedLoss(stock, case_weighted(stock))
    loss.weights = weights
    assert torch.equal(loss(logits, target), alone)
    supervised = DeepSupervisionWrapper(stock, [1.0, 0.0])
    loss = CaseWeightedLoss(supervised, case_weighted(supervised))
    loss.weights = weights
    assert torch.equal(loss([logits, logits], [target, target]), alone)


@pytest.mark.parametrize("supervised", [True, False])
def test_the_observer_sees_the_full_resolution(supervised):
    stock = stock_loss("labels", batch_dice=False)
    stock = DeepSupervisionWrapper(stock, [1.0, 0.5]) if supervised else stock
    loss = CaseWeightedLoss(stock, None)
    seen = []
    loss.observer = lambda logits, target: seen.append((logits, target))
    logits, target = batch("labels")
    loss([logits, logits[..., ::2]], [target, target[..., ::2]]) if supervised else loss(logits, target)
    assert seen[0][0].shape == logits.shape
    assert not seen[0][0].requires_grad
    assert seen[0][1] is target
