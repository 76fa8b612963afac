"""Makes the samples that `items.jsonl` lists from the recordings in `tests/known_answers/data`, with SOURCES.md and checksums.

    python samples/build.py        # needs numpy, imageio-ffmpeg and Debian's espeak-ng; the results are committed

Run it again only to change the samples: encoders differ between ffmpeg versions, so the bytes would change.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "known_answers"))
from signal_tools import RATE, Signal, load, room_noise, save, to_level  # noqa: E402

DATA = HERE.parent / "tests" / "known_answers" / "data"
SYNTHETIC = "This sentence was spoken by a synthesiser. It is here so that its license is read and turned away."
Cue = tuple[float, float, str]
Item = dict[str, Any]


def joined(clips: list[tuple[Signal, str]], seed: int) -> tuple[Signal, list[Cue]]:
    """Join clips with 0.4–1.0 s of their own room noise between them; cues with times up to 0.8 s off, as captions are."""
    rng = np.random.default_rng(seed)
    parts: list[Signal] = []
    cues: list[Cue] = []
    at = 0.0
    for clip, text in clips:
        clip = to_level(clip, -22)
        gap = room_noise(clip, int(rng.uniform(0.4, 1.0) * RATE), rng)
        off = rng.uniform(-0.8, 0.8)
        start = max(at + len(gap) / RATE + off, cues[-1][1] if cues else 0.0)
        cues.append((start, max(start + 0.5, start + len(clip) / RATE), text))
        parts += [gap, clip]
        at += (len(gap) + len(clip)) / RATE
    parts.append(room_noise(parts[-1], RATE // 2, rng))
    return np.concatenate(parts), cues


def clock(seconds: float, mark: str) -> str:
    """Caption clock, `00:00:01,500` with mark ','."""
    ms = round(seconds * 1000)
    return f"{ms // 3600000:02d}:{ms // 60000 % 60:02d}:{ms // 1000 % 60:02d}{mark}{ms % 1000:03d}"


def captions(cues: list[Cue], suffix: str) -> str:
    """Cues as SubRip, WebVTT or paragraphs."""
    if suffix.endswith(".srt"):
        return "\n".join(f"{i}\n{clock(a, ',')} --> {clock(b, ',')}\n{t}\n" for i, (a, b, t) in enumerate(cues, 1))
    if suffix.endswith(".vtt"):
        return "WEBVTT\n\n" + "\n".join(f"{clock(a, '.')} --> {clock(b, '.')}\n{t}\n" for a, b, t in cues)
    return "\n\n".join(t for _, _, t in cues) + "\n"


def librispeech(chapter: str, first: int, last: int) -> list[tuple[Signal, str]]:
    """Utterances first..last (inclusive) of one LibriSpeech chapter with their texts, lower case as a caption."""
    lines = dict(line.split(" ", 1) for line in (DATA / f"librispeech/{chapter}.trans.txt").read_text().splitlines())
    names = [f"{chapter}-{i:04d}" for i in range(first, last + 1)]
    return [(load(DATA / f"librispeech/{n}.flac"), lines[n].capitalize() + ".") for n in names]


def ljspeech(first: int, last: int) -> list[tuple[Signal, str]]:
    """Clips first..last of LJ001 with their texts."""
    rows = dict(r.split("|")[:2] for r in (DATA / "ljspeech/metadata.csv").read_text(encoding="utf-8").splitlines())
    names = [f"LJ001-{i:04d}" for i in range(first, last + 1)]
    return [(load(DATA / f"ljspeech/{n}.mp3"), rows[n]) for n in names]


def moby_dick_cues() -> list[Cue]:
    """Sentences with their hand-made times, as far as the 88 s recording goes."""
    page = (DATA / "mobydick/chapter_001.xhtml").read_text(encoding="utf-8")
    texts = dict(re.findall(r'id="(c01\w+)">([^<]+)<', page))
    overlay = (DATA / "mobydick/chapter_001_overlay.smil").read_text(encoding="utf-8")
    found = re.findall(r'#(c01\w+)"/>\s*<audio [^>]*clipBegin="0:0?(\d+):([\d.]+)" clipEnd="0:0?(\d+):([\d.]+)"', overlay)
    cues = [(int(m) * 60 + float(s), int(n) * 60 + float(e), texts[i]) for i, m, s, n, e in found if i in texts]
    return [c for c in cues if c[1] <= 88]


def recogniser_cues() -> list[Cue]:
    """The cloud recogniser's own words for the address of 13 April 2018, with its segment times."""
    rows = json.loads((DATA / "whitehouse/address0413218.alignment.json").read_text())["words"]
    lines = (DATA / "whitehouse/address0413218.asr.txt").read_text(encoding="utf-8").splitlines()
    heard = [line for line in lines if line.strip()]
    return [(start, end, text) for (_, start, end), text in zip(rows, heard, strict=False)]


