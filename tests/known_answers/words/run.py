"""Measures the word aligners on known answers: `make known-answers` (the part on words).

    .venvs/align/bin/python tests/known_answers/words/run.py [--only espeak-en,human] [--aligners words,mfa] [--utterances 200]

Each aligner's `train` and `align` run on each corpus, in their own environments; an aligner that is not here (`mfa` neither on
PATH nor named by SPEECHMILL_MFA) is left out, and the table says so. Stages that have run on the same corpus with the same code
are not run again, and `--keep` keeps what was found of other corpora, so a long run may be done in parts. Prints the tables and
keeps them in bench/results/words-known-answers.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1] / "containers"), str(HERE.parents[2] / "containers/stagekit")]

from pipeline import REPO, StageFailed, rows, run_stage  # noqa: E402
from word_aligners import ALIGNERS, machine, missing  # noqa: E402
from word_corpora import SPOKEN, Utterance, digits, real, swapped, synthetic, write  # noqa: E402
from word_figures import WITHIN_MS, Errors, against_each_other, against_truth, by_sentence, summary, swap_auc  # noqa: E402

RESULT = REPO / "bench" / "results" / "words-known-answers.md"
SWAPPED_SHARE = 0.3
"""Of the texts of a corpus; alignment is with the model of the right texts."""
TITLES = {
    **{f"espeak-{language}": f"synthetic speech, {language}: exact times" for language in SPOKEN},
    "digits": "digits said alone, joined: ends by level",
    "human": "read English: hand-labelled sentences among it",
}


@dataclass
class Measured:
    """One corpus as one aligner aligned it."""

    errors: Errors
    words: dict[str, list[dict[str, object]]]
    unaligned: int
    seconds: dict[str, dict[str, float]] = field(default_factory=dict)
    """Stage → wall and CPU seconds, of the run that made the output."""
    swaps: tuple[float, int, int] | None = None

    def record(self) -> dict[str, Any]:
        """What is kept of it."""
        return {
            "starts": _kept(self.errors.starts), "ends": _kept(self.errors.ends), "unaligned": self.unaligned,
            "seconds": self.seconds, "swaps": self.swaps,
        }  # fmt: skip


def _kept(errors: list[float]) -> dict[str, Any] | None:
    found = summary(errors)
    return None if found is None else {k: _round(v) for k, v in asdict(found).items()}


def _round(value: Any) -> Any:
    return [_round(v) for v in value] if isinstance(value, tuple) else round(value, 4)


def corpus(name: str, n: int, work: Path) -> list[Utterance]:
    """The utterances of a corpus."""
    if name == "human":
        return real()
    if name == "digits":
        return digits(min(n, 100))
    return synthetic(name.removeprefix("espeak-"), n, work / "espeak" / name)


def measure(aligner: str, utterances: list[Utterance], work: Path, swaps: bool) -> Measured:
    """Train and align a corpus; then align it again with planted swaps."""
    folder = write(work / "corpus", utterances)
    out = work / aligner
    model = run_stage(aligner, "train", [str(folder)], out, {})
    aligned = run_stage(aligner, "align", [str(folder), f"model={model}"], out, {})
    words = by_sentence(rows(aligned, "sentence_words"))
    measured = Measured(against_truth(utterances, words), words, len(utterances) - len(words))
    for stage, made in (("train", model), ("align", aligned)):
        measured.seconds[stage] = _seconds(made)
    if swaps:
        with_swaps, wrong = swapped(utterances, SWAPPED_SHARE)
        folder = write(work / "corpus-swapped", with_swaps)
        aligned = run_stage(aligner, "align", [str(folder), f"model={model}"], out, {})
        measured.swaps = swap_auc(with_swaps, wrong, by_sentence(rows(aligned, "sentence_words")))
    return measured


def _seconds(folder: str) -> dict[str, float]:
    run = json.loads((Path(folder.removeprefix("file://")) / "_SUCCESS.json").read_text())["run"]
    return {"wall": run["wall_s"], "cpu": run["cpu_s"]}


HEAD = "| corpus | aligner | n | mean ms | median ms | bias ms | its median | " + " | ".join(f"≤ {b}" for b in WITHIN_MS) + " |"
RULE = "|" + "---|" * (7 + len(WITHIN_MS))


def line(name: str, aligner: str, of: dict[str, Any]) -> str:
    """A row of a table of errors."""
    shares = " | ".join(f"{100 * share:.1f}" for share in of["within"])
    figures = f"{of['mean_ms']:.1f} | {of['median_ms']:.1f} | {of['bias_ms']:+.1f} | {of['typical_ms']:+.1f}"
    return f"| {name} | {aligner} | {of['n']} | {figures} | {shares} |"


def markdown(records: dict[str, dict[str, Any]], absent: dict[str, str]) -> str:
    """The tables."""
    parts = ["# Word times of known answers", ""]
    parts += ["`make known-answers` makes this; tests/known_answers/README.md describes the corpora."]
    parts += [f"\n**Not measured: {name}** ({why})." for name, why in absent.items()]
    parts += ["\nErrors are aligner minus truth; shares are per cent of the n boundaries that were aligned and have a truth.\n"]
    for side in ("starts", "ends"):
        parts += [f"## Word {side}\n", HEAD, RULE]
        for name, record in records.items():
            parts += [line(TITLES[name], aligner, of[side]) for aligner, of in record["by"].items() if of[side]]
        parts.append("")
    apart = [(name, side, of) for name, record in records.items() for side, of in (record["apart"] or {}).items()]
    if apart:
        parts += ["## Aligners against each other (first minus second, words that both aligned)\n", HEAD, RULE]
        parts += [line(f"{TITLES[name]}, {side}", " – ".join(records[name]["by"]), of) for name, side, of in apart]
        parts.append("")
    parts += ["## Sentences\n"]
    parts += [
        f"AUC: chance that a right sentence's score (mean of its words') is over a wrong one's; {SWAPPED_SHARE:.0%} of texts "
        "are exchanged between clips of like length, and aligned with the model of the right texts.\n",
        "| corpus | sentences | audio s | aligner | not aligned | AUC (right, wrong) | train wall s (CPU) | align wall s (CPU) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, record in records.items():
        for aligner, of in record["by"].items():
            told = "–" if of["swaps"] is None else "{:.3f} ({}, {})".format(*of["swaps"])
            took = [f"{of['seconds'][s]['wall']:.0f} ({of['seconds'][s]['cpu']:.0f})" for s in ("train", "align")]
            head = f"| {TITLES[name]} | {record['sentences']} | {record['audio_s']:.0f} | {aligner} | {of['unaligned']}"
            parts.append(f"{head} | {told} | {' | '.join(took)} |")
    machines = sorted({f"{of['date']}: {of['machine']}" for record in records.values() for of in record["by"].values()})
    return "\n".join([*parts, "", *machines]) + "\n"


def main() -> None:
    """Command line."""
    names = [*(f"espeak-{language}" for language in SPOKEN), "digits", "human"]
    p = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    p.add_argument("--only", default=",".join(names), help=f"of {', '.join(names)}")
    p.add_argument("--aligners", default=",".join(ALIGNERS))
    p.add_argument("--utterances", type=int, default=200, help="of each synthetic corpus")
    p.add_argument("--no-swaps", action="store_true")
    p.add_argument("--keep", action="store_true", help="keep what is known of corpora and aligners that are not run now")
    p.add_argument("--work", type=Path, default=REPO / "build" / "known-answers" / "words")
    p.add_argument("--out", type=Path, default=RESULT)
    a = p.parse_args()
    absent = {name: why for name in a.aligners.split(",") if (why := missing(name))}
    kept = a.out.with_suffix(".json")
    records: dict[str, dict[str, Any]] = json.loads(kept.read_text()) if a.keep and kept.exists() else {}
    for name in a.only.split(","):
        work = a.work / f"{name}-{a.utterances}"
        utterances = corpus(name, a.utterances, work)
        found: dict[str, Measured] = {}
        for aligner in (x for x in a.aligners.split(",") if x not in absent):
            print(f"{name}: {aligner}", file=sys.stderr, flush=True)
            try:
                found[aligner] = measure(aligner, utterances, work, not a.no_swaps)
            except StageFailed as failed:
                print(f"{name}: {aligner} failed: {failed}", file=sys.stderr, flush=True)
                absent[f"{aligner} on {name}"] = str(failed).splitlines()[-1][-300:]
        apart = None
        if len(found) == 2:
            one, other = found.values()
            difference = against_each_other(one.words, other.words)
            apart = {side: s for side in ("starts", "ends") if (s := _kept(getattr(difference, side)))}
        measured_before = records.get(name, {"by": {}})["by"]
        when = {"date": time.strftime("%Y-%m-%d"), "machine": machine()}
        records[name] = {
            "sentences": len(utterances), "audio_s": round(sum(u.duration_s for u in utterances), 1), "apart": apart,
            "by": measured_before | {aligner: measured.record() | when for aligner, measured in found.items()},
        }  # fmt: skip
        records = {n: records[n] for n in TITLES if n in records}
        a.out.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(records, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    text = markdown(records, absent)
    a.out.write_text(text, encoding="utf-8")
    print(text)
    for name, why in absent.items():
        print(f"not measured: {name}: {why}", file=sys.stderr)


if __name__ == "__main__":
    main()
