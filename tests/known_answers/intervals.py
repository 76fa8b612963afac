"""Figures with their n and 95 % interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000
Z = 1.96


@dataclass(frozen=True)
class Figure:
    """A measured figure: value, 95 % interval, and over how many units (clips, segments, documents)."""

    value: float
    low: float
    high: float
    n: int

    def text(self, scale: float = 1.0, digits: int = 1) -> str:
        """`97.3 (96.8–97.9), n=214`; a dash where there was nothing to measure."""
        if self.n == 0:
            return "–"
        return f"{self.value * scale:.{digits}f} ({self.low * scale:.{digits}f}–{self.high * scale:.{digits}f}), n={self.n}"


def wilson(hits: float, n: int) -> tuple[float, float]:
    """Wilson's score interval of a share of n independent units."""
    if n == 0:
        return 0.0, 1.0
    p, z2 = hits / n, Z * Z
    middle, half = (p + z2 / (2 * n)) / (1 + z2 / n), Z * np.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def share(parts: Sequence[tuple[float, float]], seed: int = 0) -> Figure:
    """Sum of parts over sum of wholes, [(part, whole) of each unit].

    The interval is from a bootstrap over units, for the words of one clip stand or fall together. Where every unit says the
    same (0 % or 100 %), the bootstrap would claim certainty: then Wilson's over units.
    """
    rows = np.array([p for p in parts if p[1] > 0], float).reshape(-1, 2)
    n = len(rows)
    if n == 0:
        return Figure(float("nan"), 0.0, 1.0, 0)
    value = float(rows[:, 0].sum() / rows[:, 1].sum())
    if value in (0.0, 1.0) or n == 1:
        low, high = wilson(value * n, n)
        return Figure(value, low, high, n)
    picks = np.random.default_rng(seed).integers(0, n, (RESAMPLES, n))
    sums = rows[picks].sum(axis=1)
    low, high = np.percentile(sums[:, 0] / sums[:, 1], [2.5, 97.5])
    return Figure(value, float(low), float(high), n)


def quantile(values: Sequence[float], q: float, seed: int = 0) -> Figure:
    """The q-quantile (0–1) with a bootstrap interval."""
    x = np.asarray(values, float)
    n = len(x)
    if n == 0:
        return Figure(float("nan"), 0.0, 0.0, 0)
    picks = np.random.default_rng(seed).integers(0, n, (RESAMPLES, n))
    low, high = np.percentile(np.quantile(x[picks], q, axis=1), [2.5, 97.5])
    return Figure(float(np.quantile(x, q)), float(low), float(high), n)


def slope(x: Sequence[float], y: Sequence[float], seed: int = 0) -> Figure:
    """Least-squares slope of y over x with a bootstrap interval."""
    a, b = np.asarray(x, float), np.asarray(y, float)
    n = len(a)
    if n < 3:
        return Figure(float("nan"), 0.0, 0.0, 0)

    def fit(i: np.ndarray) -> np.ndarray:
        u, v = a[i], b[i]
        du, dv = u - u.mean(-1, keepdims=True), v - v.mean(-1, keepdims=True)
        return np.asarray((du * dv).sum(-1) / np.maximum((du * du).sum(-1), 1e-12))

    picks = np.random.default_rng(seed).integers(0, n, (500, n))
    low, high = np.percentile(fit(picks), [2.5, 97.5])
    return Figure(float(fit(np.arange(n))), float(low), float(high), n)
