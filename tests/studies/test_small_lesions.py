import numpy as np
import pytest
import torch
from nnunetv2.training.loss.compound_losses import DC_and_CE_loss
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch.nn.functional import cross_entropy

from nnunet_fair.training.trainer import nnUNetTrainerFairDivSampling
from studies.small_lesions.losses import BlobLoss, InverseSizeLoss, inverse_size_weights, lesion_labels
from studies.small_lesions.patches import LesionByLesion, balanced_locations, lesion_by_lesion
from studies.small_lesions.trainers import (
    CANDIDATES,
    BlobLossTrainer,
    InverseSizeTrainer,
    LesionPatchTrainer,
    SampleDiceTrainer,
    SmoothSampleDiceTrainer,
    with_candidate,
)


def nnunet_loss(batch_dice: bool = True) -> DC_and_CE_loss:
    options = {"batch_dice": batch_dice, "smooth": 1e-5, "do_bg": False, "ddp": False}
    return DC_and_CE_loss(options, {}, dice_class=MemoryEfficientSoftDiceLoss)


@pytest.fixture
def target() -> torch.Tensor:
    """Two samples: a lesion of four pixels and one of a single pixel; one of nine."""
    target = torch.zeros(2, 1, 8, 8)
    target[0, 0, 0:2, 0:2] = 1
    target[0, 0, 6, 6] = 1
    target[1, 0, 2:5, 2:5] = 1
    return target


@pytest.fixture
def logits(target) -> torch.Tensor:
    return torch.randn(2, 2, 8, 8, generator=torch.Generator().manual_seed(0), requires_grad=True)


def test_lesions_are_numbered_sample_by_sample_and_touch_at_corners(target):
    lesions = lesion_labels(target)
    assert [int(sample.max()) for sample in lesions] == [2, 1]
    assert lesions[0, 0, 0] != lesions[0, 6, 6]
    target[0, 0, 2, 2] = 1  # at the corner of the first
    assert int(lesion_labels(target)[0].max()) == 2


def test_inverse_size_by_hand(target):
    weights = inverse_size_weights(lesion_labels(target), 0.5)
    # roots of the inverse sizes ½, 1, ⅓; their mean over 4 + 1 + 9 pixels is 6/14
    assert weights[0, 0, 0].item() == pytest.approx(0.5 * 14 / 6)
    assert weights[0, 6, 6].item() == pytest.approx(14 / 6)
    assert weights[1, 3, 3].item() == pytest.approx(14 / 18)
    assert weights[0, 7, 7].item() == 1.0
    assert weights[lesion_labels(target) > 0].mean().item() == pytest.approx(1.0)
    # at power 1 every lesion of the batch has the same weight in all
    whole = inverse_size_weights(lesion_labels(target), 1.0)
    assert whole[0, 0:2, 0:2].sum().item() == pytest.approx(whole[0, 6, 6].item())
    assert torch.equal(inverse_size_weights(torch.zeros(1, 4, 4, dtype=torch.long)), torch.ones(1, 4, 4))


def test_inverse_size_at_power_0_is_nnunets_loss(target, logits):
    stock = nnunet_loss()
    assert InverseSizeLoss(stock, power=0.0)(logits, target).item() == pytest.approx(stock(logits, target).item())
    weights = inverse_size_weights(lesion_labels(target))
    expected = (weights * cross_entropy(logits, target[:, 0].long(), reduction="none")).mean() + stock.dc(
        logits, target
    )
    assert InverseSizeLoss(stock)(logits, target).item() == pytest.approx(expected.item())


def test_blob_loss_by_its_definition(target, logits):
    stock = nnunet_loss(batch_dice=False)
    probability = torch.softmax(logits, dim=1)[:, 1]
    blobs = []
    for sample, (rows, columns) in (
        (0, (slice(0, 2), slice(0, 2))),
        (0, (slice(6, 7), slice(6, 7))),
        (1, (slice(2, 5),) * 2),
    ):
        lesion = torch.zeros(8, 8)
        lesion[rows, columns] = 1
        seen = (target[sample, 0] == 0) | (lesion == 1)
        p, t = probability[sample][seen], lesion[seen]
        dice = 2 * (p * t).sum() / (p.sum() + t.sum())
        entropy = -torch.where(t == 1, p, 1 - p).log().mean()
        blobs.append(entropy - dice)
    expected = 2 * stock(logits, target) + torch.stack(blobs).mean()
    assert BlobLoss(stock)(logits, target).item() == pytest.approx(expected.item(), rel=1e-4)


