"""A checkpoint to share: network and what nnU-Net needs to load it, the trainer's name rewritten."""

from __future__ import annotations

import copy
from typing import Any

from nnunet_fair.dataset_conversion.recipes import RECIPE_KEY
from nnunet_fair.environment import make_trainers_findable
from nnunet_fair.errors import UserError
from nnunet_fair.prediction.model import TrainedModel

STOCK_TRAINER = "nnUNetTrainer"
_FOR_PREDICTION = (
    "network_weights",
    "init_args",
    "trainer_name",
    "inference_allowed_mirroring_axes",
    "current_epoch",
    "logging",
    "_best_ema",
)
_FOR_TRAINING = (*_FOR_PREDICTION, "optimizer_state", "grad_scaler_state")
_INIT_ARGS = ("plans", "configuration", "fold", "dataset_json", "device")
# What nnU-Net or this package reads from dataset.json. Anything else may list cases, paths or people.
DATASET_KEYS = (
    "channel_names",
    "modality",
    "labels",
    "regions_class_order",
    "numTraining",
    "file_ending",
    "overwrite_image_reader_writer",
    "name",
    "licence",
    "license",
    RECIPE_KEY,
)


def clean_dataset(dataset: dict[str, Any], source: str, removed: list[str]) -> dict[str, Any]:
    """A ``dataset.json`` with the keys a model needs only.

    Args:
        dataset: its content.
        source: where it is from, for ``removed``.
        removed: what was left out is added here.
    """
    extra = sorted(key for key in dataset if key not in DATASET_KEYS)
    if extra:
        removed.append(f"{source}: {', '.join(extra)}")
    return {key: copy.deepcopy(value) for key, value in dataset.items() if key in DATASET_KEYS}


def clean_checkpoint(
    checkpoint: dict[str, Any], *, keep_trainer: bool, source: str, removed: list[str]
) -> dict[str, Any]:
    """A checkpoint without what only the training machine or only training needs; the weights are the same tensors.

    Args:
        checkpoint: what nnU-Net saved.
        keep_trainer: keep the trainer's name and the optimiser's state.
        source: where it is from, for ``removed``.
        removed: what was left out is added here.
    """
    kept_keys = _FOR_TRAINING if keep_trainer else _FOR_PREDICTION
    gone = sorted(key for key, value in checkpoint.items() if key not in kept_keys and value is not None)
    if gone:
        removed.append(f"{source}: {', '.join(gone)}")
    cleaned = {key: value for key, value in checkpoint.items() if key in kept_keys}
    arguments = cleaned["init_args"]
    cleaned["init_args"] = {key: value for key, value in arguments.items() if key in _INIT_ARGS}
    cleaned["init_args"]["dataset_json"] = clean_dataset(arguments["dataset_json"], f"{source}: dataset_json", removed)
    if not keep_trainer:
        cleaned["trainer_name"] = STOCK_TRAINER
    return cleaned


def check_stock_network(model: TrainedModel, checkpoint: dict[str, Any]) -> None:
    """Refuse to rewrite the trainer's name where nnU-Net's own trainer would build another network.

    Raises:
        UserError: the trainer builds its own network, or the weights do not fit the stock one.
    """
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name
    from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    name = checkpoint["trainer_name"]
    remedy = "export it with `keep_trainer`, and share the trainer's code with it"
    make_trainers_findable()
    try:
        trainer = recursive_find_trainer_class_by_name(name)
    except RuntimeError as error:
        raise UserError(f"the trainer {name} cannot be found, so its network cannot be checked; {remedy}") from error
    if trainer.build_network_architecture is not nnUNetTrainer.build_network_architecture:
        raise UserError(f"the trainer {name} builds its own network, which {STOCK_TRAINER} cannot load; {remedy}")
    manager = PlansManager(copy.deepcopy(model.plans))
    configuration = manager.get_configuration(model.configuration)
    network = nnUNetTrainer.build_network_architecture(
        manager,
        configuration,
        determine_num_input_channels(manager, configuration, model.dataset),
        manager.get_label_manager(model.dataset).num_segmentation_heads,
        enable_deep_supervision=False,
    )
    try:
        network.load_state_dict(checkpoint["network_weights"])
    except RuntimeError as error:
        raise UserError(f"the weights of {name} do not fit the network its plans describe; {remedy}") from error
