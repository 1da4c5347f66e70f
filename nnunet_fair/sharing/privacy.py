"""Looking for patients in a model that is about to be shared: case IDs, metadata values, paths of this machine."""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from nnunet_fair.errors import UserError
from nnunet_fair.masks.boxes import BOXES_FILE
from nnunet_fair.masks.mask_files import case_id_of
from nnunet_fair.metadata.fair_cases import FAIR_CASES, read_fair_cases
from nnunet_fair.paths import PREPROCESSED, RAW, RESULTS

# Shorter texts than this occur by chance: among the words of a model's files, and among the bytes of its weights.
MIN_LENGTH = 4
_MIN_BYTES = 6
_PREFIX = 4
_SPLITS = "splits_final.json"
_ABSOLUTE_PATH = re.compile(r"(?:^|[\s\"'=(\[,])(?:/[^/\s\"',]+){2,}|(?:^|[\s\"'=(\[,])[A-Za-z]:[\\/]\w")


@dataclass(frozen=True)
class Secrets:
    """What must not be in a shared model.

    Attributes:
        case_ids: the dataset's case IDs that are long enough to be searched for.
        values: the metadata's group names that are long enough.
        folders: folders of this machine.
        n_too_short: case IDs too short to be told from chance.
    """

    case_ids: frozenset[str]
    values: frozenset[str]
    folders: frozenset[str]
    n_too_short: int


def collect_secrets(dataset_name: str, model_folder: Path) -> Secrets:
    """Collect a dataset's case IDs and metadata from everywhere they are on this machine.

    Args:
        dataset_name: such as ``Dataset950_MAMAMIA``.
        model_folder: the trained model, whose validation folders name cases.

    Raises:
        UserError: no case of the dataset is known here, so nothing could be verified.
    """
    roots = [Path(os.environ[variable]) / dataset_name for variable in (RAW, PREPROCESSED) if os.environ.get(variable)]
    case_ids, values = set(_validated(model_folder)), set()
    for root in roots:
        case_ids |= {*_from_splits(root / _SPLITS), *_from_images(root), *_from_boxes(root / BOXES_FILE)}
        if (root / FAIR_CASES).is_file():
            table = read_fair_cases(root / FAIR_CASES)
            case_ids |= set(map(str, table.index))
            values |= {value for value in table.to_numpy().ravel() if isinstance(value, str)}
    if not case_ids:
        raise UserError(
            f"no case of {dataset_name} is known here (looked for splits_final.json, {FAIR_CASES}, labels and the "
            "folds' validation), so it cannot be verified that none is in the model; export where it was trained"
        )
    long_enough = {case_id for case_id in case_ids if len(case_id) >= MIN_LENGTH}
    places = [os.environ.get(variable) for variable in (RAW, PREPROCESSED, RESULTS)] + [str(Path.home())]
    return Secrets(
        case_ids=frozenset(long_enough),
        values=frozenset(value for value in values if len(value) >= MIN_LENGTH),
        folders=frozenset(place.rstrip("/") for place in places if place and len(place.strip("/")) >= MIN_LENGTH),
        n_too_short=len(case_ids) - len(long_enough),
    )


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
    for fold in json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []:
        for cases in fold.values():
            yield from map(str, cases)


def _from_images(root: Path) -> Iterator[str]:
    for part in ("labelsTr", "labelsTs", "imagesTr", "imagesTs", "gt_segmentations"):
        for file in (root / part).iterdir() if (root / part).is_dir() else ():
            case_id = case_id_of(file)
            if case_id:
                yield re.sub(r"_\d{4}$", "", case_id) if part.startswith("images") else case_id


def _from_boxes(path: Path) -> Iterator[str]:
    yield from json.loads(path.read_text(encoding="utf-8")).get("boxes", {}) if path.is_file() else ()


def find_in_texts(content: Any, secrets: Secrets, *, allowed: Collection[str] = ()) -> list[str]:
    """What a JSON-like content tells about patients or this machine.

    Args:
        content: nested dictionaries, lists and values; every text in it, keys too, is looked at.
        secrets: what must not be there.
        allowed: texts that are no secret although the metadata has the same word (names of labels and channels).

    Returns:
        One sentence a finding, empty where there is none.
    """
    pattern = _any_of(secrets.case_ids)
    found = []
    for text in _texts(content):
        if text in allowed:
            continue
        hit = pattern.search(text) if pattern else None
        if hit:
            found.append(f"the case ID {hit.group()}")
        elif text in secrets.values:
            found.append(f"the metadata value {text!r}")
        elif _ABSOLUTE_PATH.search(text) or any(folder in text for folder in secrets.folders):
            found.append(f"the path {text.strip()[:80]!r}")
    return list(dict.fromkeys(found))


def _any_of(case_ids: Collection[str]) -> re.Pattern[str] | None:
    if not case_ids:
        return None
    longest_first = sorted(case_ids, key=len, reverse=True)
    alternatives = "|".join(map(re.escape, longest_first))
    return re.compile(rf"(?<![A-Za-z0-9])(?:{alternatives})(?![A-Za-z0-9])", re.IGNORECASE)


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, Mapping):
        for key, value in content.items():
            yield from _texts(key)
            yield from _texts(value)
    elif isinstance(content, (list, tuple, set, frozenset)):
        for value in content:
            yield from _texts(value)


def find_in_bytes(data: bytes, secrets: Secrets) -> list[str]:
    """Case IDs (as they are, in upper and in lower case) and folders of this machine among the bytes of a file."""
    wanted: dict[bytes, set[bytes]] = {}
    for text in (text for text in (*secrets.case_ids, *secrets.folders) if len(text) >= _MIN_BYTES):
        for variant in {text, text.upper(), text.lower()}:
            encoded = variant.encode()
            wanted.setdefault(encoded[:_PREFIX], set()).add(encoded)
    found = []
    # Case IDs share few beginnings: a fast search for those, and a closer look only where one occurs.
    for prefix, texts in wanted.items():
        start = data.find(prefix)
        while start >= 0:
            found += [text.decode() for text in texts if data.startswith(text, start)]
            start = data.find(prefix, start + 1)
    return sorted(set(found))


def check_archive(path: Path, secrets: Secrets, *, allowed: Collection[str] = ()) -> int:
    """Search every file of a model's zip, checkpoints opened and all, names of the files included.

    Args:
        path: the zip.
        secrets: what must not be there.
        allowed: see :func:`find_in_texts`.

    Returns:
        How many files were searched.

    Raises:
        UserError: something was found; it names the file.
    """
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        found = [(name, finding) for name in names for finding in find_in_texts(name, secrets)]
        for name in names:
            data = archive.read(name)
            found += [(name, finding) for finding in find_in_bytes(data, secrets)]
            found += [(name, finding) for finding in find_in_texts(_content(name, data), secrets, allowed=allowed)]
    if found:
        name, finding = found[0]
        raise UserError(
            f"not exported: {name} holds {finding} ({len(found)} findings in all); nothing was written. Take it out of "
            "the trained model's file of that name, then export again"
        )
    return len(names)


def _content(name: str, data: bytes) -> Any:
    if name.endswith(".json"):
        return json.loads(data)
    if name.endswith(".pth"):
        import torch

        return torch.load(BytesIO(data), map_location="cpu", weights_only=False)
    if name.endswith(".md"):
        return data.decode().splitlines()
    return ()
