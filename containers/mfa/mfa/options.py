"""What MFA is told, pinned, each with its reason. What is not here is MFA's default of the release that the fingerprint names."""

from __future__ import annotations

import json
from typing import Any, Literal

BEAM, RETRY_BEAM = 100, 400
"""Aligning. With MFA's own 10 and 40, 62 of 69 recorded clips got a file, with these 65; what they cost is time on utterances
that the narrow beam loses (29 s instead of 27 s for 328 s of audio). Whether the text is right, a narrow beam does not tell: it
aligned wrong texts, and lost right ones with long pauses."""
TRAIN_BEAM, TRAIN_RETRY_BEAM = 10, 40
"""Training. MFA's own: an utterance that does not fit within them is left out of a step, which keeps wrong transcripts out."""

COMMON = (
    "--clean",  # never from what an earlier run left
    "--overwrite",  # never prompts
    "--no_use_postgres",  # SQLite in the run's own folder: no server to start, none to leave behind
    "--use_mp",  # jobs side by side: in threads, which is MFA's default
)
JSON_OUTPUT = ("--output_format", "json")
"""JSON holds times as 32-bit floats; the TextGrids hold them rounded."""

Recipe = Literal["full", "monophone"]
MONOPHONE_ITERATIONS = 20
"""Of the short recipe; MFA's own has 40. Each step of each iteration waits about a second, however small the corpus."""
FULL: tuple[tuple[str, dict[str, Any]], ...] = (
    ("monophone", {"subset": 10_000, "boost_silence": 1.25}),
    ("triphone", {"subset": 20_000, "boost_silence": 1.25, "num_leaves": 2_000, "max_gaussians": 10_000}),
    ("lda", {"subset": 20_000, "num_leaves": 2_500, "max_gaussians": 15_000}),
    ("sat", {"subset": 20_000, "num_leaves": 2_500, "max_gaussians": 15_000}),
    ("sat", {"subset": 50_000, "num_leaves": 4_200, "max_gaussians": 40_000}),
    ("pronunciation_probabilities", {"subset": 50_000}),
    ("sat", {"subset": 150_000, "num_leaves": 5_000, "max_gaussians": 100_000}),
    ("pronunciation_probabilities", {"subset": 150_000, "optional": True}),
    ("sat", {"subset": 0, "num_leaves": 7_000, "optional": True, "max_gaussians": 150_000, "num_iterations": 20, "quick": True}),
)
"""MFA 3.4.3's default training, written out: what `mfa train` does without a configuration."""


def training(recipe: Recipe) -> str:
    """The configuration file of ``mfa train`` (JSON, which is YAML)."""
    steps = FULL if recipe == "full" else (("monophone", {**FULL[0][1], "num_iterations": MONOPHONE_ITERATIONS}),)
    configuration = {"beam": TRAIN_BEAM, "retry_beam": TRAIN_RETRY_BEAM, "training": [{name: given} for name, given in steps]}
    return json.dumps(configuration, indent=1)
