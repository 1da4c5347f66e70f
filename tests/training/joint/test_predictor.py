"""What the head says of an image, against patches taken and weighed by hand."""

import itertools
import math
from functools import partial

import pytest
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_fair.errors import UserError
from nnunet_fair.training.joint.network import ResponseHead
from nnunet_fair.training.joint.predictor import HeadReading, ResponsePredictor, lesion_voxels, weighted_reading

LABELS = {
    "plain": {"background": 0, "tumor": 1},
    "regions": {"background": 0, "whole": [1, 2], "core": [2]},
    "ignore": {"background": 0, "edema": 1, "tumor": 2, "ignore": 3},
}
IMAGE = (8, 16, 24)  # of patches of 8 × 16 × 16: two, the second from column 8 on
AXES = (0, 2)


def test_labels_are_lesion_where_one_of_them_is_more_likely_than_the_background():
    logits = torch.tensor([[[[0.0, 1.0, 2.0]], [[0.5, 0.0, 2.5]], [[-9.0, 0.5, 0.0]]]])  # three labels, three voxels
    assert lesion_voxels(logits, has_regions=False).tolist() == [2]


def test_regions_are_lesion_where_one_is_more_likely_than_not():
    logits = torch.tensor([[[[-0.1, -1.0, 0.1]], [[-2.0, 0.2, 3.0]]], [[[-1.0, -1.0, -1.0]], [[-1.0, -1.0, -1.0]]]])
    assert lesion_voxels(logits, has_regions=True).tolist() == [2, 0]


def test_patches_count_by_their_lesion_voxels():
    patches = [(torch.tensor([3]), torch.tensor([1.0])), (torch.tensor([1]), torch.tensor([-2.0]))]
    assert weighted_reading(patches) == (4, (3 * 1.0 - 2.0) / 4)
    # one without a lesion has no part in it, whatever the head says of it
    assert weighted_reading([*patches, (torch.tensor([0]), torch.tensor([math.inf]))]) == (4, 0.25)


def test_without_a_lesion_nothing_is_said():
    for patches in ([], [(torch.tensor([0]), torch.tensor([2.0]))]):
        voxels, logit = weighted_reading(patches)
        assert voxels == 0 and math.isnan(logit)


def made(predictor_class, plans, kind: str, *, dimension: int = 3, n_folds: int = 2):
    """A predictor with networks of random weights, as nnU-Net's trainers hand theirs over for validation."""
    manager = PlansManager(plans)
    configuration = manager.get_configuration("3d_fullres")
    dataset = {
        "channel_names": {"0": "MR"},
        "labels": LABELS[kind],
        "file_ending": ".nii.gz",
        "regions_class_order": [1, 2],
    }
    n_outputs = manager.get_label_manager(dataset).num_segmentation_heads
    networks = []
    for fold in range(n_folds):
        torch.manual_seed(fold)
        networks.append(
            get_network_from_plans(
                configuration.network_arch_class_name,
                configuration.network_arch_init_kwargs,
                configuration.network_arch_init_kwargs_req_import,
                1,
                n_outputs,
                deep_supervision=False,
            )
        )
    predictor = predictor_class(device=torch.device("cpu"), allow_tqdm=False)
    parameters = [network.state_dict() for network in networks]
    axes = tuple(axis - 3 + dimension for axis in AXES if axis >= 3 - dimension)
    predictor.manual_initialization(networks[0], manager, configuration, parameters, dataset, "any", axes)
    torch.manual_seed(9)
    return predictor, networks, [ResponseHead(8) for _ in networks]


def in_2d(plans):
    """The same plans for slices."""
    configuration = plans["configurations"]["3d_fullres"]
    configuration["patch_size"], configuration["spacing"] = [16, 16], [1.0, 1.0]
    network = configuration["architecture"]["arch_kwargs"]
    network |= {"kernel_sizes": [[3, 3], [3, 3]], "strides": [[1, 1], [2, 2]]}
    for key in ("conv_op", "norm_op"):
        network[key] = network[key].replace("3d", "2d")
    return plans


def by_hand(network, head, image, *, has_regions: bool, dimension: int) -> HeadReading:
    """Every patch and its mirrored copies, weighed by hand."""
    parts = [image[..., start : start + 16] for start in (0, 8)]
    if dimension == 2:
        parts = [part[:, number] for number in range(image.shape[1]) for part in parts]
    axes = [axis + 1 for axis in (AXES if dimension == 3 else (1,))]
    flips = [chosen for n in range(len(axes) + 1) for chosen in itertools.combinations(axes, n)]
    total, voxels = 0.0, 0
    with torch.inference_mode():
        for part, flip in itertools.product(parts, flips):
            patch = torch.flip(part, flip)[None]
            bottleneck = network.encoder(patch)[-1]
            seen = torch.cat([bottleneck.flatten(2).mean(2), bottleneck.flatten(2).max(2).values], 1)
            output = network(patch)[0]
            lesion = (output.max(0).values > 0) if has_regions else (output.argmax(0) != 0)
            n = int(lesion.sum())
            total, voxels = total + n * head.layers(seen).item(), voxels + n
    return HeadReading(voxels, total / voxels)


