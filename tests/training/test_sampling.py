"""Drawing cases with changeable probabilities."""

import multiprocessing

import numpy as np
import pytest

from nnunet_fair.training.sampling import SampledIdentifiers

CASES = ["a", "b", "c", "d"]


def test_uniform_probabilities_draw_exactly_as_a_plain_list():
    draws = []
    for identifiers in (CASES, SampledIdentifiers(CASES)):
        np.random.seed(7)
        draws.append([np.random.choice(identifiers, 2, replace=True, p=None).tolist() for _ in range(20)])
    assert draws[0] == draws[1]


def test_draws_follow_the_probabilities():
    np.random.seed(0)
    identifiers = SampledIdentifiers(CASES)
    identifiers.set_probabilities(np.array([1.0, 1.0, 2.0, 6.0]))
    assert identifiers.probabilities.tolist() == pytest.approx([0.1, 0.1, 0.2, 0.6])
    n = 20_000
    drawn = np.concatenate([np.random.choice(identifiers, 2) for _ in range(n // 2)])
    share = np.array([(drawn == case).mean() for case in CASES])
    # two draws of a batch share one resampling: allow twice the binomial standard deviation, at four of them
    assert np.abs(share - identifiers.probabilities).max() < 4 * 2 * np.sqrt(0.25 / n)


def test_it_is_still_the_list_of_cases():
    identifiers = SampledIdentifiers(CASES)
    identifiers.set_probabilities(np.array([1, 1, 1, 100]))
    assert list(identifiers) == CASES and len(identifiers) == 4 and identifiers[1] == "b"


@pytest.mark.parametrize("probabilities", [[1, 1, 1], [1, 1, 1, 0], [1, 1, 1, np.nan], [1, 1, 1, -1]])
def test_impossible_probabilities_are_refused(probabilities):
    with pytest.raises(ValueError, match="4 positive probabilities"):
        SampledIdentifiers(CASES).set_probabilities(np.array(probabilities, dtype=float))


def _draw_when_asked(identifiers, asked, drawn):
    np.random.seed(1)
    while asked.get():
        drawn.put(np.concatenate([np.random.choice(identifiers, 2) for _ in range(50)]).tolist())


def test_workers_forked_before_a_change_see_it():
    context = multiprocessing.get_context("fork")
    identifiers = SampledIdentifiers(CASES)
    asked, drawn = context.Queue(), context.Queue()
    workers = [context.Process(target=_draw_when_asked, args=(identifiers, asked, drawn)) for _ in range(2)]
    for worker in workers:
        worker.start()
    asked.put(True)
    assert set(drawn.get(timeout=60)) == set(CASES)
    identifiers.set_probabilities(np.array([1e-9, 1e-9, 1e-9, 1.0]))
    for _ in range(2):
        asked.put(True)
        assert set(drawn.get(timeout=60)) == {"d"}
    for _ in workers:
        asked.put(False)
    for worker in workers:
        worker.join(timeout=60)
        assert worker.exitcode == 0


def test_a_spawned_process_shares_the_memory_too():
    identifiers = SampledIdentifiers(CASES)
    worker = multiprocessing.get_context("spawn").Process(
        target=SampledIdentifiers.set_probabilities, args=(identifiers, np.array([1.0, 1.0, 1.0, 7.0]))
    )
    worker.start()
    worker.join(timeout=60)
    assert worker.exitcode == 0
    assert identifiers.probabilities.tolist() == pytest.approx([0.1, 0.1, 0.1, 0.7])
