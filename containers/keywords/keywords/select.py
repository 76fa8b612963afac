"""Stage ``select``: the words that become keywords, and which of their occurrences become clips; counted after all gates.

A word counts only as often as it can be cut: aligned, plausible, spelled in its language, inside its sentence's audio. What is
then too short or too rare is no keyword. With an own list only its words count, with ``*`` and ``?``, and phrases of several
words; ``report.json`` says which are not there, and why. The ledger counts keywords, and the seconds in which they are spoken.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import regex
from pydantic import Field

from keywords.wanted import Wanted
from stagekit.errors import EmptyInput, StageError
from stagekit.folder import iterate_files
from stagekit.stage import Context, Params, stage
from stagekit.tables import TABLES, Reason

MIN_GRAPHEMES, MIN_GRAPHEMES_SYLLABLES = 3, 2
"""As the original's: three letters, two in Chinese. Grapheme clusters, not code points: 'é' decomposed is one, 'நீங்கள்' four."""
SYLLABLES = ("zh", "yue", "ja", "ko")
"""Whose characters are a syllable or more: 学校 and 학교 are whole words, as in Chinese."""
MIN_CLIPS = 5


class SelectParams(Params):
    """Which words, and how many of each."""

    min_graphemes: int = Field(0, ge=0, description="fewest grapheme clusters of a word; 0: 3, or 2 in Chinese, Japanese, Korean")
    min_clips: int = Field(MIN_CLIPS, ge=1, description="fewest clips of a keyword")
    max_clips: int = Field(0, ge=0, description="most clips of a keyword, taken in turn from its speakers; 0 for all")
    keywords: list[str] = Field(
        [], description="own list: words, words with * and ?, phrases; empty: every word. A word named may be short"
    )
    text: dict[str, Any] = Field({}, description="how the language is written (the registry's `text`): list entries follow it")
    min_score: float | None = Field(None, description="least score of the aligner; null: its own faults decide")
    min_word_s: float = Field(0.06, ge=0, description="shortest word, seconds: two frames a sound are no word")
    max_word_s: float = Field(3.0, gt=0, description="longest word or phrase, seconds")


@dataclass(frozen=True, slots=True)
class Found:
    """One occurrence that passed the gates of single words."""

    sentence_id: str
    index: int
    tokens: int
    word: str
    start_s: float
    end_s: float
    score: float | None
    char_start: int
    char_end: int

    @property
    def clip_id(self) -> str:
        """Its clip's id."""
        last = f"-{self.index + self.tokens - 1}" if self.tokens > 1 else ""
        return f"{self.sentence_id}-{self.index}{last}"