@pytest.mark.parametrize(("kind", "dimension"), [("plain", 3), ("regions", 3), ("plain", 2), ("ignore", 3)])
def test_each_fold_reads_every_patch_and_copy_and_the_segmentation_stays(tiny_plans, kind, dimension):
    plans = tiny_plans() if dimension == 3 else in_2d(tiny_plans())
    torch.manual_seed(1)
    image = torch.randn(1, *IMAGE)
    stock, *_ = made(nnUNetPredictor, plans, kind, dimension=dimension)
    predictor, _, heads = made(ResponsePredictor, plans, kind, dimension=dimension)
    predictor.add_heads([head.state_dict() for head in heads])
    kept = {}
    predictor.keep = lambda case, readings: kept.update({case: readings})
    predictor.case = "A"
    expected = stock.predict_logits_from_preprocessed_data(image)
    assert torch.equal(predictor.predict_logits_from_preprocessed_data(image), expected)
    assert len(kept["A"]) == 2
    _, networks, _ = made(nnUNetPredictor, plans, kind, dimension=dimension)  # nobody has loaded anything into these
    for reading, network, head in zip(kept["A"], networks, heads, strict=True):
        found = by_hand(network.eval(), head.eval(), image, has_regions=kind == "regions", dimension=dimension)
        assert 0 < found.lesion_voxels == reading.lesion_voxels
        assert reading.logit == pytest.approx(found.logit, abs=1e-5)
    assert kept["A"][0] != kept["A"][1]


def test_a_second_image_knows_nothing_of_the_first(tiny_plans):
    predictor, _, heads = made(ResponsePredictor, tiny_plans(), "plain", n_folds=1)
    predictor.add_heads([heads[0].state_dict()])
    torch.manual_seed(1)
    first, second = torch.randn(1, *IMAGE), torch.randn(1, *IMAGE)
    predictor.predict_logits_from_preprocessed_data(second)
    expected = predictor.readings
    predictor.predict_logits_from_preprocessed_data(first)
    assert predictor.readings != expected
    predictor.predict_logits_from_preprocessed_data(second)
    assert predictor.readings == expected


def test_patches_before_the_memory_ran_out_do_not_count_twice(tiny_plans):
    predictor, _, heads = made(ResponsePredictor, tiny_plans(), "plain", n_folds=1)
    predictor.add_heads([heads[0].state_dict()])
    image = torch.randn(1, *IMAGE)
    predictor.predict_logits_from_preprocessed_data(image)
    expected, slicers = predictor.readings, predictor._internal_get_sliding_window_slicers(IMAGE)
    inside = nnUNetPredictor._internal_predict_sliding_window_return_logits
    calls = []

    def runs_out_once(self, data, wanted, on_device=True):
        calls.append(len(wanted))
        if len(calls) == 1:
            inside(self, data, wanted[:1], on_device)  # a patch is done, then the device is full
            return self._internal_predict_sliding_window_return_logits(data, wanted, on_device)
        return inside(self, data, wanted, on_device)

    nnUNetPredictor._internal_predict_sliding_window_return_logits = runs_out_once
    try:
        predictor.predict_logits_from_preprocessed_data(image)
    finally:
        nnUNetPredictor._internal_predict_sliding_window_return_logits = inside
    assert calls == [len(slicers)] * 2
    assert predictor.readings == expected


def test_a_head_of_another_network_is_refused(tiny_plans):
    predictor, *_ = made(ResponsePredictor, tiny_plans(), "plain", n_folds=1)
    with pytest.raises(UserError, match="does not fit the network"):
        predictor.add_heads([ResponseHead(3).state_dict()])


@pytest.mark.slow
def test_compiled_it_reads_the_same(tiny_plans, monkeypatch):
    readings = []
    for compiled in (False, True):
        predictor, _, heads = made(ResponsePredictor, tiny_plans(), "plain")
        if compiled:
            monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
            predictor.network = torch.compile(predictor.network)
        predictor.add_heads([head.state_dict() for head in heads])
        torch.manual_seed(1)
        predictor.predict_logits_from_preprocessed_data(torch.randn(1, *IMAGE))
        readings.append(predictor.readings)
    assert readings[0] == readings[1]
