"""What must not be in a shared model: the dataset's case IDs and metadata, and the folders of this machine."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from nnunet_fair.errors import UserError
from nnunet_fair.masks.breast_boxes import BOXES_FILE
from nnunet_fair.masks.endings import case_and_channel, case_id_of
from nnunet_fair.metadata.fair_cases import FAIR_CASES, read_fair_cases
from nnunet_fair.paths import PREPROCESSED, RAW, RESULTS
from nnunet_fair.subgroups.disclosure import MIN_CASES

MIN_LENGTH = 4
"""Shorter texts than this, and short numbers, occur by chance: they are looked for as whole words only."""
_MIN_DIGITS = 6
_SPLITS = "splits_final.json"
_DATES = (
    re.compile(r"(?P<year>\d{4})[-./]?(?P<month>\d{2})[-./]?(?P<day>\d{2})(?:[T ].*)?"),
    re.compile(r"(?P<year>\d{4})[-./](?P<month>\d{1,2})[-./](?P<day>\d{1,2})(?:[T ].*)?"),
    re.compile(r"(?P<day>\d{1,2})[-./](?P<month>\d{1,2})[-./](?P<year>\d{4})(?: .*)?"),
    re.compile(r"(?P<month>\d{1,2})[-./](?P<day>\d{1,2})[-./](?P<year>\d{4})(?: .*)?"),
    re.compile(r"(?P<day>\d{1,2})(?:st|nd|rd|th)?[-./ ]+(?P<name>[a-z]{3,9})\.?[-,./ ]+(?P<year>\d{4})", re.IGNORECASE),
    re.compile(r"(?P<name>[a-z]{3,9})\.? (?P<day>\d{1,2})(?:st|nd|rd|th)?,? (?P<year>\d{4})", re.IGNORECASE),
)
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
# With and without zeros, day or month first, months as numbers and words.
_DATE_FORMATS = (
    *("{y}-{mm}-{dd}", "{y}{mm}{dd}", "{y}/{mm}/{dd}", "{y}.{mm}.{dd}", "{y}-{m}-{d}", "{y}/{m}/{d}"),
    *("{dd}.{mm}.{y}", "{dd}/{mm}/{y}", "{dd}-{mm}-{y}", "{d}.{m}.{y}", "{d}/{m}/{y}", "{d}-{m}-{y}"),
    *("{mm}/{dd}/{y}", "{m}/{d}/{y}", "{mm}-{dd}-{y}", "{dd}.{mm}.{yy}", "{dd}/{mm}/{yy}", "{mm}/{dd}/{yy}"),
    *("{d} {month} {y}", "{dd} {month} {y}", "{d}. {month} {y}", "{month} {d}, {y}", "{month} {d} {y}"),
    *("{d} {mon} {y}", "{dd} {mon} {y}", "{dd}-{mon}-{y}", "{d}-{mon}-{y}", "{mon} {d}, {y}", "{dd}{mon}{y}"),
)


@dataclass(frozen=True, repr=False)
class Secrets:
    """What must not be in a shared model.

    Attributes:
        case_ids: the dataset's case IDs that are long enough to be looked for anywhere.
        short_ids: those that occur by chance: looked for as whole words of texts that people write.
        values: values of the metadata, each of a text of its own.
        rare_values: those of them that fewer than five cases have: looked for as whole words.
        dates: the dates among the values, in every usual way of writing them.
        folders: folders of this machine.
    """

    case_ids: frozenset[str]
    short_ids: frozenset[str]
    values: frozenset[str]
    rare_values: frozenset[str]
    dates: frozenset[str]
    folders: frozenset[str]

    def __repr__(self) -> str:
        return f"Secrets({len(self.case_ids) + len(self.short_ids)} case IDs, {len(self.values)} values)"


def collect_secrets(dataset_name: str, model_folder: Path) -> Secrets:
    """Collect a dataset's case IDs and metadata from everywhere they are on this machine.

    Args:
        dataset_name: such as ``Dataset950_MAMAMIA``.
        model_folder: the trained model, whose validation folders name cases.

    Raises:
        UserError: no case of the dataset is known here, so nothing could be verified.
    """
    roots = [Path(os.environ[variable]) / dataset_name for variable in (RAW, PREPROCESSED) if os.environ.get(variable)]
    case_ids = set(_validated(model_folder))
    holders: Counter[str] = Counter()
    for root in roots:
        case_ids |= {*_from_splits(root / _SPLITS), *_from_images(root), *_from_boxes(root / BOXES_FILE)}
        if (root / FAIR_CASES).is_file():
            table = read_fair_cases(root / FAIR_CASES)
            case_ids |= set(map(str, table.index))
            # The raw and the preprocessed folder may both have the table: the cases are counted once.
            holders |= Counter(value for value in table.to_numpy().ravel() if isinstance(value, str))
    if not case_ids:
        raise UserError(
            f"no case of {dataset_name} is known here (looked for splits_final.json, {FAIR_CASES}, labels and the "
            "folds' validation), so it cannot be verified that none is in the model; export where it was trained"
        )
    by_chance = {case_id for case_id in case_ids if occurs_by_chance(case_id)}
    places = [os.environ.get(variable) for variable in (RAW, PREPROCESSED, RESULTS)] + [str(Path.home())]
    return Secrets(
        case_ids=frozenset(case_ids - by_chance),
        short_ids=frozenset(by_chance),
        values=frozenset(value for value in holders if len(value) >= MIN_LENGTH),
        rare_values=frozenset(value for value, n in holders.items() if n < MIN_CASES and len(value) >= MIN_LENGTH),
        dates=frozenset(text for value in holders for text in ways_to_write_date(value)),
        folders=frozenset(place.rstrip("/") for place in places if place and len(place.strip("/")) >= MIN_LENGTH),
    )


def occurs_by_chance(case_id: str) -> bool:
    """Whether a case ID is found among words and numbers that have nothing to do with it: ``7``, ``AB``, ``2000``."""
    return len(case_id) < (_MIN_DIGITS if case_id.isdigit() else MIN_LENGTH)


def ways_to_write_date(value: str) -> set[str]:
    """The usual ways to write a date; none for a text that is no date.

    Args:
        value: such as ``1961-03-05``, ``19610305``, ``05.03.1961``, ``5 Mar 1961`` or ``3/5/1961``, which may be
            read in two ways.
    """
    found: set[str] = set()
    for match in filter(None, (pattern.fullmatch(value.strip()) for pattern in _DATES)):
        read = match.groupdict()
        month = int(read["month"]) if "month" in read else _month_called(read["name"])
        try:
            when = date(int(read["year"]), month, int(read["day"]))
        except ValueError:
            continue
        if 1850 <= when.year <= 2150:
            name = _MONTHS[when.month - 1]
            parts = {"y": when.year, "m": when.month, "d": when.day, "month": name, "mon": name[:3]}
            padded = {"yy": f"{when.year % 100:02d}", "mm": f"{when.month:02d}", "dd": f"{when.day:02d}"}
            found |= {way.format(**parts, **padded) for way in _DATE_FORMATS}
    return found


def _month_called(name: str) -> int:
    """The number of a month, 0 where it is none."""
    months = [number for number, month in enumerate(_MONTHS, 1) if month.lower().startswith(name.lower())]
    return months[0] if len(months) == 1 else 0


def training_cases(dataset_name: str) -> set[str]:
    """The cases in the dataset's ``splits_final.json``, none where there is no such file."""
    folder = os.environ.get(PREPROCESSED)
    return set(_from_splits(Path(folder) / dataset_name / _SPLITS)) if folder else set()


def _validated(model_folder: Path) -> Iterator[str]:
    for file in model_folder.glob("fold_*/validation/*"):
        case_id = case_id_of(file)
        if case_id:
            yield case_id


def _from_splits(path: Path) -> Iterator[str]:
    try:
        for fold in json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []:
            for cases in fold.values():
                yield from map(str, cases)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(
            f"{path} cannot be read ({error}), so it cannot be verified that none of its cases is in the model; "
            "restore it, or remove it if it is not used"
        ) from error


def _from_images(root: Path) -> Iterator[str]:
    for part in ("labelsTr", "labelsTs", "imagesTr", "imagesTs", "gt_segmentations"):
        for file in (root / part).iterdir() if (root / part).is_dir() else ():
            case_id = case_id_of(file)
            if case_id:
                image = case_and_channel(file) if part.startswith("images") else None
                yield image[0] if image else case_id


def _from_boxes(path: Path) -> Iterator[str]:
    try:
        yield from json.loads(path.read_text(encoding="utf-8")).get("boxes", {}) if path.is_file() else ()
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path} cannot be read ({error}); convert the dataset again with `overwrite`") from error
