"""Features and model are pocketsphinx's own; forced alignment believes the sound rather than the text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pocketsphinx
import pytest
from numpy.typing import NDArray

from align.adapt import adapted, collect
from align.features import HOP, cepstra, features
from align.forced import Placement, place_words
from align.place import phones_of
from align.senones import senone_scores
from align.sphinx_model import BEGIN, load_dictionary, load_model

Reading = tuple[NDArray[np.float32], list[str]]


def align(samples: NDArray[np.float32], words: list[str]) -> Placement:
    model = load_model()
    return place_words(model, cepstra(samples), [phones_of(model, w) for w in words])


def test_cepstra_are_those_of_pocketsphinx(reading: Reading, tmp_path: Path) -> None:
    samples = np.round(reading[0][:80_000] * 32768) / 32768
    decoder = pocketsphinx.Decoder(mfclogdir=str(tmp_path), cmn="none", loglevel="FATAL", lm=None, allphone=None, keyphrase="oh")
    decoder.start_utt()
    decoder.process_raw((samples * 32768).astype("<i2").tobytes(), full_utt=True)
    decoder.end_utt()
    theirs = np.frombuffer(next(tmp_path.glob("*.mfc")).read_bytes()[4:], ">f4").reshape(-1, 13)
    ours = cepstra(samples.astype(np.float32))
    n = min(len(ours), len(theirs))
    assert abs(len(ours) - len(theirs)) <= 1 and n > 400
    difference = np.abs(ours[20:n] - theirs[20:n])  # a log of almost nothing differs in the first, silent frames
    assert np.median(difference) < 0.02 and np.percentile(difference, 99) < 0.5


def test_model_has_what_its_documentation_says() -> None:
    model = load_model()
    assert len(model.phones) == 42 and model.phones[model.silence] == "SIL"
    assert model.means.shape == (42, 3, 128, 13) and model.weights.shape == (3, 128, 5126)
    assert np.allclose(model.weights.sum(1), 1.0, atol=0.2)
    k, ae, t = (model.phone_id(p) for p in ("K", "AE", "T"))
    assert tuple(model.senones_of(k, model.silence, ae, BEGIN)) != tuple(model.senones_of(k, t, ae, BEGIN))
    with pytest.raises(KeyError, match="XX"):
        model.phone_id("XX")
    assert load_dictionary()["cat"] == (("K", "AE", "T"),)


def test_every_word_of_a_right_text_is_found_in_order(reading: Reading) -> None:
    samples, words = reading
    found = align(samples, words).words
    assert [w.index for w in found] == list(range(len(words)))
    assert all(a.end_s <= b.start_s + 1e-9 for a, b in zip(found, found[1:], strict=False))
    assert all(0 <= w.start_s < w.end_s <= len(samples) / 16_000 for w in found)
    assert np.mean([w.score for w in found]) > 0.5


def test_words_that_were_not_said_are_left_out(reading: Reading) -> None:
    samples, words = reading
    unsaid = "her sister had been married several years to a gentleman of considerable fortune in yorkshire".split()
    text = words[:11] + unsaid + words[11:]
    found = {w.index for w in align(samples, text).words}
    said = set(range(11)) | set(range(11 + len(unsaid), len(text)))
    assert len(found - said) <= 2 and len(said - found) <= 2


def test_speech_that_the_text_lacks_becomes_filler(reading: Reading) -> None:
    samples, words = reading
    missing = align(samples, words[:5] + words[13:])
    full = {w.index: w for w in align(samples, words).words}
    start, end = full[5].start_s, full[12].end_s
    covered = sum(max(0.0, min(b, end) - max(a, start)) for a, b in missing.filler)
    assert covered > 0.6 * (end - start)


def test_a_text_of_something_else_scores_below_the_right_one(reading: Reading, speech_of_kennedy: Reading) -> None:
    right, wrong = align(*reading), align(reading[0], speech_of_kennedy[1])
    assert wrong.log_likelihood < right.log_likelihood - 0.5
    assert len(wrong.words) < 0.7 * len(speech_of_kennedy[1])


def test_nothing_to_align() -> None:
    model = load_model()
    assert place_words(model, cepstra(np.zeros(100, np.float32)), []).words == ()
    assert place_words(model, cepstra(np.zeros(16_000, np.float32)), []).words == ()
    only_unpronounceable = place_words(model, cepstra(np.zeros(16_000, np.float32)), [(), ()])
    assert only_unpronounceable.words == ()


def test_adaptation_raises_the_likelihood_of_a_changed_channel(reading: Reading) -> None:
    samples, words = reading
    model = load_model()
    spectrum = np.fft.rfft(samples)
    hz = np.fft.rfftfreq(len(samples), 1 / 16_000)
    narrow = np.fft.irfft(spectrum * ((hz > 300) & (hz < 3400)), len(samples)).astype(np.float32)
    phones = [phones_of(model, w) for w in words]
    before = place_words(model, cepstra(narrow), phones)
    fitted = adapted(model, collect(model, before.feature, before.senone))
    after = place_words(fitted, cepstra(narrow), phones)
    assert sum(w.score for w in after.words) > sum(w.score for w in before.words)
    ids = np.arange(50, dtype=np.int32)
    feature = features(cepstra(narrow))
    assert senone_scores(fitted, feature, ids).shape == (len(feature), 50) and len(feature) == (len(narrow) - 410) // HOP + 1
