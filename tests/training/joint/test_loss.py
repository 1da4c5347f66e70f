"""Which patches the response is learned from, and how much each counts."""

import math
import multiprocessing

import pytest
import torch

from nnunet_fair.training.joint.loss import contains_lesion, mean_over_ranks, response_losses

NAN = float("nan")


def test_a_lesion_is_any_foreground_voxel_that_is_not_ignored():
    target = torch.zeros(4, 1, 2, 2)
    target[1, 0, 0, 0], target[2, 0, 1, 1] = 2, 3
    target[3, 0, 0, 0], target[3, 0, 0, 1] = 3, 1
    assert contains_lesion(target, has_regions=False, ignore_label=None).tolist() == [False, True, True, True]
    assert contains_lesion(target, has_regions=False, ignore_label=3).tolist() == [False, True, False, True]


def test_of_regions_the_ignored_channel_does_not_count():
    target = torch.zeros(3, 3, 2, 2, dtype=torch.bool)
    target[1, 1, 0, 0] = True
    target[2, 2, 0, 0] = True
    assert contains_lesion(target, has_regions=True, ignore_label=None).tolist() == [False, True, True]
    assert contains_lesion(target, has_regions=True, ignore_label=9).tolist() == [False, True, False]


def test_patches_without_lesion_and_cases_without_outcome_are_masked():
    logits = torch.tensor([2.0, -1.0, 7.0, 0.5], requires_grad=True)
    outcomes = torch.tensor([1.0, 0.0, NAN, 1.0])
    lesion = torch.tensor([True, True, True, False])
    total, n = response_losses(logits, outcomes, lesion, 3.0)

    def log_sigmoid(x: float) -> float:
        return -math.log1p(math.exp(-x))

    first = -(3.0 * 0.95 * log_sigmoid(2.0) + 0.05 * log_sigmoid(-2.0))
    second = -(3.0 * 0.05 * log_sigmoid(-1.0) + 0.95 * log_sigmoid(1.0))
    assert n == 2
    assert total.item() == pytest.approx(first + second, rel=1e-6)
    total.backward()
    assert logits.grad[2:].tolist() == [0.0, 0.0]
    assert (logits.grad[:2] != 0).all()


def test_a_batch_that_says_nothing_has_a_gradient_of_zero():
    logits = torch.tensor([2.0, -1.0], requires_grad=True)
    total, n = response_losses(logits, torch.tensor([NAN, 1.0]), torch.tensor([True, False]), 3.0)
    mean = mean_over_ranks(total, n, is_ddp=False)
    mean.backward()
    assert (mean.item(), int(n), logits.grad.tolist()) == (0.0, 0, [0.0, 0.0])


def _rank(rank: int, store: str, results) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    total, n = ((torch.tensor(6.0), 3), (torch.tensor(2.0), 1))[rank]
    results.put(mean_over_ranks(total, torch.tensor(n), is_ddp=True).item())
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_averaged_over_the_ranks_it_is_the_mean_over_all_patches(tmp_path):
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    processes = [context.Process(target=_rank, args=(rank, str(tmp_path / "store"), results)) for rank in (0, 1)]
    for process in processes:
        process.start()
    told = [results.get(timeout=120) for _ in processes]
    for process in processes:
        process.join(timeout=60)
        assert process.exitcode == 0
    assert sorted(told) == [1.0, 3.0]
    assert sum(told) / 2 == (6 + 2) / 4
