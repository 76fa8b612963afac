"""Stage ``outliers``: scores of each clip that are high where something is wrong with it; nothing is taken out here.

Each clip is heard (:mod:`keywords.sounds`), and compared with the other clips of its word, in a space learned from the corpus
itself (:mod:`keywords.embedding`). A release's policy decides what a score is worth; who listens starts at the worst.
"""

from __future__ import annotations

import io
import tempfile
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import soundfile
from pydantic import Field

from keywords.embedding import distances, learn, robust_z
from keywords.sounds import GSC_QUIET, SIZE, Sound, listen
from stagekit.errors import EmptyInput, StageError
from stagekit.stage import Context, Crashed, Params, Reason, stage

BLOCK = 64
"""Clips that a worker takes at once."""
CLIP_COLUMNS = (
    "clip_id", "word", "speech_s", "score", "word_start_sample", "word_end_sample", "padding_before", "padding_after"
)  # fmt: skip
SOUND_WEIGHT = 1.5
"""Of how the word sounds, beside each level: chosen on planted errors (tests/known_answers/outliers)."""
WORST = 8.0
"""Deviations count up to this: one absurd figure must not hide which others there are."""


class OutliersParams(Params):
    """How the space is learned."""

    seed: int = Field(1, ge=0, description="of the choice of clips that the space is learned from")


@dataclass(frozen=True)
class Figures:
    """What is known of all clips; arrays of shape (clips,), NaN where there is nothing."""

    alignment: np.ndarray
    seconds: np.ndarray
    level: np.ndarray
    snr: np.ndarray
    edge: np.ndarray
    outside: np.ndarray
    contour: np.ndarray
    mean_abs: np.ndarray


@stage(
    "outliers",
    version=1,
    params=OutliersParams,
    unit="clip",
    reads=["clips", "clip_audio"],
    writes=["clip_scores"],
    libraries=["numpy", "soundfile"],
)
def run(ctx: Context[OutliersParams]) -> None:
    """Inputs: folders of ``cut``, all that belong to one language.

    Raises:
        EmptyInput: no clips.
        StageError: ``clip_audio`` is not in the order of ``clips``.
    """
    ids: list[str] = []
    names: dict[str, int] = {}
    numbers, heard = array("i"), array("f")
    with tempfile.TemporaryFile() as file:
        for block, result in ctx.map(hear, _blocks(ctx), seconds=lambda b: float(len(b))):
            for number, (clip, _) in enumerate(block):
                ctx.enter(clip["clip_id"], clip["speech_s"])
                sound = result.detail if isinstance(result, Crashed) else result[number]
                if isinstance(sound, str):
                    reason = Reason.CRASHED if isinstance(result, Crashed) else Reason.AUDIO_CORRUPT
                    ctx.reject(clip["clip_id"], reason, sound, end_s=clip["speech_s"])
                    continue
                ctx.keep(clip["clip_id"], clip["speech_s"])
                ids.append(clip["clip_id"])
                numbers.append(names.setdefault(clip["word"], len(names)))
                heard.extend((np.nan if clip["score"] is None else clip["score"], clip["speech_s"], sound.level_db, sound.snr_db))
                heard.extend((sound.edge_db, sound.outside_db, sound.contour_db, sound.mean_abs))
                file.write(sound.vector.astype(np.float16).tobytes())
        if not ids:
            inputs = ", ".join(i.uri for i in ctx.inputs) or "nothing"
            why = "no word has enough of them (min_clips), or none of the own list's is there: see report.json of select"
            raise EmptyInput(f"no clips in {inputs}: {why}")
        file.flush()
        vectors = np.memmap(file, dtype=np.float16, mode="r", shape=(len(ids), SIZE))
        word, words = _sorted(np.array(numbers), list(names))
        points = project(vectors, *learn(vectors, word, ctx.params.seed))
    distance, margin = distances(points, word)
    figures = Figures(*np.array(heard).reshape(len(ids), -1).T.astype(np.float64))
    scored = score(figures, word, distance, margin)
    for n, clip_id in enumerate(ids):
        row: dict[str, Any] = {"clip_id": clip_id, "word": words[word[n]]}
        row |= {name: None if np.isnan(values[n]) else float(values[n]) for name, values in scored.items()}
        ctx.write("clip_scores", row | {"gsc_quiet": bool(figures.mean_abs[n] < GSC_QUIET)})
    ctx.metrics.update(
        clips=len(ids), words=len(words), components=points.shape[1], gsc_quiet=int((figures.mean_abs < GSC_QUIET).sum()),
        worst=[ids[i] for i in np.argsort(-scored["outlier"], kind="stable")[:10]],
    )  # fmt: skip