@dataclass(slots=True)
class Tally:
    """What is known of one word."""

    clips: int = 0
    seconds: float = 0.0
    refused: dict[Reason, list[float]] = field(default_factory=dict)
    """Reason → [occurrences, seconds]."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """What selection needs to know of a sentence."""

    file: int
    speaker_id: str
    alone: bool
    duration_s: float


@stage(
    "select",
    version=1,
    params=SelectParams,
    unit="keyword",
    reads=["sentences", "sentence_words", "rejections"],
    writes=["keywords", "picks"],
    libraries=["regex"],
)
def run(ctx: Context[SelectParams]) -> None:
    """Inputs: folders of ``prepare`` (sentences) and of an aligner (sentence_words).

    File n of ``picks`` is for the n-th file of ``sentences``, in the order of the inputs.

    Raises:
        EmptyInput: no sentences.
        StageError: sentences of several languages, or words of sentences that are not there.
    """
    sentences, language = _sentences(ctx)
    unfit = {r["id"] for r in ctx.rows("rejections", columns=["unit", "id"]) if r["unit"] == "word"}
    wanted = Wanted(ctx.params.keywords, language, ctx.params.text)
    short = MIN_GRAPHEMES_SYLLABLES if language.partition("-")[0] in SYLLABLES else MIN_GRAPHEMES
    least = ctx.params.min_graphemes or short
    tallies: dict[str, Tally] = {}
    for found, why in _occurrences(ctx, sentences, unfit, wanted):
        tally = tallies.setdefault(found.word, Tally())
        if why is None:
            tally.clips += 1
            tally.seconds += found.end_s - found.start_s
        else:
            refused = tally.refused.setdefault(why, [0, 0.0])
            refused[0] += 1
            refused[1] += max(0.0, found.end_s - found.start_s)
    verdicts = {word: _verdict(word, tally, wanted, least, ctx.params.min_clips) for word, tally in tallies.items()}
    kept = {word for word, why in verdicts.items() if why is None}
    picked = _pick(ctx, sentences, unfit, wanted, kept, language)
    for word in sorted(tallies):
        _account(ctx, word, tallies[word], verdicts[word], picked.get(word, (0, 0.0)))
    report = wanted.report({word: tally.clips for word, tally in tallies.items()}, verdicts, ctx.params.min_clips)
    ctx.path("report.json").write_text(json.dumps(report, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    ctx.metrics.update(
        keywords=len(kept), clips=sum(n for n, _ in picked.values()), speech_s=round(sum(s for _, s in picked.values()), 3),
        not_there=[entry["keyword"] for entry in report["not_there"]],
    )  # fmt: skip


def _sentences(ctx: Context[SelectParams]) -> tuple[dict[str, Sentence], str]:
    """sentence_id → what is known of it; and their language."""
    found: dict[str, Sentence] = {}
    languages: set[str] = set()
    columns = ["sentence_id", "speaker_id", "origin", "duration_s", "language"]
    speakers: dict[str, str] = {}
    for number, path in enumerate(ctx.files("sentences")):
        for row in iterate_files([path], "sentences", columns):
            speaker = speakers.setdefault(row["speaker_id"], row["speaker_id"])
            alone = row["origin"] == "spoken_alone"
            found[row["sentence_id"]] = Sentence(number, speaker, alone, row["duration_s"])
            languages.add(row["language"])
        ctx.write_table("picks", TABLES["picks"].schema.empty_table(), number)
    if not found:
        raise EmptyInput("no sentences in the inputs")
    if len(languages) > 1:
        raise StageError(f"sentences in {', '.join(sorted(languages))}: keywords are selected a language at a time")
    return found, languages.pop()


def _occurrences(
    ctx: Context[SelectParams], sentences: dict[str, Sentence], unfit: set[str], wanted: Wanted
) -> Iterator[tuple[Found, Reason | None]]:
    """Every occurrence of a word, and of a phrase that is wanted, with the reason why it cannot be cut."""
    columns = ["sentence_id", "index", "word", "start_s", "end_s", "score", "fault", "char_start", "char_end"]
    group: list[dict[str, Any]] = []
    for row in ctx.rows("sentence_words", columns=columns):
        if group and row["sentence_id"] != group[0]["sentence_id"]:
            yield from _of_sentence(ctx.params, group, sentences, unfit, wanted)
            group = []
        group.append(row)
    if group:
        yield from _of_sentence(ctx.params, group, sentences, unfit, wanted)


def _of_sentence(
    p: SelectParams, rows: list[dict[str, Any]], sentences: dict[str, Sentence], unfit: set[str], wanted: Wanted
) -> Iterator[tuple[Found, Reason | None]]:
    sentence_id = rows[0]["sentence_id"]
    sentence = sentences.get(sentence_id)
    if sentence is None:
        raise StageError(f"sentence_words holds words of sentence {sentence_id}, which no input holds")
    checked = []
    for r in rows:
        found = Found(
            sentence_id, r["index"], 1, unicodedata.normalize("NFC", r["word"]), r["start_s"], r["end_s"], r["score"],
            r["char_start"], r["char_end"],
        )  # fmt: skip
        why = _gate(p, found, r["fault"], sentence, found.clip_id in unfit)
        checked.append((found, why))
        if wanted.everything or wanted.word(found.word):
            yield found, why
    for first, count, phrase in wanted.phrases([f.word for f, _ in checked], [f.index for f, _ in checked]):
        parts = checked[first : first + count]
        scores = [f.score for f, _ in parts if f.score is not None]
        whole = Found(
            sentence_id, parts[0][0].index, count, phrase, parts[0][0].start_s, parts[-1][0].end_s,
            min(scores) if scores else None, parts[0][0].char_start, parts[-1][0].char_end,
        )  # fmt: skip
        why = next((w for _, w in parts if w is not None), None)
        yield whole, why or (Reason.WORD_IMPLAUSIBLE if whole.end_s - whole.start_s > p.max_word_s else None)


def _gate(p: SelectParams, found: Found, fault: str | None, sentence: Sentence, unfit: bool) -> Reason | None:
    seconds = found.end_s - found.start_s
    if unfit:
        return Reason.FOREIGN_CHARACTERS
    if fault is not None or not p.min_word_s <= seconds <= p.max_word_s:
        return Reason.WORD_IMPLAUSIBLE
    if found.start_s < 0 or found.end_s > sentence.duration_s + 0.001:
        return Reason.WORD_IMPLAUSIBLE
    if p.min_score is not None and (found.score is None or found.score < p.min_score):
        return Reason.LOW_ALIGNMENT_SCORE
    return None


def _verdict(word: str, tally: Tally, wanted: Wanted, least: int, min_clips: int) -> Reason | None:
    """Why a word is no keyword."""
    if not wanted.exact(word) and graphemes(word) < least:
        return Reason.WORD_SHORT
    return Reason.WORD_RARE if tally.clips < min_clips else None


@lru_cache(maxsize=1 << 16)
def graphemes(word: str) -> int:
    r"""Grapheme clusters (UAX 29) that hold a letter, mark or digit.

    >>> graphemes("e\u0301t\u00e9"), graphemes("don't"), graphemes("中国")
    (3, 4, 2)
    """
    return sum(1 for c in regex.findall(r"\X", word) if regex.search(r"[\p{L}\p{N}]", c))


def _pick(
    ctx: Context[SelectParams], sentences: dict[str, Sentence], unfit: set[str], wanted: Wanted, kept: set[str], language: str
) -> dict[str, tuple[int, float]]:
    """Write ``picks`` and ``keywords``; word → (clips, seconds) picked."""
    chosen = _capped(ctx, sentences, unfit, wanted, kept) if ctx.params.max_clips else None
    texts = _Texts(ctx)
    counts: dict[str, list[Any]] = {}
    total: dict[str, int] = {}
    for found, why in _occurrences(ctx, sentences, unfit, wanted):
        if why is not None or found.word not in kept:
            continue
        total[found.word] = total.get(found.word, 0) + 1
        if chosen is not None and found.clip_id not in chosen:
            continue
        sentence = sentences[found.sentence_id]
        ctx.write(
            "picks",
            {
                "clip_id": found.clip_id, "sentence_id": found.sentence_id, "index": found.index, "tokens": found.tokens,
                "word": found.word, "word_raw": texts.piece(sentence.file, found), "start_s": found.start_s,
                "end_s": found.end_s, "score": found.score,
            },
            sentence.file,
        )  # fmt: skip
        count = counts.setdefault(found.word, [0, 0.0, 0, set()])
        count[0] += 1
        count[1] += found.end_s - found.start_s
        count[2] += sentence.alone
        count[3].add(sentence.speaker_id)
    for word in sorted(counts):
        clips, seconds, alone, speakers = counts[word]
        row = {
            "language": language, "word": word, "graphemes": graphemes(word), "tokens": word.count(" ") + 1, "clips": clips,
            "spoken_alone": alone, "speakers": len(speakers), "speech_s": seconds, "left_out": total[word] - clips,
        }  # fmt: skip
        ctx.write("keywords", row)
    return {word: (count[0], count[1]) for word, count in counts.items()}


class _Texts:
    """``text_raw`` of the sentences of one file at a time: the words come in the files' order."""

    def __init__(self, ctx: Context[SelectParams]):
        self._paths, self._number = ctx.files("sentences"), -1
        self._texts: dict[str, str] = {}

    def piece(self, number: int, found: Found) -> str:
        """What a word's piece of its sentence looks like as written."""
        if number != self._number:
            rows = iterate_files([self._paths[number]], "sentences", ["sentence_id", "text_raw"])
            self._number, self._texts = number, {r["sentence_id"]: r["text_raw"] for r in rows}
        return self._texts[found.sentence_id][found.char_start : found.char_end]