def espeak(text: str, seed: int) -> Signal:
    """A sentence spoken by eSpeak NG (a separate program)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.wav"
        subprocess.run(["espeak-ng", "-v", f"en+m{1 + seed % 7}", "-w", str(path), text], check=True)
        return load(path)


def audio_of(item: Item) -> tuple[Signal, list[Cue]]:
    """The samples that an item's `audio` names, and cues where it was joined from clips."""
    kind, *words = item["audio"].split(":")
    seed = sum(map(ord, item["id"]))
    if kind == "librispeech":
        return joined(librispeech(words[0], int(words[1]), int(words[2])), seed)
    if kind == "ljspeech":
        return joined(ljspeech(int(words[0]), int(words[1])), seed)
    if kind == "sense":
        paths = sorted((DATA / "sense_and_sensibility").glob("*.wav"))
        return joined([(load(p), p.with_suffix(".txt").read_text().strip()) for p in paths], seed)
    if kind == "load":
        return load(DATA / words[0])[: int(words[1]) * RATE or None], []
    if kind == "espeak":
        return espeak(SYNTHETIC, seed), []
    noise = np.random.default_rng(3).normal(size=int(words[0]) * RATE)
    return ((0.05 if kind == "noise" else 0.0) * noise).astype(np.float32), []


def text_of(item: Item, cues: list[Cue]) -> str | None:
    """The caption file that an item's `caption` names; None if it has none."""
    kind, _, path = (item["caption"] or "").partition(":")
    if kind == "file":
        return (DATA / path).read_text(encoding="utf-8")
    if kind == "lines":  # `id|text`
        lines = (DATA / path).read_text(encoding="utf-8").splitlines()
        return "\n".join(line.split("|", 1)[-1] for line in lines if line.strip()) + "\n"
    if kind == "moby_dick_later":
        page = (DATA / "mobydick/chapter_001.xhtml").read_text(encoding="utf-8")
        return "\n\n".join(re.findall(r'<p id="c01p\d+">([^<]+)</p>', page)[1:4]) + "\n"
    made = {"cues": lambda: cues, "moby_dick_cues": moby_dick_cues, "recogniser_cues": recogniser_cues}
    if kind in made:
        return captions(made[kind](), item["suffix"])
    return SYNTHETIC + "\n" if kind == "synthetic" else None


def build() -> None:
    """Write all folders, metadata.jsonl, SOURCES.md and SHA256SUMS."""
    items: list[Item] = [json.loads(line) for line in (HERE / "items.jsonl").read_text(encoding="utf-8").splitlines()]
    months: dict[Path, list[Item]] = {}
    for item in items:
        months.setdefault(HERE / item["month"] / "en", []).append(item)
    for folder, rows in months.items():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for item in rows:
            path = folder / item["file"]
            cues: list[Cue] = []
            if item["audio"].startswith("copy:"):
                shutil.copyfile(DATA / item["audio"].removeprefix("copy:"), path)
            else:
                samples, cues = audio_of(item)
                save(path, samples, *item["codec"].split())
            text = text_of(item, cues)
            if text is not None:
                path.with_suffix(item["suffix"]).write_text(text, encoding="utf-8")
    write_tables(months)


def write_tables(months: dict[Path, list[Item]]) -> None:
    """metadata.jsonl beside the files; SOURCES.md and SHA256SUMS at the top."""
    sums, text = [], [SOURCES_HEAD]
    for folder, rows in months.items():
        lines = []
        for i in rows:
            row = {k: i[k] for k in ("file", "id", "title", "creator")} | {"language": "en"}
            row |= {k: i[k] for k in ("license_url", "source_url")} | i.get("extra", {})
            lines.append(json.dumps({k: v for k, v in row.items() if v is not None}, ensure_ascii=False))
        (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        text.append(f"\n## {folder.relative_to(HERE)}\n\n| file | license | expected | source, and what was done |")
        text.append("|---|---|---|---|")
        for i in rows:
            where = f"{i['source_url'] or 'this project'}: {i['made']}"
            text.append(f"| {i['file']} | {i['license_url'] or 'not stated'} | {i['expected']} | {where} |")
        for path in sorted(folder.iterdir()):
            sums.append(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(HERE)}")
    (HERE / "SHA256SUMS").write_text("\n".join(sums) + "\n", encoding="utf-8")
    text.append("\n## sha256\n\n```\n" + "\n".join(sums) + "\n```")
    (HERE / "SOURCES.md").write_text("\n".join(text) + "\n", encoding="utf-8")


SOURCES_HEAD = """# Samples

Real speech with text that people wrote, and files that must be turned away. `peoples_speech/en` is what `make demo` harvests;
`peoples_speech_next/en` is what a second month adds (one new creator, and one who is already there).
`spoken_words` has a SOURCES.md of its own.

Written by `samples/build.py` from `items.jsonl` and `tests/known_answers/data` (its SOURCES.md names repository, commit and
licence statement of each source file). Attribution: LibriSpeech, (c) 2014 Vassil Panayotov, CC BY 4.0,
https://www.openslr.org/12/ (clips joined, re-encoded); Moby-Dick EPUB sample, (c) its contributors, CC BY-SA 3.0,
https://github.com/IDPF/epub3-samples (overlay turned into SubRip).

Texts of the captions are human. Times of the cues are not: where a recording was joined from clips they are the joins, moved by
up to 0.8 s on purpose; the cues of `moby_dick.srt` were timed by hand; `sonnet_001.vtt` carries the times of its source."""


if __name__ == "__main__":
    build()
