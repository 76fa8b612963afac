"""Builds the documents of the known answers: long recordings joined from clips, their texts right or damaged, and the truth.

    python tests/known_answers/corpus.py OUT [--side measure] [--only clean,added] [--minutes 8]

OUT is then a source folder of `ingest` (audio, .txt, metadata.jsonl) with OUT.truth.json beside it: one object a document, see
`Document`. Between clips lie 0.3–1.2 s of noise at the level and with the spectrum of the clip before; each join is exact to
the sample. The same seed gives the same corpus.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from damage import EXCHANGED, Blocks, Piece, blocks_of, damage_text
from signal_tools import (
    RATE,
    Signal,
    babble,
    load,
    mix_at_snr,
    mp3_32k,
    pink_noise,
    room,
    room_noise,
    save,
    telephone,
    to_level,
)
from sources import (
    DATA,
    Clip,
    english_clips,
    foreign_clips,
    long_recordings,
    moby_dick,
    moby_dick_paragraphs,
    side,
)
from truth import measure

DOCUMENT_S = 170.0
"""Length aimed at for one document, seconds: 10 to 40 clips."""
SNR_DB = 10.0
MUSIC = ("Hungarian_Dance_number_5_-_Allegro_in_F_sharp_minor_(string_orchestra).ogg", "Kevin_MacLeod_-_Vibe_Ace.ogg")

CLEAN = ("clean", "whole")
DEGRADED = ("music_10db", "pink_noise_10db", "babble_10db", "room", "telephone", "mp3_32k")
DAMAGED = ("added", "missing", "swapped", "other_language", "wrong")
FOREIGN = ("translation", "english_over_foreign", "recogniser_captions")
CONDITIONS = (*CLEAN, *DEGRADED, *DAMAGED, EXCHANGED, *FOREIGN)


@dataclass(frozen=True)
class Placed:
    """A clip as it lies in a document. Times are seconds in the document; characters are offsets in its text."""

    id: str
    reader: str
    start_s: float
    end_s: float
    onset_s: float
    offset_s: float
    sharp_onset: bool
    sharp_offset: bool
    active: list[tuple[float, float]]
    text: str
    char_start: int | None
    """None: the text of this clip is not in the document (`missing`, `wrong`, …)."""
    char_end: int | None


@dataclass(frozen=True)
class Document:
    """The truth of one document."""

    id: str
    condition: str
    side: str
    file: str
    text: str
    duration_s: float
    clips: list[Placed]
    added: list[tuple[int, int]] = field(default_factory=list)
    """[start, end) of the pieces of text that nobody says."""
    language: str = "en"
    """Language that is spoken."""


def rng_of(*names: object) -> np.random.Generator:
    """A generator seeded by names, so that one document's corpus does not depend on the others."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256("/".join(map(str, names)).encode()).digest()[:8], "big"))


# --- audio --------------------------------------------------------------------------------------------------------------


def place(clips: list[Clip], rng: np.random.Generator) -> tuple[Signal, list[Placed]]:
    """Join clips; without text positions yet. Levels differ by up to 6 dB between readers, as in a real meeting."""
    parts: list[Signal] = []
    placed = []
    at = 0
    for clip in clips:
        samples = load(clip.path)
        heard = measure(samples)
        samples = to_level(samples, float(rng.uniform(-29, -23)))
        gap = room_noise(samples, int(rng.uniform(0.3, 1.2) * RATE), rng)
        fade = np.linspace(0, 1, 80, dtype=np.float32)
        gap[:80] *= fade
        at += len(gap)
        start = at / RATE
        placed.append(
            Placed(
                clip.id, clip.reader, start, start + len(samples) / RATE, start + heard.onset_s, start + heard.offset_s,
                heard.sharp_onset, heard.sharp_offset, [(start + a, start + b) for a, b in heard.active], clip.text, None, None,
            )
        )  # fmt: skip
        parts += [gap, samples]
        at += len(samples)
    parts.append(room_noise(parts[-1], int(0.6 * RATE), rng))
    return np.concatenate(parts), placed


def degrade(condition: str, samples: Signal, placed: list[Placed], rng: np.random.Generator) -> Signal:
    """Apply the condition's damage to the audio. SNRs are of the speech while it is active."""
    active = np.zeros(len(samples), bool)
    for clip in placed:
        for a, b in clip.active:
            active[int(a * RATE) : int(b * RATE)] = True

    def with_noise(noise: Signal) -> Signal:
        return mix_at_snr(samples, noise, SNR_DB, active)

    def music() -> Signal:
        return np.resize(load(DATA / "music" / MUSIC[int(rng.integers(len(MUSIC)))]), len(samples))

    def voices() -> Signal:
        # German and Mandarin voices: no word of the text is in the babble.
        return babble([load(c.path) for lang in ("de", "zh-CN") for c in foreign_clips(lang)[:8]], len(samples), rng)

    damage: dict[str, Callable[[], Signal]] = {
        "music_10db": lambda: with_noise(music()),
        "pink_noise_10db": lambda: with_noise(pink_noise(len(samples), rng)),
        "babble_10db": lambda: with_noise(voices()),
        "room": lambda: room(samples, rng),
        "telephone": lambda: telephone(samples),
        "mp3_32k": lambda: mp3_32k(samples),
    }
    return damage[condition]() if condition in damage else samples


