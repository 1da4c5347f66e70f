"""A trained model as one zip that stock nnU-Net installs and predicts with, with nothing about patients inside."""

from __future__ import annotations

import dataclasses
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from nnunet_fair.dataset_conversion.recipes import RECIPE_FILE
from nnunet_fair.errors import UserError
from nnunet_fair.files import atomic_path, remove_leftovers, write_text
from nnunet_fair.locks import folder_lock
from nnunet_fair.metadata.fair_cases import find_fair_cases, read_fair_cases
from nnunet_fair.outputs import refuse_foreign
from nnunet_fair.postprocessing.settings import SETTINGS_FILE, settings_to_dict
from nnunet_fair.prediction.checkpoints import load_checkpoint
from nnunet_fair.prediction.model import TrainedModel
from nnunet_fair.sharing.checkpoint import (
    STOCK_TRAINER,
    check_stock_network,
    clean_checkpoint,
    clean_dataset,
)
from nnunet_fair.sharing.cross_validation import read_cross_validation, subgroup_scores
from nnunet_fair.sharing.model_card import CARD_FILE, CardRecords, is_card, model_card, published_groups
from nnunet_fair.sharing.privacy import check_archive, find_in_texts
from nnunet_fair.sharing.secrets import Secrets, collect_secrets, training_cases
from nnunet_fair.subgroups.disclosure import MIN_CASES, publishable_groups

# Of a fold's folder only these two kinds of file travel: the checkpoint and nnU-Net's curves of losses and scores.
_CURVES = "progress.png"


@dataclass(frozen=True)
class Export:
    """What was exported.

    Attributes:
        path: the zip.
        card: the model card beside it.
        trainer: the trainer's name in the zip.
        n_files: files in the zip, all of them searched.
        removed: what was taken out or left out, one sentence each.
        secrets: what was searched for.
        published: the groups of patients that the card names, as ``attribute: group``.
        unpublished: what the card does not show of the metadata and why, one sentence an attribute.
    """

    path: Path
    card: Path
    trainer: str
    n_files: int
    removed: tuple[str, ...]
    secrets: Secrets
    published: tuple[str, ...]
    unpublished: tuple[str, ...]


def export_model(
    models: Sequence[TrainedModel],
    target: str | os.PathLike,
    *,
    keep_trainer: bool = False,
    overwrite: bool = False,
) -> Export:
    """Write a model (one configuration, or the two of a cascade) as a zip, and its model card beside it.

    The zip is searched, every file of it, for the dataset's case IDs and metadata and for paths of this machine, before
    it gets its name: where something is found there is no zip.

    Args:
        models: the configurations, of one dataset, trainer and plans.
        target: the zip to write.
        keep_trainer: keep the trainer's name and the optimiser's state, to continue training with the plugin.
        overwrite: replace the zip and the card.

    Raises:
        UserError: the target exists, the network is not the stock one, or something about patients was found.
    """
    target = Path(target)
    card = target.parent / CARD_FILE
    _check_target(target, overwrite)  # nothing is made where it is wrong
    with folder_lock(card):  # which every export of this folder writes
        for path in (target, card):
            remove_leftovers(path.parent, path.name)
        return _export(models, target, card, keep_trainer, overwrite)


def _export(models: Sequence[TrainedModel], target: Path, card: Path, keep_trainer: bool, overwrite: bool) -> Export:
    _check_target(target, overwrite)
    name = models[0].folder.parent.name
    secrets = collect_secrets(name, models[0].folder)
    trained_with, plans_name, _ = models[0].folder.name.split("__")
    trainer = trained_with if keep_trainer else STOCK_TRAINER
    removed: list[str] = []
    records: list[CardRecords] = []
    with atomic_path(target) as temporary:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            for model in models:
                inside = f"{name}/{trainer}__{plans_name}__{model.configuration}"
                records.append(_add_model(archive, inside, model, trainer, keep_trainer, removed))
        allowed = {text for model in models for text in _names(model.dataset)}
        n_files = check_archive(temporary, secrets, allowed=allowed)
        # The card consists of its records and of sentences and numbers of this program: the records are searched.
        for record in records:
            _check_records(record, secrets, allowed)
    write_text("\n".join(model_card(record) for record in records), card)
    groups = [record.groups for record in records if record.groups is not None]
    return Export(
        path=target,
        card=card,
        trainer=trainer,
        n_files=n_files,
        removed=tuple(dict.fromkeys(removed)),
        secrets=secrets,
        published=tuple(dict.fromkeys(text for record in records for text in published_groups(record))),
        unpublished=tuple(dict.fromkeys(sentence for entry in groups for sentence in entry.sentences)),
    )


def _check_records(records: CardRecords, secrets: Secrets, allowed: set[str]) -> None:
    """Search what the card is made from.

    Raises:
        UserError: something about patients is among it.
    """
    texts = {
        "name": records.name,
        "configuration": records.configuration,
        "trainer": records.trained_with,
        "dataset": records.dataset,
        "plans": records.plans,
    }
    found = find_in_texts(texts, secrets, allowed=allowed)
    if records.groups is not None:
        groups = records.groups.frame
        found += find_in_texts(list(groups.columns), secrets, allowed=allowed)
        # Groups of five cases and more are named on purpose; a case ID or a date is no group even then.
        no_values = dataclasses.replace(secrets, values=frozenset(), rare_values=frozenset(), short_ids=frozenset())
        found += find_in_texts(groups.stack().unique().tolist() if groups.size else [], no_values)
    if found:
        raise UserError(f"not exported: the model card would name {found[0]}; nothing was written. Take it out first")


