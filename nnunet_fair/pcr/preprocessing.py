"""One case as nnU-Net preprocesses it for a configuration, image and mask together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_fair.masks.reading import CaseProblemError


def preprocessed_case(
    images: Sequence[Path], mask: Path, plans_manager: Any, configuration_manager: Any, dataset_json: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Preprocess a case as for prediction.

    Args:
        images: the case's files, one a channel, as the model reads them.
        mask: the lesion's mask, on the images' grid.
        plans_manager: nnU-Net's.
        configuration_manager: nnU-Net's, of the model's configuration.
        dataset_json: the content of the model's ``dataset.json``.

    Returns:
        The channels, float array of shape (channels, …), and the labels, integer array of shape (1, …).

    Raises:
        CaseProblemError: images and mask do not fit, or cannot be read.
    """
    preprocessor = configuration_manager.preprocessor_class(verbose=False)
    try:
        data, labels, _ = preprocessor.run_case(
            [str(path) for path in images], str(mask), plans_manager, configuration_manager, dataset_json
        )
    except (AssertionError, RuntimeError) as error:
        raise CaseProblemError(f"nnU-Net cannot preprocess {images[0]} with {mask}: {error}") from error
    return data, labels