# --- text ---------------------------------------------------------------------------------------------------------------


def compose(blocks: Blocks, placed: list[Placed]) -> tuple[str, list[Placed], list[tuple[int, int]]]:
    """The document's text, the clips with their characters, and the characters that nobody says."""
    text, chars, added = "", {}, []
    for block in blocks:
        if text:
            text += "\n\n"
        for i, piece in enumerate(block):
            text += " " if i else ""
            span = (len(text), len(text) + len(piece.text))
            text += piece.text
            added += [(span[0] + a, span[0] + b) for a, b in piece.exchanged]
            if piece.clip is None:
                added.append(span)
            else:
                chars[piece.clip] = span
    out = [
        Placed(**{**asdict(p), "char_start": chars.get(i, (None, None))[0], "char_end": chars.get(i, (None, None))[1]})
        for i, p in enumerate(placed)
    ]
    return text, out, added


# --- documents ----------------------------------------------------------------------------------------------------------


def groups(clips: list[Clip], rng: np.random.Generator, minutes: float | None) -> list[list[Clip]]:
    """Clips grouped into documents. Clips of one chapter stay in order; the others are mixed, so that readers take turns."""
    chapters: dict[str, list[Clip]] = {}
    loose = []
    for clip in clips:
        if clip.corpus in ("librispeech", "ljspeech"):
            chapters.setdefault(clip.reader, []).append(clip)
        else:
            loose.append(clip)
    out = [c[i : i + 16] for c in chapters.values() for i in range(0, len(c), 16)]
    seconds, group = 0.0, []
    for i in rng.permutation(len(loose)):
        group.append(loose[int(i)])
        seconds += 0.7 + len(group[-1].text) / 11  # 11 characters a second: the median of these readings, pauses included
        if seconds > DOCUMENT_S:
            out.append(group)
            seconds, group = 0.0, []
    if group:
        out.append(group)
    if minutes is not None:
        order = rng.permutation(len(out))
        wanted, total = [], 0.0
        for i in order:
            if total < minutes * 60:
                wanted.append(out[int(i)])
                total += sum(0.7 + len(c.text) / 11 for c in out[int(i)])
        out = wanted
    return out


def spare_text(condition: str, others: list[Clip], seconds: float, rng: np.random.Generator) -> list[str]:
    """Paragraphs that are not said in the document: other readers' sentences in fours, and pages of Moby-Dick."""
    picks = [others[int(i)].text for i in rng.permutation(len(others))]
    out = [" ".join(picks[i : i + 4]) for i in range(0, len(picks) - 3, 4)]
    if condition == "added":
        pages = [p for p in moby_dick_paragraphs() if len(p) > 300]
        out = [pages[int(rng.integers(len(pages)))] if i % 2 else p for i, p in enumerate(out)]
        return list(dict.fromkeys(out))
    wanted, total = [], 0.0
    for p in out:  # as long as the speech
        if total < seconds * 12:
            wanted.append(p)
            total += len(p)
    return wanted


def documents(
    which: str, only: tuple[str, ...] = CONDITIONS, minutes: float = 8.0, clean_minutes: float | None = None
) -> Iterator[tuple[Document, Signal]]:
    """All documents of one side (`tune` or `measure`).

    `minutes` bounds each damaged or degraded condition, `clean_minutes` the clean one (None: all there is).
    """
    clips = [c for c in english_clips() if side(c.reader) == which]
    for condition in only:
        if condition == "whole":
            yield from whole(which)
        elif condition in FOREIGN:
            yield from foreign(which, condition, clips)
        else:
            rng = rng_of(which, condition)
            for n, group in enumerate(groups(clips, rng, clean_minutes if condition == "clean" else minutes)):
                yield make(f"{which}-{condition}-{n:02d}", condition, which, group, clips)


def make(
    ident: str, condition: str, which: str, group: list[Clip], pool: list[Clip], language: str = "en"
) -> tuple[Document, Signal]:
    """One document of joined clips."""
    rng = rng_of(ident)
    audio, placed = place(group, rng)
    taken = {c.text for c in group}
    others = [c for c in pool if c.text not in taken]
    spare = spare_text(condition, others, sum(b - a for p in placed for a, b in p.active), rng)
    text, placed, added = compose(damage_text(condition, blocks_of(group, rng), spare, rng), placed)
    doc = Document(ident, condition, which, f"{ident}.flac", text, len(audio) / RATE, placed, added, language)
    return doc, degrade(condition, audio, placed, rng)


