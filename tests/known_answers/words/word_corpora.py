"""Sentences whose word times are known, or that two aligners can at least disagree about, as the tables that aligners read."""

from __future__ import annotations

import hashlib
import json
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from sentence_rows import sentence, tokens, wav, write_folder
from signal_tools import RATE, Signal, frame_levels, load, room_noise
from sources import DATA, common_voice, english_clips

HERE = Path(__file__).resolve().parent
SPOKEN = ("en", "de", "es", "hi", "ka", "ru", "tr")
VOICES = {"en": "en-us"}
Times = tuple[float | None, float | None]
"""Start and end of a word, seconds in the clip; None where the truth does not say."""


@dataclass(frozen=True)
class Utterance:
    """One clip, its text, and what is known of it."""

    name: str
    speaker: str
    language: str
    text: str
    audio: bytes
    duration_s: float
    truth: tuple[Times, ...] | None = None
    """One pair a token; None where no times are known."""

    @property
    def id(self) -> str:
        """Its sentence_id."""
        return str(self.row()["sentence_id"])

    def row(self) -> dict[str, object]:
        """Its row of `sentences`."""
        made = sentence(self.text, self.audio, self.speaker, self.duration_s, language=self.language, clip=self.name)
        # A clip may be said twice with two texts; the name keeps ids apart where bytes and text are the same.
        made["sentence_id"] = hashlib.sha256(f"{self.name}\n{made['sentence_id']}".encode()).hexdigest()
        return made


def write(folder: Path, utterances: list[Utterance]) -> Path:
    """A stage folder with `sentences` and `sentence_audio`; made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    return write_folder(folder, [(u.row(), u.audio) for u in utterances])


def synthetic(language: str, n: int, folder: Path, seed: int = 1) -> list[Utterance]:
    """Sentences of Common Voice said by eSpeak NG: exact times. `speak.py` makes them, as a program of its own, once a folder."""
    lines = sorted({clip.text for clip in english_clips()} if language == "en" else set(_foreign_sentences(language)))
    program = HERE / "speak.py"
    options = ["--language", VOICES.get(language, language), "--utterances", str(n), "--seed", str(seed)]
    made_of = hashlib.sha256("\n".join([program.read_text(encoding="utf-8"), *options, *lines]).encode()).hexdigest()
    stamp = folder / "made-of"
    if not stamp.exists() or stamp.read_text() != made_of:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "sentences.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        command = [sys.executable, str(program), str(folder), str(folder / "sentences.txt"), *options]
        subprocess.run(command, check=True, capture_output=True)
        stamp.write_text(made_of)
    out = []
    for name, said in json.loads((folder / "truth.json").read_text(encoding="utf-8")).items():
        times = {a: (start, end) for a, _, start, end in said["words"]}
        truth = tuple(times[t["char_start"]] for t in tokens(said["text"]))
        audio = (folder / f"{name}.wav").read_bytes()
        out.append(Utterance(name, said["speaker"], language, said["text"], audio, said["duration_s"], truth))
    return out


def _foreign_sentences(language: str) -> Iterator[str]:
    if language == "de":
        yield from (clip.text for clip in common_voice("common_voice_6.1/de", "de"))
        path = DATA / "common_voice_6.1/de/validated.tsv"
    else:
        path = DATA / f"word_sentences/{language}.tsv"
    yield from (line.split("\t")[2] for line in path.read_text(encoding="utf-8").splitlines()[1:])


DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
EDGE_DB, FLOOR_DB, RANGE_DB = 30.0, 10.0, 20.0
"""A word that is said alone begins and ends EDGE_DB under its loud frames, or FLOOR_DB over the clip's floor if that is higher.
If that is less than RANGE_DB under the loud frames, or the clip begins or ends over it, the ends cannot be told: it is not
used."""


def edges(samples: Signal) -> tuple[float, float] | None:
    """Where the only word of a clip begins and ends, by its level; None where that cannot be told.

    Levels are of frames of 10 ms: the answer is good to some 10 ms at a plosive, and worse at a soft /f/.
    """
    frame = RATE // 100
    levels = frame_levels(samples, frame)
    loud, floor = (float(np.percentile(levels, q)) for q in (95, 10))
    threshold = max(loud - EDGE_DB, floor + FLOOR_DB)
    over = np.flatnonzero(levels > threshold)
    if threshold > loud - RANGE_DB or not len(over) or over[0] < 3 or over[-1] > len(levels) - 4:
        return None
    return over[0] * frame / RATE, (over[-1] + 1) * frame / RATE


def digits(n: int, seed: int = 1) -> list[Utterance]:
    """Five digits said alone by any of the speakers, joined to one utterance, with noise like the clips' own between.

    Real voices whose words begin and end at silence, so that level alone says where.
    """
    clips: dict[str, list[tuple[Signal, tuple[float, float]]]] = {}
    for path in sorted((DATA / "spoken_digits").glob("*.wav")):
        samples = load(path)
        if found := edges(samples):
            clips.setdefault(path.name.split("_")[0], []).append((samples, found))
    rng, noise = random.Random(seed), np.random.default_rng(seed)
    out = []
    for k in range(n):
        parts, truth, words, at = [], [], [], 0
        for _ in range(5):
            word = rng.choice(DIGITS)
            samples, (start, end) = rng.choice(clips[word])
            gap = room_noise(samples, int(RATE * rng.uniform(0.05, 0.3)), noise)
            parts += [gap, samples]
            at += len(gap)
            truth.append((at / RATE + start, at / RATE + end))
            words.append(word)
            at += len(samples)
        signal = np.concatenate(parts)
        out.append(Utterance(f"digits_{k:04d}", f"digits-{k % 10}", "en", " ".join(words), wav(signal), at / RATE, tuple(truth)))
    return out


SHARED_S = 0.005
"""Two words of the hand labels that overlap by more share a sound: neither's boundary there is taken as known."""


