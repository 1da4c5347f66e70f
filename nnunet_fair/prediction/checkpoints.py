"""Reading checkpoints without running code from them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import IO, Any

import numpy as np

from nnunet_fair.errors import UserError


def load_checkpoint(file: Path | IO[bytes], *, name: str = "") -> dict[str, Any]:
    """Load a checkpoint onto the CPU without running code from it.

    Args:
        file: the checkpoint, a path or an open file.
        name: what messages call it; the path where not given.

    Raises:
        UserError: it cannot be read, holds objects other than tensors, numbers and texts, or is none of nnU-Net's.
    """
    import pickle

    import torch

    name = name or str(file)
    try:
        with torch.serialization.safe_globals(_numpy_scalars()):
            checkpoint = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        refused = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"it holds {refused[1]}, which would run code from the file" if refused else "it is no checkpoint"
        raise UserError(
            f"{name} cannot be loaded: {reason}; only checkpoints with tensors, numbers and texts are read"
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise UserError(f"{name} cannot be loaded ({error}); copy it again from where it was trained") from error
    expected = ("network_weights", "init_args", "trainer_name")
    missing = [key for key in expected if key not in checkpoint] if isinstance(checkpoint, dict) else list(expected)
    if missing:
        raise UserError(f"{name} is no checkpoint of nnU-Net v2 (no {', '.join(missing)})")
    return checkpoint


def _numpy_scalars() -> list[Any]:
    """What nnU-Net's records of losses and scores need: NumPy's numbers, as NumPy 1 and 2 name them."""
    numbers = [np.dtype(kind) for kind in ("float16", "float32", "float64", "int32", "int64", "uint8", "bool")]
    scalar = np.float64(0).__reduce__()[0]
    names = ("numpy._core.multiarray.scalar", "numpy.core.multiarray.scalar")
    return [*((scalar, name) for name in names), np.dtype, *(type(number) for number in numbers)]
