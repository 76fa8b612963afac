"""The known answers as a table: figures from counts, against what the project promises."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from corpus import CLEAN, CONDITIONS, DAMAGED, DEGRADED, FOREIGN
from cuts import SHORT_S
from damage import EXCHANGED
from evaluate import Counts
from intervals import Figure, quantile, share

TITLES = {
    "clean": "clean readings, right text",
    "whole": "whole recordings, right text",
    "music_10db": "music at 10 dB",
    "pink_noise_10db": "pink noise at 10 dB",
    "babble_10db": "babble at 10 dB",
    "room": "room (RT60 0.5 s)",
    "telephone": "telephone band",
    "mp3_32k": "MP3 at 32 kb/s",
    "added": "paragraphs added",
    "missing": "paragraphs missing",
    "swapped": "paragraphs swapped",
    "other_language": "paragraphs in another language",
    "wrong": "text of other recordings",
    "exchanged": "one word in seven another than is said",
    "translation": "French speech, its English translation",
    "english_over_foreign": "German and Mandarin speech, English text",
    "recogniser_captions": "foreign speech, an English recogniser's words",
}


@dataclass
class Condition:
    """All counts of one condition."""

    counts: Counts = field(default_factory=Counts)
    documents: int = 0
    rejected_documents: int = 0
    """Turned away whole by ingest."""
    seconds: float = 0.0


@dataclass(frozen=True)
class Views:
    """The same documents twice: all that alignment kept, and what of it the release policy would take (CER and other bounds)."""

    aligned: dict[str, Condition]
    released: dict[str, Condition]


@dataclass(frozen=True)
class Promise:
    """A promised bound, and what was measured."""

    name: str
    bound: str
    figure: Figure
    scale: float
    met: bool


def ms(errors: list[float], q: float) -> Figure:
    """Quantile of absolute errors."""
    return quantile([abs(e) for e in errors], q)


def promises(found: dict[str, Condition], drift: dict[str, Figure] | None = None) -> list[Promise]:
    """Each promise with its figure. Conditions that were not run are left out."""
    out: list[Promise] = []

    def pooled(names: tuple[str, ...]) -> Counts:
        total = Counts()
        for name in names:
            if name in found:
                total.add(found[name].counts)
        return total

    def promise(name: str, figure: Figure, bound: float, scale: float, unit: str, least: bool = False) -> None:
        if figure.n:
            met = figure.value >= bound if least else figure.value <= bound
            out.append(Promise(name, f"{'≥' if least else '≤'} {bound * scale:g} {unit}", figure, scale, met))

    clean, degraded = pooled(("clean",)), pooled(DEGRADED)
    promise("clean: speech kept", share(clean.kept), 0.95, 100, "%", True)
    promise("clean: kept words not said where claimed", share(clean.wrong), 0.005, 100, "%")
    for name in DEGRADED:
        if name in found:
            promise(f"{TITLES[name]}: speech kept", share(found[name].counts.kept), 0.90, 100, "%", True)
            promise(f"{TITLES[name]}: kept words not said where claimed", share(found[name].counts.wrong), 0.01, 100, "%")
    if "added" in found:
        kept = share(found["added"].counts.added_kept)
        rejected = Figure(1 - kept.value, 1 - kept.high, 1 - kept.low, kept.n)
        promise("paragraphs added: their words rejected", rejected, 0.98, 100, "%", True)
    if EXCHANGED in found:
        kept = share(found[EXCHANGED].counts.added_kept)
        rejected = Figure(1 - kept.value, 1 - kept.high, 1 - kept.low, kept.n)
        promise(f"{TITLES[EXCHANGED]}: these words rejected", rejected, 0.75, 100, "%", True)
    for name in DAMAGED[:-1]:
        if name in found:
            promise(f"{TITLES[name]}: the rest of the speech kept", share(found[name].counts.kept), 0.95, 100, "%", True)
            promise(f"{TITLES[name]}: kept words not said where claimed", share(found[name].counts.wrong), 0.005, 100, "%")
    for name in ("wrong", *FOREIGN):
        if name in found:
            promise(f"{TITLES[name]}: seconds that survive", share(found[name].counts.survived), 0.01, 100, "%")
    for label, counts, median, tail in (("clean", clean, 0.025, 0.100), ("degraded", degraded, 0.050, 0.200)):
        for edge, errors in (("start", counts.start_errors), ("end", counts.end_errors)):
            promise(f"{label}: segment {edge}, median error", ms(errors, 0.5), median, 1000, "ms")
            promise(f"{label}: segment {edge}, 95th percentile", ms(errors, 0.95), tail, 1000, "ms")
    for name, figure in (drift or {}).items():
        if name.startswith("drift"):
            low, high = sorted((abs(figure.low), abs(figure.high)))
            promise(name, Figure(abs(figure.value), low, high, figure.n), 0.010, 1000, "ms an hour")
        elif name.startswith("cuts"):
            promise(name, figure, 0.0, 100, "%")
    return out


def table(found: dict[str, Condition]) -> str:
    """One row a condition, Markdown."""
    head = [
        "condition", "documents", "minutes", "speech kept %", "words of the text kept %", "kept words wrong %",
        "misplaced %", "untold speech in segments %", "survives %", "start error ms (median; 95 %)",
        "end error ms (median; 95 %)", "first words' start ms (median; 95 %)",
    ]  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name in CONDITIONS:
        if name not in found:
            continue
        c, k = found[name], found[name].counts
        turned = f" ({c.rejected_documents} turned away)" if c.rejected_documents else ""
        cells = [TITLES[name], f"{c.documents}{turned}", f"{c.seconds / 60:.1f}"]
        cells += [share(x).text(100) for x in (k.kept, k.kept_text)] + [share(k.wrong).text(100, 2)]
        cells += [share(x).text(100) for x in (k.misplaced, k.untold, k.survived)]
        for errors in (k.start_errors, k.end_errors, k.first_word_errors):
            cells.append(f"{ms(errors, 0.5).text(1000, 0)}; {ms(errors, 0.95).text(1000, 0)}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def durations(found: dict[str, Condition]) -> str:
    """Spread of the lengths of kept segments on right transcripts."""
    lengths = [d for name in CLEAN if name in found for d in found[name].counts.durations]
    if not lengths:
        return "no kept segment"
    q = np.percentile(lengths, [5, 25, 50, 75, 95])
    full = share([(float(d >= 14.0), 1.0) for d in lengths])
    return (
        f"{len(lengths)} segments; 5, 25, 50, 75, 95 %: {', '.join(f'{v:.1f}' for v in q)} s; "
        f"of 14 s and more: {full.text(100)} %"
    )


def cuts(found: dict[str, Condition]) -> str:
    """Pauses at the cuts of kept segments on clean readings."""
    quiet = [p for c in found.values() for p in c.counts.pauses_at_cuts]
    if not quiet:
        return "not measured"
    short = share([(float(p < SHORT_S), 1.0) for p in quiet])
    return f"median quiet at a cut {np.median(quiet):.2f} s; in a pause under 50 ms: {short.text(100)} % (cuts)"


def machine() -> str:
    """What this was measured on."""
    name = next(
        (line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.machine(),
    )
    return f"{len(os.sched_getaffinity(0))} cores, {name}, Python {platform.python_version()}"


def all_promises(views: Views, drift: dict[str, Figure] | None) -> list[Promise]:
    """The promises, on what alignment kept and on what is released of it (edges are the same segments': only once)."""
    released = [p for p in promises(views.released) if ": segment " not in p.name]
    return promises(views.aligned, drift) + [Promise(f"released: {p.name}", p.bound, p.figure, p.scale, p.met) for p in released]


def markdown(views: Views, drift: dict[str, Figure] | None, side: str, recognizer: str, seconds: dict[str, float]) -> str:
    """The whole report."""
    found = views.aligned
    rows = [
        f"| {p.name} | {p.bound} | {p.figure.text(p.scale, 2 if p.scale == 100 else 0)} | {'yes' if p.met else '**no**'} |"
        for p in all_promises(views, drift)
    ]
    hours, documents = sum(c.seconds for c in found.values()) / 3600, sum(c.documents for c in found.values())
    parts = [
        "# Known answers\n",
        f"Readers that {side}; {hours:.2f} h of speech in {documents} documents; recogniser {recognizer}. "
        f"Measured on {machine()}: " + ", ".join(f"{k} {v:.0f} s" for k, v in seconds.items())
        + ".",
        "Made by `make known-answers` (tests/known_answers/README.md says what each figure means). In brackets the 95 %",
        "interval; n counts clips (kept), segments (wrong, errors) or pieces of text (added).\n",
        "## Promises\n",
        "Of what alignment kept; rows that begin with *released* are of what the release policy would take of it.\n",
        "| what | promised | measured | met |\n|---|---|---|---|",
        *rows,
        "\n## By condition: as aligned\n",
        table(found),
        "\n## By condition: as released (CER under 38 % against open decoding, and the policy's other bounds)\n",
        table(views.released),
        f"\n## Length of segments (right text)\n\n{durations(found)}",
        f"\n## Cuts (clean readings)\n\n{cuts(found)}",
    ]
    if drift:
        parts.append("\n## One hour of synthetic speech with exact word times\n")
        parts += [f"- {name}: {figure.text(1000 if 'ms' in name else 100, 1)}" for name, figure in drift.items()]
    return "\n".join(parts) + "\n"