def hand_labelled() -> list[Utterance]:
    """Nine sentences of three speakers, segmented by hand."""
    folder = DATA / "hand_labelled"
    out = [_emu(path) for path in sorted(folder.glob("*_annot.json"))]
    for grid in sorted(folder.glob("*.TextGrid")):
        audio = folder / f"{grid.stem.removesuffix('_words')}.wav"
        out.append(_utterance(audio, f"praatio-{audio.stem}", _text_grid_words(grid.read_text(encoding="utf-8"))))
    return out


def _utterance(audio: Path, speaker: str, words: list[tuple[str, float, float]]) -> Utterance:
    truth: list[list[float | None]] = [[start, end] for _, start, end in words]
    for before, after in zip(truth, truth[1:], strict=False):
        if before[1] is not None and after[0] is not None and before[1] - after[0] > SHARED_S:
            before[1] = after[0] = None
    samples = load(audio)
    text = " ".join(word for word, _, _ in words)
    return Utterance(audio.stem, speaker, "en", text, audio.read_bytes(), len(samples) / RATE, tuple((s, e) for s, e in truth))


def _emu(path: Path) -> Utterance:
    """Words of an EMU annotation: from the first to the last of the phonetic segments linked below each."""
    data = json.loads(path.read_text(encoding="utf-8"))
    rate = float(data["sampleRate"])
    segments = {i["id"]: i for level in data["levels"] if level["name"] == "Phonetic" for i in level["items"]}
    below: dict[int, list[int]] = {}
    for link in data["links"]:
        below.setdefault(link["fromID"], []).append(link["toID"])

    def leaves(item: int) -> list[int]:
        return [item] if item in segments else [leaf for child in below.get(item, []) for leaf in leaves(child)]

    words = []
    for item in next(level for level in data["levels"] if level["name"] == "Word")["items"]:
        text = next(label["value"] for label in item["labels"] if label["name"] == "Text")
        inside = [segments[leaf] for leaf in leaves(item["id"])]
        start = min(s["sampleStart"] for s in inside) / rate
        words.append((text.lower(), start, max(s["sampleStart"] + s["sampleDur"] + 1 for s in inside) / rate))
    return _utterance(path.with_name(path.name.replace("_annot.json", ".wav")), "emu-ae", words)


def _text_grid_words(text: str) -> list[tuple[str, float, float]]:
    """Intervals of the tier ``word`` of a TextGrid, long or short, that hold text."""
    values = [a or b for a, b in re.findall(r'"([^"]*)"|(?<![\w.])(-?\d+\.?\d*)(?![\w.\]])', text.split("<exists>", 1)[1])]
    strings = re.findall(r'"([^"]*)"', text.split("<exists>", 1)[1])
    if "word" not in strings:
        raise ValueError("no tier 'word' in the TextGrid")
    at = values.index("word") + 1
    count = int(values[at + 2])
    triples = [values[at + 3 + 3 * i : at + 6 + 3 * i] for i in range(count)]
    return [(label.lower(), float(start), float(end)) for start, end, label in triples if label.strip()]


def real() -> list[Utterance]:
    """All English readings, and the hand-labelled ones among them: what times are not known of, aligners can only agree about."""
    out = []
    for clip in english_clips():
        samples = load(clip.path)
        if len(samples) <= 20 * RATE and tokens(clip.text):
            out.append(Utterance(clip.id, clip.reader, "en", clip.text, clip.path.read_bytes(), len(samples) / RATE))
    return out + hand_labelled()


def swapped(utterances: list[Utterance], share: float, seed: int = 1) -> tuple[list[Utterance], set[str]]:
    """The corpus with a share of its texts exchanged between clips of about the same length; and the names of those clips.

    Clips whose texts are about equally long change them, so that a wrong text is not told by its length alone.
    """
    rng = random.Random(seed)
    order = sorted(utterances, key=lambda u: (len(u.text), u.name))
    pairs = [(a, b) for a, b in zip(order[::2], order[1::2], strict=False) if a.text != b.text]
    chosen = rng.sample(pairs, min(len(pairs), round(share * len(utterances) / 2)))
    texts = {x.name: y.text for a, b in chosen for x, y in ((a, b), (b, a))}
    return [replace(u, text=texts[u.name], truth=None) if u.name in texts else u for u in utterances], set(texts)
