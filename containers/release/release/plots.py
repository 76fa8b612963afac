"""The card's plots: PNG files that are the same bytes for the same figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from release.figures import CER_EDGES, DURATION_EDGES_S, Figures, ledger_lines  # noqa: E402

BLUE, GREY, RED = "#2a6f97", "#a9b4bd", "#b23a48"
SPLIT_COLOURS = {"train": BLUE, "dev": "#e9a03b", "test": RED}


def draw_plots(figures: Figures, ledger: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Write durations, CER, hours and where the input went.

    Returns:
        {file name: what it shows}.
    """
    drawn = {
        "duration.png": ("Duration of clips, seconds", _histogram(figures.durations, DURATION_EDGES_S, "seconds")),
        "cer.png": (
            "Character error rate of the text against what an unbiased recogniser heard",
            _histogram(figures.cer, CER_EDGES, "CER"),
        ),
        "hours.png": ("Audio by config and split", _hours(figures)),
        "ledger.png": ("Where every second of input went", _ledger(ledger)),
    }
    return save_plots(drawn, folder)


def save_plots(drawn: Mapping[str, tuple[str, Figure]], folder: Path) -> dict[str, str]:
    """Write file name → (title, figure) into ``folder``, the same bytes each time; file name → title."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (title, figure) in drawn.items():
        figure.axes[0].set_title(title, loc="left", fontsize=10)
        figure.savefig(folder / name, dpi=110, metadata={"Software": None})
        plt.close(figure)
    return {name: title for name, (title, _) in drawn.items()}


def plain_axes(height: float = 3.0) -> Figure:
    """A figure with one set of axes, ``height`` inches high."""
    figure, axes = plt.subplots(figsize=(7.0, height), layout="constrained")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    return figure


def _histogram(counts: Any, edges: tuple[float, ...], unit: str) -> Figure:
    figure = plain_axes()
    widths = [b - a for a, b in zip(edges[:-1], edges[1:], strict=True)]
    figure.axes[0].bar(edges[:-1], counts, width=widths, align="edge", color=BLUE, edgecolor="white")
    figure.axes[0].set_xlabel(unit, fontsize=8)
    figure.axes[0].set_ylabel("clips", fontsize=8)
    return figure


def _scale(seconds: float) -> tuple[str, float]:
    return ("hours", 3600.0) if seconds >= 7200 else ("minutes", 60.0)


def _hours(figures: Figures) -> Figure:
    configs = sorted({c for c, _ in figures.parts})
    figure = plain_axes(1.0 + 0.5 * max(1, len(configs)))
    left = dict.fromkeys(configs, 0.0)
    unit, scale = _scale(figures.audio_s)
    for split, colour in SPLIT_COLOURS.items():
        values = [figures.parts[c, split].audio_s / scale if (c, split) in figures.parts else 0.0 for c in configs]
        figure.axes[0].barh(configs, values, left=[left[c] for c in configs], color=colour, label=split)
        left = {c: left[c] + v for c, v in zip(configs, values, strict=True)}
    figure.axes[0].set_xlabel(unit, fontsize=8)
    figure.axes[0].legend(fontsize=8, frameon=False)
    return figure


def _ledger(ledger: Mapping[str, Any]) -> Figure:
    """A waterfall: from all of the input, what each reason took, down to what was kept."""
    lines = ledger_lines(ledger)
    lost = [(name, s) for kind, name, s, _ in lines if kind == "rejected"]
    kept = [(f"kept: {name}", s) for kind, name, s, _ in lines if kind == "kept"]
    unit, scale = _scale(ledger["in"]["seconds"])
    total = ledger["in"]["seconds"] / scale
    figure = plain_axes(1.2 + 0.22 * (len(lost) + len(kept) + 1))
    axes = figure.axes[0]
    axes.barh(["input"], [total], color=GREY)
    end = total
    for name, seconds in lost:
        end -= seconds / scale
        axes.barh([name], [seconds / scale], left=[end], color=RED)
    for name, seconds in kept:
        end -= seconds / scale
        axes.barh([name], [seconds / scale], left=[max(0.0, end)], color=BLUE)
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel(unit, fontsize=8)
    return figure
