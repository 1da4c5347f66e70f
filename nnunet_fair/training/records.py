"""What a training leaves in its fold folder for people: the weights, the history of the subgroups, a picture.

These files hold case IDs and group names; nnU-Net's export of a model does not take them along.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nnunet_fair.files import atomic_path, with_formula, without_formulas, write_csv
from nnunet_fair.training.finder import Refresh

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WEIGHTS_FILE = "fair_weights.csv"
HISTORY_FILE = "fair_history.csv"
HEALTHY_HISTORY_FILE = "fair_history_healthy.csv"
PROGRESS_FILE = "fair_progress.png"
HISTORY_COLUMNS = ("epoch", "subgroup", "n", "support", "mean_score", "divergence", "t", "probability")
HISTORY_SUBGROUPS = 50
"""Subgroups written to the history at a refresh: those most probably disadvantaged, else the lowest."""
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito, for the colour-blind


class FairRecords:
    """Writes the records of one fold; a record that cannot be written is a line in the log, and no more.

    Args:
        folder: the fold's output folder.
        log: where that line goes.
    """

    def __init__(self, folder: Path, log: Callable[[str], None] = print) -> None:
        self._folder = folder
        self._log = log
        self._history = pd.DataFrame(columns=list(HISTORY_COLUMNS))
        self._weight_range: list[tuple[int, float, float]] = []

    def __repr__(self) -> str:
        return f"FairRecords({self._weight_range[-1][0] if self._weight_range else 'no'} refreshes)"

    @property
    def weight_range(self) -> list[tuple[int, float, float]]:
        """(epoch, smallest, largest weight) of every refresh."""
        return list(self._weight_range)

    @property
    def n_refreshes(self) -> int:
        """How often the weights were renewed."""
        return len(self._weight_range)

    @contextmanager
    def _or_a_line(self, what: str) -> Iterator[None]:
        """The training goes on, whatever is wrong with a file that is for people only."""
        try:
            yield
        except Exception as error:
            self._log(f"nnunet-fair: {what} is not up to date ({type(error).__name__}: {error}); the training goes on")

    def begin(self, last_epoch: int | None, weight_range: Sequence[Sequence[float]] = ()) -> None:
        """Start the records, or take up those of an interrupted training.

        Args:
            last_epoch: the last epoch whose refresh the checkpoint knows; rows of later epochs, written before the
                interruption, are dropped. None for a new training.
            weight_range: the weight range saved with the checkpoint.
        """
        self._weight_range = [(int(epoch), float(low), float(high)) for epoch, low, high in weight_range]
        self._history = pd.DataFrame(columns=list(HISTORY_COLUMNS))
        history = self._folder / HISTORY_FILE
        if last_epoch is not None and history.is_file():
            with self._or_a_line(f"{HISTORY_FILE} cannot be read and is started anew, so it"):
                self._history = _read_history(history, last_epoch)
        with self._or_a_line(HISTORY_FILE):
            write_csv(self._history, history)
        healthy = self._folder / HEALTHY_HISTORY_FILE
        if healthy.is_file():
            with self._or_a_line(HEALTHY_HISTORY_FILE):
                if last_epoch is None:
                    healthy.unlink()
                else:
                    write_csv(_read_history(healthy, last_epoch), healthy)

    def write(self, epoch: int, refresh: Refresh, train_ids: Sequence[str]) -> None:
        """Write one refresh.

        Args:
            epoch: the first epoch trained with these weights, counted from 0.
            refresh: what the refresh found.
            train_ids: the training cases in the order of ``refresh.weights``.
        """
        self._weight_range.append((epoch, float(refresh.weights.min()), float(refresh.weights.max())))
        with self._or_a_line(HISTORY_FILE):
            rows = _append(self._folder / HISTORY_FILE, epoch, refresh.divergence)
            self._history = rows if self._history.empty else pd.concat([self._history, rows], ignore_index=True)
        if refresh.without_structure is not None:
            with self._or_a_line(HEALTHY_HISTORY_FILE):
                _append(self._folder / HEALTHY_HISTORY_FILE, epoch, refresh.without_structure)
        weights = pd.DataFrame({"case_id": train_ids, "weight": refresh.weights, "subgroup": refresh.subgroup})
        with self._or_a_line(WEIGHTS_FILE):
            write_csv(weights.sort_values("case_id"), self._folder / WEIGHTS_FILE)

    def plot(self) -> None:
        """Draw the divergence of the worst subgroups and the range of the weights over the epochs."""
        if not self._weight_range:
            return
        # nnU-Net changes matplotlib's global style for its own plot: this one is drawn in the default style, and with
        # the figure's own canvas instead of pyplot, so that neither disturbs the other
        from matplotlib import style

        # names of groups are text, never formulas: a group may be called $50k
        plain_text = {"text.parse_math": False}
        with (
            self._or_a_line(PROGRESS_FILE),
            style.context(["default", plain_text]),
            atomic_path(self._folder / PROGRESS_FILE) as temporary,
        ):
            self._draw().savefig(temporary, dpi=100)

    def _draw(self) -> Figure:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9, 7), layout="constrained")
        FigureCanvasAgg(figure)
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        for (name, rows), colour in zip(_worst_lately(self._history), _COLOURS, strict=False):
            top.plot(rows["epoch"], rows["divergence"], marker=".", color=colour, label=name)
        top.axhline(0, color="0.4", linewidth=0.8)
        top.set_ylabel("divergence of the running DSC")
        top.set_title("Subgroups that lately do worst")
        epochs, low, high = (np.array(column) for column in zip(*self._weight_range, strict=True))
        bottom.fill_between(epochs, low, high, alpha=0.25, color=_COLOURS[0])
        bottom.plot(epochs, high, marker=".", linewidth=1, color=_COLOURS[0], label="largest case weight")
        bottom.plot(epochs, low, marker=".", linewidth=1, color=_COLOURS[1], label="smallest case weight")
        bottom.axhline(1, color="0.4", linewidth=0.8)
        bottom.set_ylabel("case weight")
        bottom.set_xlabel("epoch")
        bottom.xaxis.get_major_locator().set_params(integer=True)
        for axes, below in ((top, -0.03), (bottom, -0.22)):
            if axes.get_legend_handles_labels()[0]:
                axes.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, below), ncols=2, frameon=False)
        return figure


def _read_history(path: Path, last_epoch: int) -> pd.DataFrame:
    """The rows up to an epoch; a kill may have cut the last line short."""
    rows = pd.read_csv(path, on_bad_lines="skip", dtype={"subgroup": str}, keep_default_na=False)
    epochs = pd.to_numeric(rows["epoch"], errors="coerce")
    kept = rows[(epochs <= last_epoch) & (rows[HISTORY_COLUMNS[-1]].notna())]
    for column in [name for name in HISTORY_COLUMNS if name != "subgroup"]:
        kept = kept.assign(**{column: pd.to_numeric(kept[column], errors="coerce")})
    return kept.assign(subgroup=kept["subgroup"].map(with_formula)).astype({"epoch": int, "n": int})


def _append(path: Path, epoch: int, rows: pd.DataFrame) -> pd.DataFrame:
    """Append a refresh's most probable, or lowest, subgroups to a history; returns what was written."""
    if rows["probability"].notna().any():
        rows = rows.loc[rows["probability"].nlargest(HISTORY_SUBGROUPS).index.sort_values()]
    rows = rows.head(HISTORY_SUBGROUPS).assign(epoch=epoch)[list(HISTORY_COLUMNS)]
    with path.open("a", encoding="utf-8", newline="") as file:
        without_formulas(rows).to_csv(file, header=file.tell() == 0, index=False)
    return rows


def _worst_lately(history: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The subgroups furthest below average over the last fifth of the epochs, each with its whole history."""
    if history.empty:
        return []
    first = history["epoch"].max() - max(1, (history["epoch"].max() - history["epoch"].min()) // 5)
    recent = history[history["epoch"] >= first].groupby("subgroup")["divergence"].mean()
    recent = recent[recent < 0].nsmallest(len(_COLOURS))
    return [(name, history[history["subgroup"] == name]) for name in recent.index]
