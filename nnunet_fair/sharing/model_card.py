"""``MODEL_CARD.md``: what a shared model is, was trained on and can do, written from the records of its training."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from nnunet_fair import __version__
from nnunet_fair.dataset_conversion.recipes import RECIPE_KEY
from nnunet_fair.outputs import begins_with
from nnunet_fair.postprocessing.settings import PostprocessingSettings, settings_to_dict
from nnunet_fair.prediction.model import configuration_settings
from nnunet_fair.subgroups.bootstrap import CONFIDENCE, N_RESAMPLES
from nnunet_fair.subgroups.disclosure import MIN_CASES, OTHER_OR_UNKNOWN, PublishableGroups

CARD_FILE = "MODEL_CARD.md"
_SECTION = "nnunet_fair"
_TITLE = "# Model card: "
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;", "~": "&#126;"})
_TURNING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


@dataclass(frozen=True, kw_only=True)
class CardRecords:
    """What the card is written from; every text of the card that is not this program's own is in here.

    Attributes:
        name: the dataset's name.
        configuration: the configuration.
        trained_with: the trainer's name in training.
        shipped_as: the trainer's name in the shared model.
        folds: the folds.
        epochs: epochs trained, one value a fold, in the order of ``folds``.
        n_parameters: the network's parameters.
        dataset: ``dataset.json``, cleaned.
        plans: ``plans.json``.
        postprocessing: the settings in the model folder, None where there are none.
        scores: the table of ``cross_validation.subgroup_scores``, None where no fold was validated.
        missing_validation: folds without a validation.
        n_unscored: validation cases without a DSC.
        groups: the published groups of the scored cases, or of the training cases where none was scored; None without
            case metadata.
    """

    name: str
    configuration: str
    trained_with: str
    shipped_as: str
    folds: Sequence[int | str]
    epochs: Sequence[int]
    n_parameters: int
    dataset: dict[str, Any]
    plans: dict[str, Any]
    postprocessing: PostprocessingSettings | None
    scores: pd.DataFrame | None
    missing_validation: Sequence[int | str]
    n_unscored: int
    groups: PublishableGroups | None


def model_card(records: CardRecords) -> str:
    """The card as Markdown: no patient is named, and nothing about fewer than five can be computed from it."""
    sections = [_model(records), _data(records), _fairness(records), _scores(records), _use(records), _limits(records)]
    return f"{_TITLE}{_text(records.name)}, {_text(records.configuration)}\n\n" + "\n\n".join(sections) + "\n"


def is_card(path: Path) -> bool:
    """Whether a file is a card that this package wrote."""
    return begins_with(path, _TITLE)


def published_groups(records: CardRecords) -> list[str]:
    """The groups of patients the card names, as ``attribute: group``."""
    if records.scores is None:
        return []
    return [f"{row.attribute}: {row.group}" for row in records.scores.itertuples() if row.attribute]


def _model(records: CardRecords) -> str:
    setting = configuration_settings(records.plans, records.configuration)
    rows = {
        "Network": _class_name(setting.get("architecture", {}).get("network_class_name", "as in plans.json")),
        "Parameters": f"{records.n_parameters:,}",
        "Plans": records.plans.get("plans_name", "unknown"),
        "Spacing (mm)": _listed(setting.get("spacing")),
        "Patch (voxels)": _listed(setting.get("patch_size")),
        "Batch": setting.get("batch_size", "unknown"),
        "Normalisation": _listed(setting.get("normalization_schemes")),
        "Trained with": records.trained_with,
        "Folds": _listed(records.folds),
        "Epochs": _listed(sorted(set(records.epochs))),
        "Exported by": f"nnunet-fair {__version__}, nnU-Net {version('nnunetv2')}",
    }
    return "## Model\n\n" + _table(("", ""), rows.items())


def _data(records: CardRecords) -> str:
    channels = records.dataset.get("channel_names", {})
    rows = {
        "Dataset": records.name,
        "Training cases": records.dataset.get("numTraining", "unknown"),
        "Channels": _listed(f"{index}: {name}" for index, name in channels.items()),
        "Labels": _listed(f"{name}: {value}" for name, value in records.dataset.get("labels", {}).items()),
        "File ending": records.dataset.get("file_ending", "unknown"),
    }
    text = "## Data\n\n" + _table(("", ""), rows.items())
    recipe = records.dataset.get(RECIPE_KEY)
    if recipe is None:
        return text + "\n\nNo conversion recipe is recorded: images have to be prepared as the training images were."
    return text + "\n\nRecipe from the phases to the channels:\n\n" + _table(("setting", "value"), recipe.items())


def _fairness(records: CardRecords) -> str:
    section = records.plans.get(_SECTION)
    if "FairDiv" not in records.trained_with:
        text = f"Trained with {_text(records.trained_with)}: cases were not weighted by subgroup."
    elif not section:
        text = f"Divergence-weighted training with every setting at its default of nnunet-fair {__version__}."
    else:
        text = (
            f"Divergence-weighted training; what is not listed is at its default of nnunet-fair {__version__}.\n\n"
            + _table(("setting", "value"), section.items())
        )
    if records.groups is not None:
        exact = _exact(records)
        coverage = [(name, _coverage(column, exact=exact)) for name, column in records.groups.frame.items()]
        who = "scored" if records.scores is not None else "training"
        if coverage:
            text += f"\n\nMetadata of the {who} cases:\n\n" + _table(("attribute", "cases with a value"), coverage)
    return "## Fairness settings\n\n" + text


def _scores(records: CardRecords) -> str:
    title = "## Cross-validated scores\n\n"
    if records.scores is None:
        return title + "None: no fold of this model was validated on cases it was not trained on."
    percent = f"{CONFIDENCE:.0%}".replace("%", " %")
    text = (
        "Mean DSC of nnU-Net's validation of each fold, before post-processing, with "
        f"{percent} intervals (Bayesian bootstrap over cases, BCa, {N_RESAMPLES} replicates, as in the reports of "
        f"nnunet_fair evaluate). Groups of fewer than {MIN_CASES} cases are merged or not shown, and so is what would "
        "give them away by subtraction."
    )
    if records.missing_validation:
        text += f" Without a validation, so not in the table: fold {_listed(records.missing_validation)}."
    if records.n_unscored:
        n = f"{records.n_unscored}" if records.n_unscored >= MIN_CASES else f"Fewer than {MIN_CASES}"
        text += f" {n} cases have no DSC (reference and prediction empty) and are left out."
    counts = _counts(records)
    rows = [
        (row.attribute or "–", row.group, n, _number(row.mean), _interval(row.low, row.high))
        for row, n in zip(records.scores.itertuples(), counts, strict=True)
    ]
    return title + text + "\n\n" + _table(("attribute", "group", "n", "mean DSC", f"{percent} interval"), rows)


def _exact(records: CardRecords) -> bool:
    """Whether exact numbers of cases may stand on the card.

    The training cases' number is in ``dataset.json``: where one to four of them are not among the cases of the card,
    exact numbers would give that away.
    """
    n_training, n_here = records.dataset.get("numTraining"), 0
    if records.scores is not None:
        n_here = int(records.scores["n"].iloc[0])
    elif records.groups is not None:
        n_here = len(records.groups.frame)
    return not isinstance(n_training, int) or not 0 < n_training - n_here < MIN_CASES


def _counts(records: CardRecords) -> list[str]:
    """The cases of each row of the scores: exact, or in blocks of five where exact numbers may not be shown."""
    assert records.scores is not None
    sizes = records.scores["n"]
    if _exact(records):
        return [f"{n}" if n >= MIN_CASES else f"fewer than {MIN_CASES}" for n in sizes]
    n_training = int(records.dataset["numTraining"])
    counts = [f"{n_training - MIN_CASES + 1} or more"]
    for attribute, n in zip(records.scores["attribute"][1:], sizes[1:], strict=True):
        lows = sizes[records.scores["attribute"] == attribute] // MIN_CASES * MIN_CASES
        highest = lows.sum() + (MIN_CASES - 1) * len(lows)
        # The blocks' ends have to leave every number of cases from 1 to 4 possible.
        hidden = lows.sum() <= n_training - MIN_CASES + 1 and highest >= n_training - 1
        low = n // MIN_CASES * MIN_CASES
        counts.append(f"{low} to {low + MIN_CASES - 1}" if hidden else f"{MIN_CASES} or more")
    return counts


def _coverage(column: pd.Series, *, exact: bool) -> str:
    """How many cases have a published group."""
    with_unknown = column.astype(str).str.startswith(OTHER_OR_UNKNOWN)
    named = int((column.notna() & ~with_unknown).sum())
    if named == len(column):
        return "all"
    if not exact:
        return "not all"
    return f"{named} of {len(column)}" + (" or more" if with_unknown.any() else "")


def _use(records: CardRecords) -> str:
    names = (records.shipped_as, records.plans.get("plans_name"), records.configuration)
    folder = "{}, plans {}, configuration {}".format(*map(_text, names))
    lines = [
        "## Use\n",
        "For research on segmentation and its fairness. It is no medical device, is not validated for diagnosis or "
        "treatment, and its masks have to be checked by someone who can read the images.\n",
        f"Installs with `nnUNetv2_install_pretrained_model_from_zip` (trainer {folder}) and predicts with "
        "`nnUNetv2_predict` on images prepared by the recipe above; `nnunet_fair predict` prepares them itself.",
    ]
    if records.shipped_as == "nnUNetTrainer":
        lines.append("No plugin is needed. An installed model of the same dataset, trainer and plans is replaced.")
    if records.postprocessing is not None:
        rows = settings_to_dict(records.postprocessing).items()
        lines += ["\nPost-processing stored with the model:\n", _table(("setting", "value"), rows)]
    return "\n".join(lines)


def _limits(records: CardRecords) -> str:
    lines = [
        "It was trained and scored on the dataset above only; other scanners, protocols and populations may differ."
    ]
    if records.scores is not None:
        groups = records.scores[records.scores["attribute"] != ""]
        small = groups[groups["n"] < 10]
        if len(small):
            names = _listed(f"{row.attribute} {row.group}" for row in small.itertuples())
            lines.append(f"Fewer than 10 scored cases, too few to tell how it serves them: {names}.")
        known = groups.dropna(subset="mean")
        spread = known.groupby("attribute", sort=False)["mean"].agg(["min", "max", "count"])
        for attribute, row in spread[spread["count"] > 1].iterrows():
            lines.append(f"Mean DSC differs by {row['max'] - row['min']:.3f} between the groups of {_text(attribute)}.")
    if records.groups is None:
        lines.append("There was no case metadata: how it serves subgroups is not known.")
    else:
        for name, column in records.groups.frame.items():
            if column.isna().any():
                n = f"{int(column.isna().sum())} of {len(column)}" if _exact(records) else "some"
                lines.append(f"{_text(name)} is unknown for {n} cases.")
        lines += map(_text, records.groups.sentences)
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in lines)


def _table(header: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    cells = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(value) for value in row) + " |" for row in cells)


def _cell(value: Any) -> str:
    return _listed(value) if isinstance(value, (list, tuple)) else _text(value)


def _listed(values: Any) -> str:
    return "unknown" if values is None else ", ".join(_text(value) for value in values)


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else plain_markdown(str(value))


def plain_markdown(text: str) -> str:
    """Text that Markdown shows as it is: no HTML, link, picture, code or table comes of it, and it stays on its line.

    Args:
        text: of a person: a name in a table, a label.
    """
    one_line = "".join(" " if unicodedata.category(sign) in ("Cc", "Zl", "Zp") else sign for sign in text)
    # Signs that turn the direction of writing would let a name reach beyond its cell.
    one_line = "".join(sign for sign in one_line if unicodedata.bidirectional(sign) not in _TURNING)
    return re.sub(r"([\\`*\[\]|#])", r"\\\1", one_line).translate(_ENTITIES)


def _class_name(path: str) -> str:
    return path.rsplit(".", 1)[-1]


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def _interval(low: float, high: float) -> str:
    return "–" if math.isnan(low) else f"{low:.3f} – {high:.3f}"
