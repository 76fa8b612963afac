"""Schemas of every table that crosses a stage boundary.

One source of truth: readers and writers validate against these schemas, and ``docs/data-contract.md`` is generated from
them (``make docs``). A column is described where it is declared. Times are seconds (``_s``) from the start of the
recording as decoded; audio positions that must be exact are samples at 16 kHz mono (``_sample``). Ids are
content-addressed: they never depend on filters, order or the run that made them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

import pyarrow as pa

SAMPLE_RATE = 16_000
"""Hz; the rate at which every ``_sample`` position counts."""


class Reason(StrEnum):
    """Why a unit stopped. One closed list, so that ledgers of different stages add up."""

    # items and licenses
    LICENSE_MISSING = "license_missing"
    LICENSE_UNKNOWN = "license_unknown"
    LICENSE_NONCOMMERCIAL = "license_noncommercial"
    LICENSE_NO_DERIVATIVES = "license_no_derivatives"
    LICENSE_CONFLICT = "license_conflict"
    ITEM_DARK = "item_dark"
    ITEM_RESTRICTED = "item_restricted"
    ITEM_UNREADABLE = "item_unreadable"
    NO_AUDIO = "no_audio"
    NO_CAPTION = "no_caption"
    # recordings
    DOWNLOAD_FAILED = "download_failed"
    CHECKSUM_MISMATCH = "checksum_mismatch"
    AUDIO_EMPTY = "audio_empty"
    AUDIO_CORRUPT = "audio_corrupt"
    AUDIO_TRUNCATED = "audio_truncated"
    AUDIO_TOO_SHORT = "audio_too_short"
    AUDIO_TOO_LONG = "audio_too_long"
    AUDIO_SILENT = "audio_silent"
    # documents
    CAPTION_UNREADABLE = "caption_unreadable"
    CAPTION_EMPTY = "caption_empty"
    CAPTION_MACHINE = "caption_machine"
    TEXT_WRONG_LANGUAGE = "text_wrong_language"
    # alignment (parts of a recording, in seconds)
    SILENCE = "silence"
    NO_SPEECH = "no_speech"
    NOT_IN_TRANSCRIPT = "not_in_transcript"
    TRANSCRIPT_NOT_FOUND = "transcript_not_found"
    LOW_ALIGNMENT_SCORE = "low_alignment_score"
    UNTRANSCRIBED_EDGE = "untranscribed_edge"
    UNCLEAR_CUT = "unclear_cut"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    SPEECH_WRONG_LANGUAGE = "speech_wrong_language"
    RECOGNIZER_FAILED = "recognizer_failed"
    CRASHED = "crashed"
    # sentences and their words
    ROW_UNREADABLE = "row_unreadable"
    ROW_DUPLICATE = "row_duplicate"
    AUDIO_MISSING = "audio_missing"
    ARCHIVE_MEMBER = "archive_member"
    SPEECH_RATE = "speech_rate"
    SENTENCE_EMPTY = "sentence_empty"
    NUMERAL = "numeral"
    FOREIGN_CHARACTERS = "foreign_characters"
    UNALIGNED = "unaligned"
    # keywords
    WORD_IMPLAUSIBLE = "word_implausible"
    WORD_SHORT = "word_short"
    WORD_RARE = "word_rare"
    WORD_NOT_ASKED = "word_not_asked"
    WORD_CAP = "word_cap"
    # selection and release
    DUPLICATE_TEXT = "duplicate_text"
    DUPLICATE_AUDIO = "duplicate_audio"
    SPLIT_CONFLICT = "split_conflict"
    POLICY = "policy"
    TAKEDOWN = "takedown"


@dataclass(frozen=True)
class Column:
    """One column: its name, Arrow type, whether it may be null, and what it holds (units included)."""

    name: str
    type: pa.DataType
    doc: str
    nullable: bool = False


ROW_GROUP = 5_000
"""Rows of a table that are buffered and written together; bounds a writer's memory."""
AUDIO_ROW_GROUP = 500
"""The same where a row holds a clip's file: 20 MB. Of groups of 5,000 an open file kept 70 MB until it was closed, and a language
has hundreds."""


