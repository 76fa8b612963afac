"""Real readings that several tests use: LibriSpeech (CC BY 4.0) and JFK (public domain), kept under tests/known_answers/data."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from stagekit.audio import decode

DATA = Path(__file__).resolve().parents[2] / "known_answers" / "data"


def words_of(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


@pytest.fixture(scope="session")
def reading() -> tuple[NDArray[np.float32], list[str]]:
    """12 s of one reader and what she says."""
    lines = dict(line.split(" ", 1) for line in (DATA / "librispeech/19-198.trans.txt").read_text().splitlines())
    return decode(DATA / "librispeech/19-198-0001.flac"), words_of(lines["19-198-0001"])


@pytest.fixture(scope="session")
def speech_of_kennedy() -> tuple[NDArray[np.float32], list[str]]:
    """11 s."""
    return decode(DATA / "jfk/jfk.flac"), words_of((DATA / "jfk/jfk.txt").read_text())


@pytest.fixture(scope="session")
def data() -> Path:
    return DATA