def whole(which: str) -> Iterator[tuple[Document, Signal]]:
    """Real long recordings; Moby-Dick's sentences have times made by hand."""
    for clip in long_recordings():
        if side(clip.reader) == which:
            samples = load(clip.path)
            heard = measure(samples)
            one = Placed(
                clip.id,
                clip.reader,
                0.0,
                len(samples) / RATE,
                heard.onset_s,
                heard.offset_s,
                False,
                False,
                list(heard.active),
                clip.text,
                0,
                len(clip.text),
            )
            ident = f"{which}-whole-{clip.id}"
            yield Document(ident, "whole", which, f"{ident}.flac", clip.text, len(samples) / RATE, [one]), samples
    if side("librivox-mobydick") == which:
        path, sentences, _ = moby_dick()
        samples = load(path)
        intro = [("librivox-intro", 0.0, sentences[0][0], "")]
        rows = intro + [(f"moby-{i}", a, b, t) for i, (a, b, t) in enumerate(sentences)]
        placed = []
        for name, a, b, t in rows:
            heard = measure(samples[int(a * RATE) : int(b * RATE)])
            placed.append(
                Placed(
                    name,
                    "librivox-mobydick",
                    a,
                    b,
                    a + heard.onset_s,
                    a + heard.offset_s,
                    False,
                    False,
                    [(a + x, a + y) for x, y in heard.active],
                    t,
                    None,
                    None,
                )
            )
        text, placed, added = compose([[Piece(p.text, i)] for i, p in enumerate(placed) if p.text], placed)
        ident = f"{which}-whole-moby-dick"
        yield Document(ident, "whole", which, f"{ident}.flac", text, len(samples) / RATE, placed, added), samples


def foreign(which: str, condition: str, pool: list[Clip]) -> Iterator[tuple[Document, Signal]]:
    """English text over German, French or Mandarin speech. French goes to `measure`, the readers of the others by their hash."""
    french = DATA / "udhr/human_rights_un_frn_ezwa_64kb-preamble.mp3"
    captions = json.loads((DATA.parent / "recogniser_captions.json").read_text(encoding="utf-8"))
    english = (DATA / "udhr/human_rights_un_eng-preamble.txt").read_text(encoding="utf-8").strip()
    if which == "measure" and condition in ("translation", "recogniser_captions"):
        samples = load(french)
        heard = measure(samples)
        one = Placed(
            "udhr-fr",
            "librivox-udhr-fr",
            0.0,
            len(samples) / RATE,
            heard.onset_s,
            heard.offset_s,
            False,
            False,
            list(heard.active),
            "",
            None,
            None,
        )
        text = english if condition == "translation" else captions["fr"]
        ident = f"{which}-{condition}-fr"
        yield (
            Document(ident, condition, which, f"{ident}.flac", text, len(samples) / RATE, [one], [(0, len(text))], "fr"),
            samples,
        )
    if condition == "translation":
        return
    for language in ("de", "zh-CN"):
        clips = [
            c
            for c in foreign_clips(language)
            if (int(hashlib.sha256(c.reader.encode()).hexdigest()[:8], 16) % 100 < 30) == (which == "tune")
        ]
        ident = f"{which}-{condition}-{language}"
        doc, samples = make(ident, "english_over_foreign", which, clips, pool, language)
        if condition == "recogniser_captions":
            text = " ".join(captions[c.id] for c in clips)
            doc = Document(ident, condition, which, doc.file, text, doc.duration_s, doc.clips, [(0, len(text))], language)
        yield doc, samples


def write(out: Path, docs: Iterable[tuple[Document, Signal]]) -> list[Document]:
    """Write documents as a source folder with their truth beside it; returns the truth."""
    out.mkdir(parents=True, exist_ok=True)
    made, rows = [], []
    for doc, samples in docs:
        save(out / doc.file, samples)
        (out / doc.file).with_suffix(".txt").write_text(doc.text + "\n", encoding="utf-8")
        rows.append(
            {
                "file": doc.file,
                "id": doc.id,
                "title": doc.id,
                "creator": doc.clips[0].reader,
                "language": "en",
                "license_url": "https://creativecommons.org/licenses/by/4.0/",
                "source_url": "https://example.org/known-answers",
            }
        )
        made.append(doc)
    (out / "metadata.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    out.with_name(out.name + ".truth.json").write_text(json.dumps([asdict(d) for d in made], indent=1), encoding="utf-8")
    return made


def read_truth(path: Path) -> list[Document]:
    """Read what `write` wrote."""

    def build(d: dict[str, object]) -> Document:
        clips = [Placed(**c) for c in d.pop("clips")]  # type: ignore[attr-defined]
        return Document(clips=clips, **d)  # type: ignore[arg-type]

    return [build(d) for d in json.loads(path.read_text(encoding="utf-8"))]


def main() -> None:
    """Build one side's corpus."""
    p = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    p.add_argument("out", type=Path)
    p.add_argument("--side", choices=("tune", "measure"), default="measure")
    p.add_argument("--only", default=",".join(CONDITIONS))
    p.add_argument("--minutes", type=float, default=8.0)
    a = p.parse_args()
    made = write(a.out, documents(a.side, tuple(a.only.split(",")), a.minutes))
    hours = sum(d.duration_s for d in made) / 3600
    print(f"{len(made)} documents, {hours:.2f} h, {len({c.reader for d in made for c in d.clips})} readers", file=sys.stderr)


if __name__ == "__main__":
    main()
