"""The card's plots of a release of spoken words: PNG files that are the same bytes for the same figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from release.plots import BLUE, SPLIT_COLOURS, plain_axes, save_plots
from release.words.card import LENGTH_EDGES_S, WordFigures


def draw_word_plots(figures: WordFigures, folder: Path) -> dict[str, str]:
    """Write how long words last, how many clips a keyword has, and whose voices are in which split.

    Returns:
        {file name: what it shows}.
    """
    drawn = {
        "length.png": ("How long the words last; what is longer than the axis is in its last bar", _length(figures)),
        "clips.png": ("Clips of each keyword, the most frequent first", _clips(figures)),
        "gender.png": ("Clips by split and gender as stated", _gender(figures)),
    }
    return save_plots(drawn, folder)


def _length(figures: WordFigures) -> Figure:
    figure = plain_axes()
    axes, width = figure.axes[0], LENGTH_EDGES_S[1] - LENGTH_EDGES_S[0]
    axes.bar(LENGTH_EDGES_S[:-1], figures.lengths, width=width, align="edge", color=BLUE, edgecolor="white")
    axes.set_xlabel("seconds", fontsize=8)
    axes.set_ylabel("clips", fontsize=8)
    return figure


def _clips(figures: WordFigures) -> Figure:
    figure = plain_axes()
    counts = np.sort([w.clips for w in figures.by_word.values()])[::-1]
    axes = figure.axes[0]
    axes.step(np.arange(1, len(counts) + 1), counts, where="mid", color=BLUE)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("keyword, by rank", fontsize=8)
    axes.set_ylabel("clips", fontsize=8)
    return figure


def _gender(figures: WordFigures) -> Figure:
    genders = sorted({g for counts in figures.gender.values() for g in counts})
    figure = plain_axes(1.2 + 0.35 * max(1, len(genders)))
    axes = figure.axes[0]
    left = np.zeros(len(genders))
    for split, colour in SPLIT_COLOURS.items():
        values = np.array([figures.gender[split].get(g, 0) for g in genders])
        axes.barh(genders, values, left=left, color=colour, label=split)
        left = left + values
    axes.set_xlabel("clips", fontsize=8)
    axes.legend(fontsize=8, frameon=False)
    return figure