def _check_target(target: Path, overwrite: bool) -> None:
    if target.suffix != ".zip":
        raise UserError(f"`target` takes the zip to write, such as model.zip, found {target}")
    for path in (target, target.parent / CARD_FILE):
        if path.exists() and not overwrite:
            raise UserError(f"{path} exists; replace it with `overwrite`, or export to another folder")
    for path, own in ((target, _is_export(target)), (target.parent / CARD_FILE, is_card(target.parent / CARD_FILE))):
        refuse_foreign(path, own, remedy="move it away or export to another folder")


def _is_export(path: Path) -> bool:
    """Whether a file is a zip of an earlier export: there is a model card inside."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(f"/{CARD_FILE}") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def _names(dataset: dict[str, Any]) -> set[str]:
    """Names of labels and channels: a group of the metadata may be called the same."""
    return {*map(str, dataset.get("labels", ())), *map(str, dataset.get("channel_names", {}).values())}


def _add_model(
    archive: zipfile.ZipFile, inside: str, model: TrainedModel, trainer: str, keep_trainer: bool, removed: list[str]
) -> CardRecords:
    """Add one configuration; the records of its card."""
    import json

    import torch

    epochs, n_parameters, trained_with = [], 0, ""
    for index, fold in enumerate(model.folds):
        checkpoint = load_checkpoint(model.checkpoint_path(fold))
        trained_with = checkpoint["trainer_name"]
        if index == 0 and not keep_trainer:
            check_stock_network(model, checkpoint)
        source = f"fold_{fold}/{model.checkpoint}"
        cleaned = clean_checkpoint(checkpoint, keep_trainer=keep_trainer, source=source, removed=removed)
        epochs.append(int(cleaned.get("current_epoch", 0)))
        n_parameters = sum(weights.numel() for weights in cleaned["network_weights"].values())
        # Straight into the zip: checkpoints are large, and a second copy on disk or in memory is not needed.
        with archive.open(f"{inside}/{source}", "w", force_zip64=True) as stream:
            torch.save(cleaned, stream)
        curves = model.folder / f"fold_{fold}" / _CURVES
        if curves.is_file():
            archive.write(curves, f"{inside}/fold_{fold}/{_CURVES}")
    dataset = clean_dataset(model.dataset, "dataset.json", removed)
    contents = {"dataset.json": dataset, "plans.json": model.plans}
    if (model.folder / RECIPE_FILE).is_file():
        contents[RECIPE_FILE] = model.recipe().to_json()
    settings = model.postprocessing()
    if settings is not None:
        contents[SETTINGS_FILE] = {"settings": settings_to_dict(settings)}
    for file, content in contents.items():
        archive.writestr(f"{inside}/{file}", json.dumps(content, indent=2) + "\n")
    removed += _left_behind(model, contents)
    records = _records(model, dataset, trainer, trained_with, epochs, n_parameters)
    archive.writestr(f"{inside}/{CARD_FILE}", model_card(records))
    return records


def _left_behind(model: TrainedModel, contents: dict[str, Any]) -> list[str]:
    """The files of the model folder that do not travel, by name, folders as one entry."""
    entries = {entry.name for entry in model.folder.iterdir() if not entry.name.startswith("fold_")}
    entries -= contents.keys()
    for fold in model.folds:
        folder = model.folder / f"fold_{fold}"
        kept = {model.checkpoint, _CURVES}
        entries |= {f"fold_*/{entry.name}" for entry in folder.iterdir() if entry.name not in kept}
    others = {entry.name for entry in model.folder.glob("fold_*")} - {f"fold_{fold}" for fold in model.folds}
    return [f"left behind: {name}" for name in sorted(entries | others)]


def _records(
    model: TrainedModel,
    dataset: dict[str, Any],
    trainer: str,
    trained_with: str,
    epochs: Sequence[int],
    n_parameters: int,
) -> CardRecords:
    validation = read_cross_validation(model)
    scored = validation.dsc.dropna()
    cases = _case_metadata(model.folder.parent.name)
    groups = None
    if cases is not None:
        groups = publishable_groups(cases.reindex(scored.index) if len(scored) else cases)
    scores = None
    if len(scored) >= MIN_CASES:
        scores = subgroup_scores(scored, groups.frame if groups else pd.DataFrame(index=scored.index))
    return CardRecords(
        name=model.folder.parent.name,
        configuration=model.configuration,
        trained_with=trained_with,
        shipped_as=trainer,
        folds=model.folds,
        epochs=epochs,
        n_parameters=n_parameters,
        dataset=dataset,
        plans=model.plans,
        postprocessing=model.postprocessing(),
        scores=scores,
        missing_validation=validation.missing,
        n_unscored=len(validation.dsc) - len(scored),
        groups=groups,
    )


def _case_metadata(dataset_name: str) -> pd.DataFrame | None:
    """The training cases' metadata, None where there is none."""
    try:
        cases = read_fair_cases(find_fair_cases(dataset_name))
    except UserError:
        return None
    training = training_cases(dataset_name)
    return cases.reindex(sorted(training)) if training else cases
