"""What :mod:`align.segment` takes and gives."""

from __future__ import annotations

from dataclasses import dataclass, field

from align.segment_cuts import CutCosts
from stagekit.tables import SAMPLE_RATE, Reason


@dataclass(frozen=True)
class AlignedWord:
    """One accepted word.

    Attributes:
        token: its number in the document's tokens.
        word: spoken form, lower case.
        char_start: start of its piece of the document's text.
        char_end: end of its piece.
        start_s: start in the recording, seconds.
        end_s: end in the recording, seconds.
        score: log-likelihood ratio per frame, higher is better.
        anchored: whether the search found it in the hypothesis.
    """

    token: int
    word: str
    char_start: int
    char_end: int
    start_s: float
    end_s: float
    score: float
    anchored: bool


@dataclass(frozen=True)
class SegmentParams:
    """Limits of :func:`segment`.

    Attributes:
        min_s: shortest clip, padding included.
        max_s: longest clip, padding included.
        pad_s: padding at each end, where there is silence enough.
        short_pad_s: the most of it, where only more silence makes words long enough for a clip.
        min_pause_s: a shorter gap between words is no pause: stop closures last up to 100 ms.
        max_pause_s: a longer gap between words always parts segments.
        inner_speech_s: voice activity of this length that touches a word, between words that follow each other in the text, is
            speech that the text lacks. Shorter: breath and what the detector bridges.
        edge_speech_s: the same where words were rejected, or where it touches no word.
        glue_s: silence shorter than this parts nothing (the detector's frames are 32 ms).
        costs: weights of the cuts.
    """

    min_s: float = 1.0
    max_s: float = 15.0
    pad_s: float = 0.15
    short_pad_s: float = 0.4
    min_pause_s: float = 0.1
    max_pause_s: float = 2.0
    inner_speech_s: float = 0.5
    edge_speech_s: float = 0.15
    glue_s: float = 0.05
    costs: CutCosts = field(default_factory=CutCosts)


DEFAULT = SegmentParams()


@dataclass(frozen=True)
class Stretch:
    """A part of the recording that is in no segment: [start_sample, end_sample) and why."""

    start_sample: int
    end_sample: int
    reason: Reason
    detail: str

    @property
    def start_s(self) -> float:
        """Start, seconds."""
        return self.start_sample / SAMPLE_RATE

    @property
    def end_s(self) -> float:
        """End, seconds."""
        return self.end_sample / SAMPLE_RATE


@dataclass(frozen=True)
class SegmentDraft:
    """A segment before scoring; columns as in ``stagekit.tables.SEGMENTS``.

    Attributes:
        start_sample: first sample of the clip, padding included.
        end_sample: one past its last sample.
        speech_start_sample: first sample of the first word.
        speech_end_sample: one past the last sample of the last word.
        char_start: start of its piece of the text, opening quotes and brackets included.
        char_end: end of its piece, closing punctuation included.
        text: spoken form.
        text_raw: ``text[char_start:char_end]`` of the document.
        cut_at_pause: both ends lie in a pause of at least ``min_pause_s`` or at the recording's ends.
        pause_before_s: silence before the first word, up to the next word or other speech.
        pause_after_s: silence after the last word.
        words: its words.
    """

    start_sample: int
    end_sample: int
    speech_start_sample: int
    speech_end_sample: int
    char_start: int
    char_end: int
    text: str
    text_raw: str
    cut_at_pause: bool
    pause_before_s: float
    pause_after_s: float
    words: tuple[AlignedWord, ...]

    @property
    def speech_start_s(self) -> float:
        """Start of the first word, seconds."""
        return self.speech_start_sample / SAMPLE_RATE

    @property
    def speech_end_s(self) -> float:
        """End of the last word, seconds."""
        return self.speech_end_sample / SAMPLE_RATE
