"""How well audio identity tells copies from other recordings, and how it grows.

``python bench/audio_identity.py [--growth-only] [--hours 250 500 1000]``, with the ingest image's environment and
PYTHONPATH=containers/stagekit:containers/ingest. Real audio of tests/known_answers/data: long recordings as they are, short
clips of one reader joined to about a minute. Copies are made with ffmpeg. The growth is measured on made-up fingerprints whose
chance of an equal value in two recordings (2^-24) is that of real ones, a tenth of them copies with 5 % of their bits wrong.
Prints Markdown; the figures in containers/ingest/IDENTITY.md are its output.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from ingest.identity import fingerprint
from stagekit.audio import decode, ffmpeg
from stagekit.identity import FRAMES_PER_SECOND, Fingerprint, cluster, match

DATA = Path(__file__).resolve().parents[1] / "tests/known_answers/data"
COPIES: dict[str, tuple[list[str], str, list[str]]] = {
    "mp3 64 kb/s": (["-b:a", "64k"], "mp3", []),
    "mp3 32 kb/s mono 22 kHz": (["-ac", "1", "-ar", "22050", "-b:a", "32k"], "mp3", []),
    "aac 48 kb/s in m4a": (["-c:a", "aac", "-b:a", "48k"], "m4a", []),
    "vorbis 48 kb/s in ogg": (["-c:a", "libvorbis", "-ac", "1", "-b:a", "48k"], "ogg", []),
    "opus 32 kb/s in ogg": (["-c:a", "libopus", "-b:a", "32k"], "ogg", []),
    "opus 16 kb/s in webm": (["-c:a", "libopus", "-ac", "1", "-b:a", "16k"], "webm", []),
    "18 dB quieter, mp3 64 kb/s": (["-af", "volume=-18dB", "-b:a", "64k"], "mp3", []),
    "loudness normalised (dynamic), mp3": (["-af", "loudnorm=I=-16", "-ar", "44100", "-b:a", "128k"], "mp3", []),
    "telephone: 8 kHz mu-law": (["-af", "highpass=300,lowpass=3400", "-ar", "8000", "-c:a", "pcm_mulaw"], "wav", []),
    "first 3.037 s cut, mp3 64 kb/s": (["-b:a", "64k"], "mp3", ["-ss", "3.037"]),
    "first 5.061 s cut, mp3 32 kb/s": (["-ac", "1", "-ar", "22050", "-b:a", "32k"], "mp3", ["-ss", "5.0613"]),
}


def recordings() -> dict[str, np.ndarray]:
    """Name → float32 samples, 16 kHz."""
    found = {}
    for path in sorted(DATA.glob("*/*.mp3")) + sorted(DATA.glob("*/*.ogg")) + sorted(DATA.glob("jfk/*.flac")):
        if "ljspeech" not in str(path) and "mfa" not in str(path):
            found[path.stem[:24]] = decode(path)
    for reader in ("118", "1867", "19", "2416", "3664", "669"):
        chapter = sorted((DATA / "librispeech").glob(f"{reader}-*.flac"))
        found[f"librispeech {reader}"] = np.concatenate([decode(p) for p in chapter])
    clips = [decode(p) for p in sorted((DATA / "ljspeech").glob("*.mp3"))]
    for number, part in enumerate(np.array_split(np.arange(len(clips)), 4)):
        found[f"ljspeech {number}"] = np.concatenate([clips[i] for i in part])
    return {name: samples for name, samples in found.items() if len(samples) >= 10 * 16000}


def copy(samples: np.ndarray, options: list[str], extension: str, before: list[str]) -> np.ndarray:
    """The same audio, written to a file of that kind and decoded again."""
    with tempfile.TemporaryDirectory() as folder:
        target = f"{folder}/copy.{extension}"
        pcm = (samples * 32767).astype("<i2").tobytes()
        command = [ffmpeg(), "-v", "fatal", *before, "-f", "s16le", "-ar", "16000", "-ac", "1", "-i", "-", *options, target]
        subprocess.run(command, input=pcm, check=True)
        return decode(target)


def quality() -> None:
    """Two tables: the same audio, and different audio."""
    audio = recordings()
    started = time.process_time()
    originals = {name: fingerprint(samples) for name, samples in audio.items()}
    seconds = sum(len(samples) for samples in audio.values()) / 16000
    rate = (time.process_time() - started) / seconds * 3600
    print(f"{len(audio)} recordings, {seconds / 60:.1f} minutes; {rate:.1f} CPU seconds an hour of audio\n")
    everything, family = dict(originals), {name: name for name in originals}
    print("| the same audio as | n | similarity min | median | found |\n|---|---|---|---|---|")
    for kind, how in COPIES.items():
        found = []
        for name, samples in audio.items():
            twin = f"{name} | {kind}"
            everything[twin], family[twin] = fingerprint(copy(samples, *how)), name
            if (m := match(originals[name], everything[twin])) is not None:
                found.append(m)
        values = [m.similarity for m in found]
        middle, right = np.median(values), sum(m.same for m in found)
        print(f"| {kind} | {len(found)} | {min(values):.3f} | {middle:.3f} | {right} |", flush=True)
    pairs = [m for a, b in itertools.combinations(originals, 2) if (m := match(originals[a], originals[b])) is not None]
    print("\n| different recordings, at their best offset | n | similarity max | 99 % | found |\n|---|---|---|---|---|")
    for least in (4, 10, 30):
        some = [m for m in pairs if m.overlap_s >= least]
        values = [m.similarity for m in some]
        high, found_same = np.quantile(values, 0.99), sum(m.same for m in some)
        print(f"| overlap of {least} s and more | {len(some)} | {max(values):.3f} | {high:.3f} | {found_same} |")
    groups = defaultdict(set)
    for number, members in enumerate(cluster(everything)):
        for member in members:
            groups[number].add(family[member])
    whole = [members for members in cluster(everything) if len(members) == 1 + len(COPIES)]
    mixed = sum(len(names) > 1 for names in groups.values())
    print(f"\nclusters of all {len(everything)}: {len(groups)}; complete: {len(whole)} of {len(audio)}; mixed: {mixed}")


def corpus(hours: float, rng: np.random.Generator) -> dict[str, Fingerprint]:
    """Half-hour recordings, a tenth of them copies."""
    frames, made = 1800 * FRAMES_PER_SECOND, {}
    number = max(1, int(hours * 2 / 1.1))
    for i in range(number):
        made[f"{i:06d}"] = rng.integers(1, 1 << 24, frames, dtype=np.uint32) * np.uint32(2654435761)
        if i % 10 == 0:
            wrong = (rng.random((frames, 32)) < 0.05) @ (np.uint64(1) << np.arange(32, dtype=np.uint64))
            made[f"{i:06d} copy"] = made[f"{i:06d}"] ^ wrong.astype(np.uint32)
    return made


def growth(hours: list[float]) -> None:
    """Time and memory of clustering."""
    print("\n| hours | recordings | copies found | CPU seconds | peak memory, GB |\n|---|---|---|---|---|")
    for amount in hours:
        made = corpus(amount, np.random.default_rng(1))
        started = time.process_time()
        groups = cluster(made)
        took, peak = time.process_time() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        right = sum(g == [g[0], f"{g[0]} copy"] for g in groups)
        copies = sum("copy" in name for name in made)
        print(f"| {amount:.0f} | {len(made)} | {right} of {copies} | {took:.1f} | {peak:.2f} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, nargs="*", default=[250, 500, 1000, 2000])
    parser.add_argument("--growth-only", action="store_true")
    options = parser.parse_args()
    if not options.growth_only:
        quality()
    growth(options.hours)
    sys.exit()
