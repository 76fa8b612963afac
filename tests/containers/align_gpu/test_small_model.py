"""The small model that bench/ctc_train made: it loads as it is pinned, and it knows what it was taught."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from rapidfuzz.distance import Levenshtein

from align.accept import CTC
from align.ctc.checkpoint import Choice, folder_digest
from align.ctc.tokens import Tokens
from align.ctc_aligner import place_words
from align.recognizers import make_recognizer
from stagekit.audio import decode

FOLDER = Path(__file__).parent / "data" / "espeak_en"
SAID = (
    "The river was high after the rain.",
    "Nobody knew where the old captain had gone.",
    "They carried the boxes down to the harbour before noon.",
    "A letter came from the city on the following morning.",
    "We shall never see such a winter again.",
    "Most of the houses stood empty until the spring.",
)


def pinned() -> str:
    """The digest that its README names."""
    found = re.search(r"`([0-9a-f]{64})`", (FOLDER / "README.md").read_text(encoding="utf-8"))
    assert found
    return found[1]


def test_it_is_what_its_readme_pins_and_small() -> None:
    assert folder_digest(str(FOLDER)) == pinned()
    assert sum(p.stat().st_size for p in FOLDER.iterdir()) < 10e6


@pytest.mark.skipif(not shutil.which("espeak-ng"), reason="needs eSpeak NG: apt-get install espeak-ng")
def test_it_hears_its_voices_and_tells_their_words_from_others(tmp_path: Path) -> None:
    recognizer = make_recognizer("torchaudio", "en", Choice(str(FOLDER), pinned()))
    wrong = letters = 0
    right, exchanged = [], []
    for n, (text, other) in enumerate(zip(SAID, [*SAID[1:], SAID[0]], strict=True)):
        wave = tmp_path / f"{n}.wav"
        subprocess.run(["espeak-ng", "-v", "en-us+m3", "-s", "150", "-w", wave, text], check=True, stdin=subprocess.DEVNULL)
        samples, said = decode(wave), text.lower().rstrip(".")
        heard = " ".join(recognizer.open().transcribe(samples))
        wrong, letters = wrong + Levenshtein.distance(heard, said), letters + len(said)
        encoder = recognizer.encoder  # type: ignore[attr-defined]
        tokens: Tokens = encoder.tokens
        emission = encoder.emissions([samples])[0]
        right += [p.score for p in place_words(emission, tokens, said.split(), {})]
        exchanged += [p.score for p in place_words(emission, tokens, other.lower().rstrip(".").split(), {})]
    assert wrong / letters < 0.6
    assert np.mean(np.array(right)[:, None] > np.array(exchanged)) > 0.8, "texts share words such as 'the'"
    assert np.median(right) > CTC.least > np.median(exchanged)