def _blocks(ctx: Context[OutliersParams]) -> Iterator[list[tuple[dict[str, Any], bytes]]]:
    block: list[tuple[dict[str, Any], bytes]] = []
    sounds = ctx.rows("clip_audio", columns=["clip_id", "flac"], batch=500)
    for clip, sound in zip(ctx.rows("clips", columns=list(CLIP_COLUMNS)), sounds, strict=True):
        if clip["clip_id"] != sound["clip_id"]:
            raise StageError(f"clip_audio is not in the order of clips: {sound['clip_id']} beside {clip['clip_id']}")
        block.append((clip, sound["flac"]))
        if len(block) == BLOCK:
            yield block
            block = []
    if block:
        yield block


def hear(block: list[tuple[dict[str, Any], bytes]]) -> list[Sound | str]:
    """Each clip's sound, or why it cannot be heard."""
    found: list[Sound | str] = []
    for clip, data in block:
        try:
            samples, _ = soundfile.read(io.BytesIO(data), dtype="int16")
        except (soundfile.LibsndfileError, OSError) as error:
            found.append(str(error))
            continue
        found.append(
            listen(
                samples, clip["word_start_sample"], clip["word_end_sample"], clip["padding_before"], clip["padding_after"]
            )
        )  # fmt: skip
    return found


def project(vectors: np.ndarray, centre: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Where the clips lie; float32, shape (clips, components)."""
    found = np.empty((len(vectors), matrix.shape[1]), dtype=np.float32)
    for a in range(0, len(vectors), 10_000):
        found[a : a + 10_000] = (np.asarray(vectors[a : a + 10_000], dtype=np.float64) - centre) @ matrix
    return found


def _sorted(numbers: np.ndarray, names: list[str]) -> tuple[np.ndarray, list[str]]:
    """Numbers that stand for names, as numbers of the sorted names."""
    order = sorted(range(len(names)), key=names.__getitem__)
    place = np.empty(len(names), dtype=np.int64)
    place[order] = np.arange(len(names))
    return place[numbers], [names[n] for n in order]


def score(figures: Figures, word: np.ndarray, distance: np.ndarray, margin: np.ndarray) -> dict[str, np.ndarray]:
    """The columns of ``clip_scores``; NaN where there is nothing to go by.

    ``outlier`` is the root of the sum of squares of what each score deviates in the direction in which errors lie: one score far
    out is enough, and several that are a little out add up. The level itself has no part in it but by the rule of Google Speech
    Commands: some people are far from their microphone. No listening results are needed for it.
    """
    out = {
        "alignment_z": robust_z(figures.alignment, word),
        "duration_z": robust_z(np.log(np.maximum(figures.seconds, 0.01)), word),
        "level_db": figures.level,
        "level_z": robust_z(figures.level, word),
        "snr_db": figures.snr,
        "edge_db": figures.edge,
        "edge_z": robust_z(figures.edge, word),
        "outside_db": figures.outside,
        "outside_z": robust_z(figures.outside, word),
        "contour_db": figures.contour,
        "contour_z": robust_z(figures.contour, word),
        "mean_abs": figures.mean_abs,
        "distance": distance,
        "margin": margin,
    }
    everywhere = np.zeros_like(word)
    parts = [
        -out["alignment_z"],
        np.abs(out["duration_z"]),
        -robust_z(figures.snr, everywhere),
        out["edge_z"],
        out["outside_z"],
        -out["contour_z"],
        SOUND_WEIGHT * robust_z(distance, everywhere),
        SOUND_WEIGHT * robust_z(margin, everywhere),
        np.where(figures.mean_abs < GSC_QUIET, 1.0, 0.0),
    ]
    squares = [np.clip(np.nan_to_num(p, nan=0.0), 0, WORST) ** 2 for p in parts]
    return out | {"outlier": np.sqrt(np.sum(squares, axis=0))}