def _capped(
    ctx: Context[SelectParams], sentences: dict[str, Sentence], unfit: set[str], wanted: Wanted, kept: set[str]
) -> set[str]:
    """Ids of the clips under the cap: in turn from each speaker, in an order that depends on ids only."""
    held: dict[str, dict[str, list[tuple[bytes, str]]]] = {}
    for found, why in _occurrences(ctx, sentences, unfit, wanted):
        if why is None and found.word in kept:
            order = hashlib.sha256(found.clip_id.encode()).digest()[:8]
            speaker = sentences[found.sentence_id].speaker_id
            held.setdefault(found.word, {}).setdefault(speaker, []).append((order, found.clip_id))
    chosen: set[str] = set()
    for speakers in held.values():
        ranked = [(rank, order, clip_id) for mine in speakers.values() for rank, (order, clip_id) in enumerate(sorted(mine))]
        chosen.update(clip_id for _, _, clip_id in sorted(ranked)[: ctx.params.max_clips])
    return chosen


def _account(ctx: Context[SelectParams], word: str, tally: Tally, verdict: Reason | None, picked: tuple[int, float]) -> None:
    """Every second in which the word is spoken is picked or refused."""
    ctx.enter(word, tally.seconds + sum(s for _, s in tally.refused.values()))
    occurrences = tally.clips + sum(n for n, _ in tally.refused.values())
    for reason, (count, seconds) in sorted(tally.refused.items()):
        ctx.reject(word, reason, f"{count:.0f} of its {occurrences:.0f} occurrences", end_s=seconds)
    if verdict is not None:
        what = f"{graphemes(word)} grapheme clusters" if verdict == Reason.WORD_SHORT else f"{tally.clips} clips"
        if tally.clips or not tally.refused:
            ctx.reject(word, verdict, what, end_s=tally.seconds)
        return
    clips, seconds = picked
    ctx.keep(word, seconds)
    if clips < tally.clips:
        ctx.reject(word, Reason.WORD_CAP, f"{tally.clips - clips} of {tally.clips} clips", end_s=tally.seconds - seconds)
