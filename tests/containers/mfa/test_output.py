"""What MFA wrote, as recorded (data/SOURCES.md): its oddities read back, its failures not taken for words."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from pathlib import Path

import pytest

from mfa.align import AlignParams, fault
from mfa.output import Likelihoods, OutputError, Word, read_analysis, read_likelihoods, read_words
from mfa.program import complaint

DATA = Path(__file__).parent / "data"
RECORDED = sorted(p for p in DATA.rglob("*.json") if p.stem != "two_speakers")


def words(name: str) -> list[Word]:
    return read_words(next(DATA.rglob(f"{name}.json")))


def labels(name: str) -> list[str]:
    return [w.label for w in words(name)]


def test_the_recorded_files_are_those_that_are_listed() -> None:
    listed = dict(line.split("  ")[::-1] for line in (DATA / "SHA256SUMS").read_text().splitlines())
    here = {str(p.relative_to(DATA)): hashlib.sha256(p.read_bytes()).hexdigest() for p in DATA.rglob("*.*") if p.suffix != ".md"}
    assert here == listed


@pytest.mark.parametrize("path", RECORDED, ids=lambda p: p.stem)
def test_words_and_phones_run_forward_and_phones_fill_their_word(path: Path) -> None:
    found = read_words(path)
    assert found and all(w.phones for w in found)
    for before, after in zip(found, found[1:], strict=False):
        assert before.start_s < before.end_s <= after.start_s < after.end_s
    for word in found:
        assert word.phones[0].start_s == word.start_s and word.phones[-1].end_s == word.end_s
        assert all(a.end_s == b.start_s for a, b in zip(word.phones, word.phones[1:], strict=False))


def test_every_phone_of_a_file_belongs_to_one_word() -> None:
    for path in RECORDED:
        entries = json.loads(path.read_text())["tiers"]["phones"]["entries"]
        assert [p.label for w in read_words(path) for p in w.phones] == [label for _, _, label in entries], path.name


def test_times_are_on_the_grid_again_and_pauses_stay_gaps() -> None:
    found = words("en_000016")
    assert [(w.label, w.start_s, w.end_s) for w in found[:2]] == [("and", 0.47, 0.65), ("all", 0.65, 0.83)]
    about, having = found[4], found[5]
    assert (about.label, about.end_s, having.start_s) == ("about", 1.58, 1.61)


def test_an_overlap_at_the_cut_end_is_cut() -> None:
    phones = [p for w in words("LJ001-0001") for p in w.phones]
    assert phones[-2].end_s == phones[-1].start_s == 9.65  # 9.655011 in the file
    entries = json.loads((DATA / "clips/LJ001-0001.json").read_text())["tiers"]["phones"]["entries"]
    assert entries[-2][1] > entries[-1][0]


def test_a_word_without_a_pronunciation_is_noise_with_times() -> None:
    assert [w.label for w in words("all_oov") if w.spoken_noise] == labels("all_oov")
    assert [w.label for w in words("digits") if w.spoken_noise] == ["1455"]
    assert {fault(w, AlignParams()) for w in words("all_oov")} == {"no_pronunciation"}


def test_mfa_renames_words_in_brackets_and_cuts_quotes_off_which_is_why_words_are_codes_here() -> None:
    assert labels("bracketed_words").count("[bracketed]") == 3 and "[laughter]" in labels("bracketed_words")
    assert "but" in labels("apostrophe_leading_trailing") and "'but" not in labels("apostrophe_leading_trailing")
    assert "that's" in labels("apostrophe_curly")
    assert all(unicodedata.is_normalized("NFC", label) for label in labels("decomposed_letters"))


def test_a_stretched_or_squeezed_word_is_a_fault() -> None:
    params = AlignParams()
    assert [w.label for w in words("half_text") if fault(w, params) == "too_long"] == ["the"]  # 3.4 s
    silence = [fault(w, params) for w in words("digital_silence")]
    assert silence.count("too_short") >= 2
    assert not any(fault(w, params) for w in words("en_000016"))


def test_several_speakers_in_one_file_are_refused() -> None:
    with pytest.raises(OutputError, match="two_speakers.json: not MFA's JSON of one speaker"):
        words("two_speakers")


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([[0.2, 0.1, "a"]], "'a' runs from 0.2 to 0.1"),
        ([[0.5, 0.9, "a"], [0.1, 0.6, "b"]], "'b' at 0.1 begins before 'a'"),
        ([[0.0, float("nan"), "a"]], "runs from 0.0 to nan"),
    ],
)
def test_times_that_cannot_be_are_refused(tmp_path: Path, entries: list[list[object]], said: str) -> None:
    tier = {"type": "interval", "entries": entries}
    path = tmp_path / "u.json"
    path.write_text(json.dumps({"start": 0, "end": 1.0, "tiers": {"words": tier, "phones": tier}}))
    with pytest.raises(OutputError, match=said):
        read_words(path)


def test_a_file_that_breaks_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "u.json"
    path.write_bytes((DATA / "clips/LJ001-0001.json").read_bytes()[:500])
    with pytest.raises(OutputError, match="u.json: not MFA's JSON"):
        read_words(path)


def test_the_analysis_tells_who_was_not_aligned_and_keeps_same_names_of_two_speakers_apart() -> None:
    found = read_analysis(DATA / "alignment_analysis.csv")
    assert len(found) == 70  # 69 files, one of them with two speakers
    assert found["lj_edge", "empty_lab"].log_likelihood is None and found["lj_edge", "short_0_08_s"].log_likelihood is None
    assert found["same_name_a", "same_name"].log_likelihood != found["same_name_b", "same_name"].log_likelihood
    assert found["lj_edge", "all_oov"].speech_log_likelihood is None


def test_a_likelihood_is_no_sign_of_a_right_transcript() -> None:
    found = read_analysis(DATA / "alignment_analysis.csv")
    odd = {s for s, _ in found if s.endswith("_edge") or s.startswith("same_name") or s in ("weekly_address", "textgrid_input")}
    good = sorted(a.log_likelihood for (s, _), a in found.items() if s not in odd and a.log_likelihood is not None)
    median = good[len(good) // 2]
    assert found["silence_edge", "digital_silence"].log_likelihood > median  # type: ignore[operator]
    assert good[0] < found["lj_edge", "wrong_text"].log_likelihood < good[-1]  # type: ignore[operator]


def test_no_analysis_is_no_utterance_and_another_table_is_an_error(tmp_path: Path) -> None:
    assert read_analysis(tmp_path / "none.csv") == {}
    (tmp_path / "other.csv").write_text("file,begin\nx,0\n")
    with pytest.raises(OutputError, match="other.csv: not MFA 3's table"):
        read_analysis(tmp_path / "other.csv")


def test_a_database_of_another_schema_says_nothing(tmp_path: Path) -> None:
    import sqlite3

    with sqlite3.connect(tmp_path / "corpus.db") as database:
        database.execute("CREATE TABLE utterance (id INTEGER)")
    assert read_likelihoods(tmp_path).phones == {}
    assert read_likelihoods(tmp_path / "nowhere").phones == {}


def test_a_word_scores_as_its_frames_do() -> None:
    word = words("en_000016")[0]
    middle = (word.start_s + word.end_s) / 2
    known = Likelihoods({("s", "u"): [(word.start_s, middle, -10.0), (middle, word.end_s, -20.0), (word.end_s, 9.0, -99.0)]})
    assert known.of("s", "u", word) == pytest.approx(-15.0)
    assert known.of("s", "other", word) is None


def test_what_a_failed_run_said_is_one_line() -> None:
    said = complaint((DATA / "align_broken_audio.log").read_text().splitlines()[:-1])
    assert said.startswith("soundfile.LibsndfileError: Error opening 'B/broken/bad/mono_invalid.wav'") and "\n" not in said
