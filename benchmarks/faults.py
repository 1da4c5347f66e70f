"""Damaged files and tables, thousands of them: each has to be understood or refused in one sentence.

    python -m benchmarks.faults --inputs 2000 --seed 0

prints for each format how many inputs were tried, read, refused with a sentence and ended otherwise (an exception that
no user can act on: the aim is none). The same seed makes the same inputs; ``--show`` prints the first of each kind.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nnunet_fair.errors import UserError

ODD = (
    *(None, True, -1, 0, 1e308, 10**400, -50, 1e30, "", "NaN", "\ud800", "a\x00b", "=1+1", "$x^{", "<script>"),
    *([], {}, [[]], [None], {"a": {}}, ["x"] * 3, [1, 2], "9" * 5000),
)


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
        name: its file name.
        text: a sound file.
        read: reads it from the folder it lies in.
    """

    name: str
    text: str
    read: Callable[[Path], Any]


def formats() -> list[Format]:
    """Every file of this package's own, and the tables users give."""
    from nnunet_fair.dataset_conversion.journal import JOURNAL_FILE, read_journal
    from nnunet_fair.dataset_conversion.recipes import RECIPE_FILE, RecipeSettings, read_recipe
    from nnunet_fair.evaluation.metrics.parts import read_case_rows
    from nnunet_fair.masks.breast_boxes import BOXES_FILE, read_boxes
    from nnunet_fair.masks.label_set import read_label_set
    from nnunet_fair.metadata.case_table import read_case_table
    from nnunet_fair.metadata.fair_cases import FAIR_CASES, read_fair_cases
    from nnunet_fair.metadata.folds import read_folds
    from nnunet_fair.postprocessing.settings import (
        SETTINGS_FILE,
        PostprocessingSettings,
        read_settings,
        settings_to_dict,
    )
    from nnunet_fair.postprocessing.uncrop import CROPS_FILE, read_crops
    from nnunet_fair.training.state import load_state

    state = {"version": 1, "epoch": 3, "metadata_sha256": "0", "counts": {"A": [[1.0], [2.0], 3.0, [1.0]]}}
    state |= {"weights": {"A": 1.0, "B": 2.0}, "weight_range": [[1, 0.5, 2.0]], "former_norms": [1.0]}
    crop = {"size": [3, 3, 3], "spacing": [1.0, 1.0, 1.0], "origin": [0.0, 0.0, 0.0], "start": [0, 0, 0]}
    crop |= {"direction": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0], "stop": [2, 2, 2]}
    journal = {"key": "k", "result": {"case_id": "A", "split": "Tr", "findings": [["a", "b"]], "box": None}}
    table = "case_id,age,site\n" + "".join(f"P{i:02d},{30 + i},S{i % 3}\n" for i in range(12))
    rows = "case_id,dsc,norm_hd,hd95_mm,status,problem\n" + "".join(f"P{i},0.{i},0.1,2.0,scored,\n" for i in range(9))
    folds = [{"train": ["A", "B"], "val": ["C"]}, {"train": ["C"], "val": ["A", "B"]}]
    labels = {"labels": {"background": 0, "tumor": 1}, "file_ending": ".nii.gz", "channel_names": {"0": "x"}}
    return [
        Format(RECIPE_FILE, json.dumps(RecipeSettings().to_json()), read_recipe),
        Format(SETTINGS_FILE, json.dumps({"settings": settings_to_dict(PostprocessingSettings())}), _in(read_settings)),
        Format(BOXES_FILE, json.dumps({"boxes": {"A": [[0, 2], [0, 3], [0, 4]]}}), _in(read_boxes)),
        Format(CROPS_FILE, json.dumps({"cases": {"A": crop}}), read_crops),
        Format("fair_state_checkpoint_best_3.json", json.dumps(state), lambda folder: load_state(folder, 3)),
        Format(JOURNAL_FILE, json.dumps(journal) + "\n" + json.dumps(journal), read_journal),
        Format("splits_final.json", json.dumps(folds), _in(read_folds)),
        Format("dataset.json", json.dumps(labels), read_label_set),
        Format("cases.csv", rows, _in(read_case_rows)),
        Format(FAIR_CASES, table, _in(read_fair_cases)),
        Format("table.csv", table, _in(read_case_table)),
    ]