@dataclass(frozen=True)
class Table:
    """A versioned table: ``key`` names the columns that identify a row."""

    name: str
    row: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    version: int = 1
    seconds: str | None = field(default=None)
    """Expression-free hint for the ledger: the column with a row's source seconds, or None."""
    row_group: int = ROW_GROUP
    """Rows buffered and written together: fewer where a row is large."""

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema, with table name and version in its metadata."""
        return pa.schema(
            [pa.field(c.name, c.type, nullable=c.nullable) for c in self.columns],
            metadata={"speechmill.table": self.name, "speechmill.version": str(self.version)},
        )

    @property
    def names(self) -> list[str]:
        """Column names in order."""
        return [c.name for c in self.columns]


_s = pa.string()
_f = pa.float64()
_i = pa.int64()

LICENSE_COLUMNS = (
    Column("license_family", _s, "`by`, `by-sa`, `cc0`, `pd` or `us-gov`"),
    Column("license_version", _s, "such as `4.0`; null where the family has none", True),
    Column("license_jurisdiction", _s, "ported license's jurisdiction, such as `de`; null if unported", True),
    Column("license_url", _s, "the URL as the source stated it"),
    Column("license_evidence", _s, "where it stood: file and field, or metadata URL and field, with the literal value"),
    Column("license_seen_at", _s, "date it was read, ISO 8601 (YYYY-MM-DD)"),
)

ITEMS = Table(
    "items",
    "one source item; many items may hold the same recording",
    ("item_id",),
    (
        Column("item_id", _s, "`<source>:<identifier>/<audio file>`, unique over all sources"),
        Column("source", _s, "`folder`, `internet_archive`, …"),
        Column("identifier", _s, "the source's own id of the item (Internet Archive identifier, `metadata.jsonl` id)"),
        Column("url", _s, "landing page of the item", True),
        Column("title", _s, "title", True),
        Column("creator", _s, "creator as stated; several are joined with '; '", True),
        Column("language", _s, "language the source claims, BCP 47", True),
        *LICENSE_COLUMNS,
        Column("audio_uri", _s, "where fetch gets the audio: path, file://, gs:// or http(s)://"),
        Column("audio_bytes", _i, "size the source states", True),
        Column("audio_md5", _s, "md5 the source states", True),
        Column("caption_uri", _s, "where fetch gets the caption or text"),
        Column("caption_kind", _s, "`srt`, `vtt` or `txt`"),
        Column("claimed_duration_s", _f, "duration the source states; null if it states none", True),
        Column("added_at", _s, "date the source added the item, ISO 8601", True),
        Column("extra", _s, "all other metadata of the source, JSON"),
        Column("recording_id", _s, "sha256 of the audio bytes; null until fetched", True),
        Column("document_id", _s, "sha256(recording_id + '\\n' + sha256 of the caption bytes); null until fetched", True),
    ),
    seconds="claimed_duration_s",
)

RECORDINGS = Table(
    "recordings",
    "one audio file, stored once whatever number of items hold it",
    ("recording_id",),
    (
        Column("recording_id", _s, "sha256 of the file's bytes, hex"),
        Column("uri", _s, "`<root>/recordings/<source>/<recording_id>.<ext>`"),
        Column("bytes", _i, "file size"),
        Column("duration_s", _f, "decoded samples / 16000"),
        Column("samples", _i, "samples after decoding to 16 kHz mono"),
        Column("sample_rate", _i, "Hz, of the file"),
        Column("channels", _i, "channels, of the file"),
        Column("codec", _s, "as ffmpeg names it"),
        Column("container", _s, "as ffmpeg names it"),
        Column("bit_rate", _i, "bit/s, null if unknown", True),
        Column("fingerprint", pa.list_(pa.uint32()), "audio identity: 32-bit sub-fingerprints (ingest.identity)"),
    ),
    seconds="duration_s",
)

TOKEN = pa.struct([("word", _s), ("char_start", pa.int32()), ("char_end", pa.int32())])

DOCUMENTS = Table(
    "documents",
    "one caption or text of one recording",
    ("document_id",),
    (
        Column("document_id", _s, "sha256(recording_id + '\\n' + sha256 of the caption bytes), hex"),
        Column("recording_id", _s, "the recording it belongs to"),
        Column("language", _s, "language claimed, BCP 47"),
        Column("text_language", _s, "language of the text as identified, BCP 47; null if too short to tell", True),
        Column("text_language_score", _f, "its probability, 0–1", True),
        Column("caption_kind", _s, "`srt`, `vtt` or `txt`"),
        Column("caption_provenance", _s, "`human`, `machine` or `unknown`"),
        Column("provenance_evidence", _s, "the rule that decided, with what it saw"),
        Column("caption_raw", _s, "the caption file, decoded to Unicode, otherwise untouched"),
        Column("text", _s, "speech only, as written (case, punctuation, digits): cues joined by blanks or newlines"),
        Column(
            "tokens",
            pa.list_(TOKEN),
            "spoken-form words, lower case; [char_start, char_end) is the piece of `text` each stands for "
            "(the words of '$5.50' share one piece)",
        ),
    ),
)

HYPOTHESES = Table(
    "hypotheses",
    "one word that a recogniser heard",
    ("document_id", "kind", "index"),
    (
        Column("document_id", _s, "document the recogniser was biased to, or is to be compared with"),
        Column("recording_id", _s, "recording"),
        Column("kind", _s, "`biased` (language model of the document) or `open` (without it)"),
        Column("index", _i, "position in time order, from 0"),
        Column("word", _s, "lower case"),
        Column("start_s", _f, "start"),
        Column("end_s", _f, "end"),
        Column("score", _f, "posterior or acoustic log score per frame; recogniser-specific", True),
    ),
)

EMISSIONS = Table(
    "emissions",
    "one stretch of what a CTC model said, frame by frame; between stretches nothing was decoded",
    ("document_id", "first_frame"),
    (
        Column("document_id", _s, "document decoded with it"),
        Column("recording_id", _s, "recording"),
        Column("first_frame", _i, "its first frame, counted from the recording's start in strides"),
        Column("frames", _i, "frames"),
        Column(
            "log_probs", pa.binary(), "a byte a frame and label: thirty-seconds of a nat below the frame's best; 255: 8 or more"
        ),
        Column("labels", pa.list_(_s), "the model's tokens, in the order of its outputs"),
        Column("blank", _i, "CTC's blank among them"),
        Column("stride", _i, "samples between frames, 16 kHz"),
        Column("field", _i, "samples that a frame is made of"),
    ),
    row_group=64,
)

SPEECH = Table(
    "speech",
    "one stretch of a recording that holds speech (voice activity)",
    ("recording_id", "start_sample"),
    (
        Column("document_id", _s, "document decoded with it"),
        Column("recording_id", _s, "recording"),
        Column("start_sample", _i, "first sample, 16 kHz"),
        Column("end_sample", _i, "one past the last sample, 16 kHz"),
    ),
)

WORDS = Table(
    "words",
    "one aligned token",
    ("segment_id", "index"),
    (
        Column("segment_id", _s, "segment it stands in"),
        Column("index", _i, "position in the segment, from 0"),
        Column("char_start", _i, "start of its piece in the document's `text`"),
        Column("char_end", _i, "end of its piece"),
        Column("word", _s, "spoken form, lower case"),
        Column("word_raw", _s, "the piece of `text`"),
        Column("start_s", _f, "start in the recording"),
        Column("end_s", _f, "end in the recording"),
        Column("score", _f, "log-likelihood ratio, more is better, 0 is par: per frame against a free phone loop; of a CTC model "
               "per letter against its best tokens"),
        Column("timed_by", _s, "stage whose start and end these are: `align`, or `refine`"),
    ),
)

SEGMENTS = Table(
    "segments",
    "one utterance of at most 15 s",
    ("segment_id",),
    (
        Column("segment_id", _s, "sha256(document_id, start_sample, end_sample), hex"),
        Column("document_id", _s, "document"),
        Column("recording_id", _s, "recording"),
        Column("language", _s, "language claimed, BCP 47"),
        Column("start_sample", _i, "first sample of the clip as cut, padding included, 16 kHz"),
        Column("end_sample", _i, "one past the last sample of the clip, 16 kHz"),
        Column("speech_start_s", _f, "start of the first word: the unpadded source seconds that the ledger counts"),
        Column("speech_end_s", _f, "end of the last word"),
        Column("duration_s", _f, "(end_sample - start_sample) / 16000"),
        Column("char_start", _i, "start of its piece in the document's `text`"),
        Column("char_end", _i, "end of its piece"),
        Column("text", _s, "spoken form, lower case, words separated by one blank"),
        Column("text_raw", _s, "the piece of the document's `text`: case, punctuation and digits as written"),
        Column("cut_at_pause", pa.bool_(), "both ends lie in a pause of at least 100 ms or at the recording's ends"),
        Column("pause_before_s", _f, "silence before the first word"),
        Column("pause_after_s", _f, "silence after the last word"),
        Column("alignment_score", _f, "mean over words of words.score, weighted by frames: higher is better"),
        Column("alignment_score_min", _f, "lowest word score, smoothed over three words"),
        Column("anchored_ratio", _f, "share of its words that the search found in the biased hypothesis, 0–1"),
        Column(
            "language_score", _f, "log likelihood per frame above that of unrelated English words, or of its letters mixed", True
        ),
        Column("hypothesis", _s, "what the recogniser heard without the document's language model", True),
        Column("cer", _f, "character error rate of `text` against `hypothesis` (jiwer), 0 is best, may pass 1", True),
        Column("wer", _f, "word error rate, likewise", True),
        Column("edge_silence_s", _f, "silence kept at both ends, the smaller of the two", True),
        Column("speech_ratio", _f, "share of the clip that is speech (voice activity), 0–1", True),
        Column("snr_db", _f, "level of speech over level of non-speech, dB; null if there is no non-speech", True),
        Column("loudness_lufs", _f, "integrated loudness, ITU-R BS.1770; null if too quiet or short to gate", True),
        Column("synthetic_voice_score", _f, "hint that the voice is a synthesiser, 0–1; see align's README for its limits", True),
    ),
)

READINGS = Table(
    "readings",
    "one row of a source's list of validated clips, with the clip's bytes: what the source says, nothing decoded yet",
    ("reading_id",),
    (
        Column("reading_id", _s, "`<source>:<language>/<file name of the clip>`"),
        Column("source", _s, "`common_voice`, `tsv`, …"),
        Column("source_version", _s, "release of the source, such as `18.0`"),
        Column("clip", _s, "file name of the clip in the source"),
        Column("audio_id", _s, "sha256 of the clip's bytes, hex"),
        Column("language", _s, "BCP 47"),
        Column("speaker_id", _s, "speaker as the source names them (Common Voice: client_id)"),
        Column("gender", _s, "as stated; null if not", True),
        Column("age", _s, "as stated; null if not", True),
        Column("accent", _s, "as stated; null if not", True),
        Column("up_votes", _i, "votes for it; null where the source has none", True),
        Column("down_votes", _i, "votes against it", True),
        Column("segment", _s, "part of the source's campaign it belongs to (Common Voice: `Benchmark` marks single words)", True),
        Column("text", _s, "the sentence as the source's file has it, quoting undone"),
        Column("claimed_duration_s", _f, "duration that the source states; null if it states none", True),
        *LICENSE_COLUMNS,
        Column("audio", pa.large_binary(), "the clip's file, byte for byte"),
    ),
    seconds="claimed_duration_s",
    row_group=AUDIO_ROW_GROUP,
)

SPEAKER_LINKS = Table(
    "speaker_links",
    "two speaker ids that handed in the very same file, or of one clip in two releases: one person, or one account",
    ("speaker_id", "other_speaker_id", "audio_id"),
    (
        Column("speaker_id", _s, "the smaller id"),
        Column("other_speaker_id", _s, "the other"),
        Column("audio_id", _s, "sha256 of that file"),
        Column("clip", _s, "its name under the first"),
        Column("other_clip", _s, "its name under the other"),
    ),
)

SENTENCES = Table(
    "sentences",
    "one short clip of one speaker and the sentence it holds (Common Voice and its like)",
    ("sentence_id",),
    (
        Column("sentence_id", _s, "sha256(audio_id + '\\n' + text_raw), hex"),
        Column("audio_id", _s, "sha256 of the clip's bytes, hex"),
        Column("source", _s, "`common_voice`, `tsv`, …"),
        Column("source_version", _s, "release of the source that first brought it, such as `18.0`"),
        Column("clip", _s, "file name of the clip in the source"),
        Column("language", _s, "BCP 47"),
        Column("speaker_id", _s, "speaker as the source names them (Common Voice: client_id)"),
        Column("gender", _s, "as stated; null if not", True),
        Column("age", _s, "as stated; null if not", True),
        Column("accent", _s, "as stated; null if not", True),
        Column("up_votes", _i, "votes for it; null where the source has none", True),
        Column("down_votes", _i, "votes against it", True),
        Column("text_raw", _s, "the sentence as written, NFC"),
        Column("tokens", pa.list_(TOKEN), "words to align; [char_start, char_end) is the piece of `text_raw` each stands for"),
        Column("origin", _s, "`cut` (a sentence), or `spoken_alone` (a recording of a single word)"),
        Column("duration_s", _f, "decoded samples / 16000"),
        Column("samples", _i, "samples after decoding to 16 kHz mono"),
        Column("codec", _s, "as ffmpeg names it"),
        *LICENSE_COLUMNS,
    ),
    seconds="duration_s",
)

SENTENCE_AUDIO = Table(
    "sentence_audio",
    "the bytes of one clip, in the order of `sentences` and in the same shard (millions of small objects are slow anywhere)",
    ("sentence_id",),
    (
        Column("sentence_id", _s, "sentence"),
        Column("audio", pa.large_binary(), "the clip's file, byte for byte"),
    ),
    row_group=AUDIO_ROW_GROUP,
)

SENTENCE_WORDS = Table(
    "sentence_words",
    "one aligned token of a sentence, from either aligner",
    ("sentence_id", "index"),
    (
        Column("sentence_id", _s, "sentence it stands in"),
        Column("index", _i, "position in the sentence's `tokens`, from 0"),
        Column("char_start", _i, "start of its piece in `text_raw`"),
        Column("char_end", _i, "end of its piece"),
        Column("word", _s, "the token"),
        Column("word_raw", _s, "the piece of `text_raw`"),
        Column("start_s", _f, "start in the clip as decoded"),
        Column("end_s", _f, "end in the clip"),
        Column("score", _f, "how well the sound fits the word, per frame; comparable within one model; more is better", True),
        Column("fault", _s, "why it is implausible (score, duration); null if nothing speaks against it", True),
        Column("phones", pa.list_(pa.struct([("phone", _s), ("start_s", _f), ("end_s", _f)])), "its phones or graphemes"),
    ),
)

KEYWORDS = Table(
    "keywords",
    "one word, or phrase, that clips are cut for",
    ("language", "word"),
    (
        Column("language", _s, "BCP 47"),
        Column("word", _s, "spoken form as the language's normaliser writes it, NFC; words of a phrase are separated by a blank"),
        Column("graphemes", _i, "grapheme clusters in it, blanks not counted"),
        Column("tokens", _i, "1, or the words of a phrase"),
        Column("clips", _i, "clips picked"),
        Column("spoken_alone", _i, "of these, recordings of just that word"),
        Column("speakers", _i, "different speakers among them"),
        Column("speech_s", _f, "seconds of the word itself in these clips: what is spoken, without context or padding"),
        Column("left_out", _i, "clips beyond the cap; in a release also those that its gates kept out"),
    ),
    seconds="speech_s",
)

PICKS = Table(
    "picks",
    "one word of one sentence that becomes a clip; a file has those of one file of `sentences`",
    ("clip_id",),
    (
        Column("clip_id", _s, "`<sentence_id>-<index>`, for a phrase `<sentence_id>-<index>-<last index>`"),
        Column("sentence_id", _s, "sentence it stands in"),
        Column("index", _i, "position of its (first) token in the sentence's `tokens`"),
        Column("tokens", _i, "1, or the tokens of a phrase"),
        Column("word", _s, "the keyword"),
        Column("word_raw", _s, "the piece of `text_raw`"),
        Column("start_s", _f, "start in the sentence's audio as decoded"),
        Column("end_s", _f, "end"),
        Column("score", _f, "the aligner's; of a phrase the lowest", True),
    ),
)

CLIPS = Table(
    "clips",
    "one spoken word, cut to one second",
    ("clip_id",),
    (
        Column("clip_id", _s, "`<sentence_id>-<index>`, for a phrase `<sentence_id>-<index>-<last index>`: safe as a file name"),
        Column("sentence_id", _s, "sentence it was cut from"),
        Column("index", _i, "position of its (first) token in the sentence's `tokens`"),
        Column("tokens", _i, "1, or the tokens of a phrase"),
        Column("word", _s, "the keyword"),
        Column("word_raw", _s, "as the sentence writes it"),
        Column("language", _s, "BCP 47"),
        Column("source", _s, "`common_voice`, `tsv`, …"),
        Column("source_version", _s, "release of the source that first brought the sentence"),
        Column("source_clip", _s, "file name of the sentence's clip in the source"),
        Column("speaker_id", _s, "speaker as the source names them"),
        Column("gender", _s, "as stated; null if not", True),
        Column("age", _s, "as stated; null if not", True),
        Column("accent", _s, "as stated; null if not", True),
        Column("origin", _s, "`cut` (from a sentence), or `spoken_alone` (a recording of just that word)"),
        Column("start_sample", _i, "where in the sentence's audio the second begins, 16 kHz; may be negative"),
        Column("padding_before", _i, "samples of digital silence before the sentence's audio begins, 16 kHz"),
        Column("padding_after", _i, "samples of digital silence after it ends, 16 kHz"),
        Column("word_start_sample", _i, "first sample of the word in the second, 16 kHz; negative if it begins before it"),
        Column("word_end_sample", _i, "one past its last sample, 16 kHz; over 16000 if it ends after it"),
        Column("word_start_s", _f, "word_start_sample / 16000"),
        Column("word_end_s", _f, "word_end_sample / 16000"),
        Column("speech_s", _f, "duration of the word: what the ledger counts"),
        Column("long_word", pa.bool_(), "the word is longer than the second, which lacks its ends: see the whole audio"),
        Column("whole_start_sample", _i, "long words: where in the sentence's audio the whole word's audio begins, 16 kHz", True),
        Column("whole_samples", _i, "long words: its samples, 16 kHz", True),
        Column("score", _f, "the aligner's; comparable inside one model only", True),
        Column("encoder", _s, "what made the Opus file, with version and settings"),
        *LICENSE_COLUMNS,
    ),
    seconds="speech_s",
)

CLIP_AUDIO = Table(
    "clip_audio",
    "the audio of one clip, in the order of `clips` and in the same shard",
    ("clip_id",),
    (
        Column("clip_id", _s, "clip"),
        Column("opus", pa.large_binary(), "Ogg Opus, 48 kHz mono, 48,000 samples: encoded once, from the decoded source"),
        Column("flac", pa.large_binary(), "FLAC, 16 kHz mono 16 bit, 16,000 samples: the same samples resampled, never Opus"),
        Column("whole_opus", pa.large_binary(), "long words: Ogg Opus of the whole word, 0.1 s of context at both ends", True),
        Column("whole_flac", pa.large_binary(), "long words: the same at 16 kHz in FLAC", True),
    ),
    row_group=AUDIO_ROW_GROUP,
)

CLIP_SCORES = Table(
    "clip_scores",
    "one spoken-word clip and how much it looks like an error; all deviations (`_z`) are robust and from the clips of its word",
    ("clip_id",),
    (
        Column("clip_id", _s, "clip"),
        Column("word", _s, "the keyword"),
        Column("alignment_z", _f, "deviation of the aligner's score; less is worse; null where there is none", True),
        Column("duration_z", _f, "deviation of the logarithm of the word's duration"),
        Column("level_db", _f, "level inside the word, dBFS (root mean square)"),
        Column("level_z", _f, "its deviation"),
        Column("snr_db", _f, "that level over the quietest tenth of the clip outside the word, padding left out, dB"),
        Column("edge_db", _f, "the louder of the 20 ms inside the word's edges, over the word's level, dB: high where it is cut"),
        Column("edge_z", _f, "its deviation"),
        Column("outside_db", _f, "the loudest 0.1 s outside the word, over the word's level, dB"),
        Column("outside_z", _f, "its deviation"),
        Column("mean_abs", _f, "mean of |x| over the clip, full scale 1"),
        Column("gsc_quiet", pa.bool_(), "mean_abs is under 0.004: Google Speech Commands leaves such a clip out"),
        Column("contour_db", _f, "standard deviation of the level inside the word, dB: low where nobody speaks"),
        Column("contour_z", _f, "its deviation"),
        Column("distance", _f, "to the mean of its word's other clips, over that from the middle of all; null if alone", True),
        Column("margin", _f, "over 0 if it sounds more like another word; a share of its distance; null if there is none", True),
        Column("outlier", _f, "all of these together, 0 or more: more is worse"),
    ),
)

CLIP_SPLITS = Table(
    "clip_splits",
    "one spoken-word clip of a release and its split; the file has the number of the file of `clips`, and its order",
    ("clip_id",),
    (
        Column("clip_id", _s, "clip"),
        Column("word", _s, "the keyword"),
        Column("speaker_id", _s, "speaker as the source names them"),
        Column("gender", _s, "`female`, `male` or `other` (not stated, or neither): what most of the speaker's clips state"),
        Column("split", _s, "`train`, `dev` or `test`: of the speaker, the same for every word and release"),
        Column("split_mswc", _s, "the original's way, word by word: a speaker may be in several splits over the words"),
    ),
)

WORD_SPLITS = Table(
    "word_splits",
    "one keyword and how far its splits are from their targets",
    ("word",),
    (
        Column("word", _s, "the keyword"),
        Column("clips", _i, "clips of it in the release"),
        Column("speakers", _i, "speakers of them; ids that belong to one person count once"),
        *(Column(s, _i, f"clips in {s}") for s in ("train", "dev", "test")),
        Column("dev_target", _f, "clips that dev should have"),
        Column("test_target", _f, "clips that test should have"),
        *(
            Column(f"{s}_{g}{t}", _f if t else _i, f"{s}: clips of {g} speakers{', as they should be' if t else ''}")
            for s in ("dev", "test")
            for g in ("female", "male")
            for t in ("", "_target")
        ),
        Column("dev_hash", _i, "clips that dev would have if a salted hash alone had drawn the speakers"),
        Column("test_hash", _i, "clips that test would have then"),
    ),
)

REJECTIONS = Table(
    "rejections",
    "one input, or part of one, that stopped here",
    ("unit", "id", "start_s", "stage", "reason"),
    (
        Column(
            "unit", _s, "`item`, `recording`, `document`, `segment`, `reading`, `sentence`, `word`, `keyword`, `clip`, `speaker`"
        ),
        Column("id", _s, "its id; for a stretch of a recording the recording_id"),
        Column("parent_id", _s, "the unit it belongs to (document of a stretch, item of a recording)", True),
        Column("start_s", _f, "start of the stretch, or 0"),
        Column("end_s", _f, "end of the stretch, or the duration (0 if unknown)"),
        Column("stage", _s, "stage that rejected it"),
        Column("reason", _s, "one of stagekit.tables.Reason"),
        Column("detail", _s, "what was seen, for a person"),
    ),
)

CLUSTERS = Table(
    "clusters",
    "one document or recording and the duplicate cluster it belongs to",
    ("kind", "id"),
    (
        Column("kind", _s, "`text` (id is a document_id) or `audio` (id is a recording_id)"),
        Column("id", _s, "member"),
        Column("cluster_id", _s, "smallest member id of the cluster"),
        Column("keep", pa.bool_(), "true for the one member that is kept"),
        Column("similarity", _f, "to the kept member: Jaccard of shingles, or 1 - bit error rate; 1 for itself"),
    ),
)

TEXT_CLUSTERS = Table(
    "text_clusters",
    "one document that has copies by text, as `dedup/spark.py` found them",
    ("document_id",),
    (
        Column("document_id", _s, "member"),
        Column("cluster_id", _s, "smallest document_id of the cluster"),
    ),
)

ASSIGNMENTS = Table(
    "assignments",
    "one group key and the split it was given for ever",
    ("group_key",),
    (
        Column(
            "group_key",
            _s,
            "`recording:<recording_id>`, `item:<source>:<identifier>`, `creator:<name>`, `cluster:<kind>:<cluster_id>`; "
            "of spoken words `speaker:<speaker_id>` or `audio:<audio_id>`",
        ),
        Column("split", _s, "`train`, `dev` or `test`"),
        Column("since", _s, "version of the release that first assigned it"),
    ),
)

RELEASE_SEGMENTS = Table(
    "release_segments",
    "one segment that is in a release: what packaging wants, before audio",
    ("segment_id",),
    (
        *SEGMENTS.columns,
        Column("split", _s, "`train`, `dev` or `test`"),
        Column("subset", _s, "`clean` or `noisy`"),
        Column("license_group", _s, "`by` (CC-BY, public domain, CC0, US government) or `by-sa`"),
        Column("item_id", _s, "item that the license was read from"),
        Column("title", _s, "title of the item", True),
        Column("creator", _s, "creator of the item", True),
        Column("source_url", _s, "landing page of the item", True),
        *LICENSE_COLUMNS,
        Column("attribution", _s, "the line to show with the clip"),
        Column("caption_provenance", _s, "`human` or `unknown`"),
        Column("recording_uri", _s, "audio the clip is cut from"),
        Column("batch", _s, "harvest batch, YYYY.MM"),
    ),
)

RELEASE_CLIPS = Table(
    "release_clips",
    "one spoken word that is in a release, as packed; its audio columns are in the release's card; its scores are of the release "
    "that packed it first, those of the release itself are in its `tables/clip_scores-00000.parquet`",
    ("clip_id",),
    (
        *CLIPS.columns,
        Column("split", _s, "`train`, `dev` or `test`: of the speaker, the same for every word and release"),
        Column("subset", _s, "`words`"),
        Column("license_group", _s, "`by` (CC BY, public domain, CC0) or `by-sa`"),
        Column("batch", _s, "harvest batch that brought the sentence, YYYY.MM"),
        *(replace(c, nullable=True) for c in CLIP_SCORES.columns if c.name not in ("clip_id", "word")),
    ),
    seconds="speech_s",
)

ORIGINS = Table(
    "origins",
    "one unit of a collected corpus and the batch that brought it first",
    ("unit", "id"),
    (
        Column("unit", _s, "`item`, `recording`, `document` or `sentence`"),
        Column("id", _s, "its id"),
        Column("batch", _s, "harvest batch, YYYY.MM: the earliest that holds it; its rows are taken from there"),
    ),
)

SHARDS = Table(
    "shards",
    "one packed file of a release",
    ("path",),
    (
        Column("path", _s, "in the release: `data/<subset>-<license group>/<split>-NNNNN-<start of sha256>.parquet`"),
        Column("sha256", _s, "of the file: its name under `<root>/shards/<dataset>/<language>/`"),
        Column("subset", _s, "`clean` or `noisy`; of spoken words `words`"),
        Column("license_group", _s, "`by` or `by-sa`"),
        Column("split", _s, "`train`, `dev` or `test`"),
        Column("rows", _i, "clips in it"),
        Column("bytes", _i, "size of the file"),
        Column("audio_s", _f, "seconds of audio in it, padding included"),
    ),
    seconds="audio_s",
)

SHARD_ROWS = Table(
    "shard_rows",
    "one clip of a release and the packed file that holds it",
    ("segment_id",),
    (
        Column("segment_id", _s, "the row's id; of spoken words its clip_id"),
        Column("digest", _s, "sha256 over all columns of its row but the audio: whether the packed row is still right"),
        Column("shard", _s, "sha256 of its packed file"),
    ),
)

TABLES: dict[str, Table] = {
    t.name: t
    for t in (
        ITEMS,
        RECORDINGS,
        DOCUMENTS,
        HYPOTHESES,
        EMISSIONS,
        SPEECH,
        WORDS,
        SEGMENTS,
        READINGS,
        SPEAKER_LINKS,
        SENTENCES,
        SENTENCE_AUDIO,
        SENTENCE_WORDS,
        KEYWORDS,
        PICKS,
        CLIPS,
        CLIP_AUDIO,
        CLIP_SCORES,
        CLIP_SPLITS,
        WORD_SPLITS,
        REJECTIONS,
        CLUSTERS,
        TEXT_CLUSTERS,
        ASSIGNMENTS,
        RELEASE_SEGMENTS,
        RELEASE_CLIPS,
        ORIGINS,
        SHARDS,
        SHARD_ROWS,
    )
}