def test_a_missed_small_lesion_costs_the_blob_loss_what_a_missed_large_one_does(target):
    def cost(loss, missed):
        """By how much the loss rises when a lesion of a perfect prediction is missed."""
        found = target.clone()
        found[missed] = 0
        values = [loss(40 * torch.cat([1 - labels, labels], dim=1), target).item() for labels in (target, found)]
        return values[1] - values[0]

    small, large = (0, 0, 6, 6), (0, 0, slice(0, 2), slice(0, 2))
    stock = nnunet_loss(batch_dice=False)
    stock.weight_ce = 0
    # Dice of the sample 8/9 without the single pixel, 2/6 without the four; two samples
    assert [cost(stock, missed) for missed in (small, large)] == pytest.approx([1 / 18, 1 / 3], abs=1e-4)
    # beside twice that a third of the lesions is at 0 instead of 1
    assert cost(BlobLoss(stock), small) == pytest.approx(2 / 18 + 1 / 3, abs=1e-4)
    assert cost(BlobLoss(stock), large) == pytest.approx(2 / 3 + 1 / 3, abs=1e-4)


def test_losses_without_a_lesion_have_a_gradient(logits):
    empty = torch.zeros(2, 1, 8, 8)
    for loss in (BlobLoss(nnunet_loss(batch_dice=False)), InverseSizeLoss(nnunet_loss())):
        (gradient,) = torch.autograd.grad(loss(logits, empty), logits)
        assert torch.isfinite(gradient).all() and gradient.abs().sum() > 0


def test_each_lesion_is_centred_on_equally_often():
    voxels = np.arange(7)[:, None]
    found = lesion_by_lesion(voxels, np.array([1, 1, 1, 1, 2, 2, 3]))
    assert found[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 4, 5, 6, 6, 6, 6]
    assert lesion_by_lesion(voxels[:0], np.zeros(0, dtype=int)).shape == (0, 1)


def test_locations_of_a_case_are_balanced():
    seg = np.zeros((2, 6, 6))
    seg[0, 0:2, 0:2] = 1
    seg[1, 5, 5] = 1
    listed = np.concatenate([np.zeros((5, 1), dtype=int), np.argwhere(seg)], axis=1)

    class Cases:
        identifiers = ("a",)
        loads = 0

        def load_case(self, identifier):
            return None, seg[None], None, {"class_locations": {1: listed, 2: []}, "spacing": 1}

    cases = LesionByLesion(Cases())
    properties = cases.load_case("a")[3]
    locations = properties["class_locations"]
    assert properties["spacing"] == 1 and cases.identifiers == ("a",) and len(locations[2]) == 0
    assert np.unique(locations[1][:, 1], return_counts=True)[1].tolist() == [4, 4]
    assert np.array_equal(locations[1], balanced_locations(seg, {1: listed})[1])


@pytest.mark.parametrize(
    "trainer, inner, batch_dice, smooth",
    [
        (SampleDiceTrainer, DC_and_CE_loss, False, 1e-5),
        (SmoothSampleDiceTrainer, DC_and_CE_loss, False, 1.0),
        (InverseSizeTrainer, InverseSizeLoss, True, 1e-5),
        (BlobLossTrainer, BlobLoss, False, 1e-5),
        (LesionPatchTrainer, DC_and_CE_loss, True, 1e-5),
    ],
)
def test_a_candidate_changes_one_thing(monkeypatch, trainer, inner, batch_dice, smooth):
    monkeypatch.setattr(nnUNetTrainer, "_build_loss", lambda self: DeepSupervisionWrapper(nnunet_loss(), (1.0, 0.5)))
    loss = trainer._build_loss(object.__new__(trainer))
    assert isinstance(loss, DeepSupervisionWrapper) and type(loss.loss) is inner
    plain = loss.loss if inner is DC_and_CE_loss else loss.loss._stock
    assert (plain.dc.batch_dice, plain.dc.smooth) == (batch_dice, smooth)


@pytest.mark.slow
@pytest.mark.parametrize("candidate", CANDIDATES)
def test_a_candidate_trains_under_fairdivs_sampling(tiny_dataset, candidate):
    trainer = tiny_dataset().trainer(with_candidate(nnUNetTrainerFairDivSampling, candidate))
    assert isinstance(trainer, CANDIDATES[candidate]) and isinstance(trainer, nnUNetTrainerFairDivSampling)
    trainer.num_epochs = 2
    trainer.run_training()
    losses = trainer.logger.local_logger.my_fantastic_logging["train_losses"]
    assert len(losses) == 2 and np.isfinite(losses).all()
    assert trainer.fair_session.scores.notna().any()
    if candidate == "lesion_patches":
        assert isinstance(trainer.dataloader_train.data_loader._data, LesionByLesion)
