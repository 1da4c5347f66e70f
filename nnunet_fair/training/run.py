"""A run of ``nnUNetv2_train``: how it ends where a user is at fault, and sums over its processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from torch import distributed as dist

from nnunet_fair.errors import UserError, file_sentence


@contextmanager
def in_one_sentence(folder: Path | None = None) -> Iterator[None]:
    """End the process with a user's mistake in one sentence, where ``nnUNetv2_train`` would print a traceback.

    Args:
        folder: where a file that cannot be written is a user's matter, too.
    """
    try:
        yield
    except UserError as error:
        raise SystemExit(f"nnunet-fair: {error}") from None
    except OSError as error:
        if folder is None or not str(error.filename).startswith(str(folder)):
            raise
        sentence = f"{file_sentence(error)}; the last checkpoint is whole, and the training can be continued from it"
        raise SystemExit(f"nnunet-fair: {sentence}") from error


def sum_over_ranks(counts: np.ndarray, *, is_ddp: bool) -> np.ndarray:
    """The sum of an array over the processes of a distributed training; the array itself in any other.

    The order is the same on every rank, hence the sum.
    """
    if not is_ddp:
        return counts
    gathered: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(gathered, counts)
    return np.sum(gathered, axis=0)