def _in(read: Callable[[Path], Any]) -> Callable[[Path], Any]:
    """A reader of a file as a reader of the folder with that one file."""
    return lambda folder: read(next(path for path in folder.iterdir()))


def damaged(sound: Format, rng: np.random.Generator) -> bytes:
    """One way to damage a file."""
    if sound.name.endswith(".json") and rng.random() < 0.6:
        content = json.loads(sound.text)
        for _ in range(int(rng.integers(1, 3))):
            content = _changed(content, rng)
        return json.dumps(content).encode(errors="surrogatepass")
    data = bytearray(sound.text.encode())
    for _ in range(int(rng.integers(1, 5))):
        place = int(rng.integers(len(data) + 1))
        kind = rng.integers(7)
        if kind == 0:
            del data[place:]
        elif kind == 1:
            data[place:place] = bytes(rng.integers(0, 256, size=int(rng.integers(1, 6)), dtype=np.uint8))
        elif kind == 2 and place < len(data):
            data[place] = int(rng.integers(256))
        elif kind == 3:
            del data[place : place + int(rng.integers(1, 12))]
        elif kind == 4:
            data[place:place] = [b'"', b",", b"\n", b"\r", b"[" * 3000, b"\x00", b"'", b";", b"\xff\xfe"][
                rng.integers(9)
            ]
        elif kind == 5:
            data = data[place:] + data[:place]
        else:
            data += data[place:]
    return bytes(data)


def _changed(content: Any, rng: np.random.Generator) -> Any:
    """A JSON value with one place changed."""
    if isinstance(content, dict) and content and rng.random() < 0.8:
        key = list(content)[rng.integers(len(content))]
        kind = rng.random()
        if kind < 0.15:
            return {name: value for name, value in content.items() if name != key}
        if kind < 0.25:
            return content | {str(ODD[13]): _odd(rng)}
        return content | {key: _changed(content[key], rng)}
    if isinstance(content, list) and content and rng.random() < 0.8:
        place = int(rng.integers(len(content)))
        if rng.random() < 0.2:
            return content[:place] + content[place + 1 :]
        return [*content[:place], _changed(content[place], rng), *content[place + 1 :]]
    return _odd(rng)


def _odd(rng: np.random.Generator) -> Any:
    return ODD[int(rng.integers(len(ODD)))]


def run(n_inputs: int, seed: int, *, show: bool = False) -> pd.DataFrame:
    """Try damaged files of every format.

    Args:
        n_inputs: inputs over all formats together, at least.
        seed: of the inputs.
        show: print the first unexpected exception of each kind.

    Returns:
        Table with one row a format: tried, read, refused, other.
    """
    kinds = formats()
    rows = []
    for number, sound in enumerate(kinds):
        rng = np.random.default_rng([seed, number])
        counts: Counter[str] = Counter()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / sound.name
            for _ in range(-(-n_inputs // len(kinds))):
                path.write_bytes(damaged(sound, rng))
                try:
                    sound.read(Path(folder))
                    counts["read"] += 1
                except UserError:
                    counts["refused"] += 1
                except Exception as error:  # what is counted here is what must not happen
                    counts["other"] += 1
                    kind = f"{sound.name}: {type(error).__name__}: {str(error)[:100]}"
                    if show and not counts[kind]:
                        print(kind)
                    counts[kind] += 1
        tried = counts["read"] + counts["refused"] + counts["other"]
        rows.append((sound.name, tried, counts["read"], counts["refused"], counts["other"]))
    return pd.DataFrame(rows, columns=["format", "tried", "read", "refused", "other"])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Damaged files: understood or refused in one sentence.")
    parser.add_argument("--inputs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", action="store_true")
    args = parser.parse_args()
    table = run(args.inputs, args.seed, show=args.show)
    print(table.to_string(index=False))
    print(f"total: {table['tried'].sum()} tried, {table['other'].sum()} unexpected exceptions")


if __name__ == "__main__":
    main()
