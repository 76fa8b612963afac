"""One audio file a recording, and the caption that is its own."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.language_tags import bcp47
from ingest.pairing import File, pair


def upload(name, size=1000, **more):
    return File(name, size=size, **more)


def derived(name, original, format="", size=100):
    return File(name, format, original, size)


def pairs(files, language="en"):
    return {p.audio.name: p.caption.name if p.caption else None for p in pair(files, language)}


@pytest.mark.parametrize(
    ("files", "taken"),
    [
        # An upload that is compressed already: its derivatives lost more.
        ([upload("a.mp3"), derived("a.ogg", "a.mp3"), derived("a_64kb.mp3", "a.mp3", "64Kbps MP3", 10)], "a.mp3"),
        # A lossless upload: the high-rate MP3 is a fifth of its size.
        ([upload("a.wav"), derived("a.mp3", "a.wav", "VBR MP3", 90), derived("a.ogg", "a.wav", size=60)], "a.mp3"),
        ([upload("a.flac"), derived("a_64kb.mp3", "a.flac", "64Kbps MP3", 10)], "a.flac"),
        ([upload("a.wav"), derived("a.flac", "a.wav", size=500)], "a.flac"),
        # Films: sound alone if there is any, else the smallest film.
        ([upload("a.mpeg", 9000), derived("a.mp4", "a.mpeg", "h.264"), derived("a.mp3", "a.mpeg", "VBR MP3", 50)], "a.mp3"),
        ([upload("a.mpeg", 9000), derived("a.mp4", "a.mpeg"), derived("a_512kb.mp4", "a.mpeg", size=60)], "a_512kb.mp4"),
        ([upload("a.mpeg"), derived("a_512kb.mp4", "a.mpeg", size=90), derived("a_64kb.mp4", "a.mpeg", size=10)], "a_512kb.mp4"),
        ([upload("a.ogv", 100), derived("a.ogg", "a.ogv", "Ogg Video", 10), derived("b.mp3", "a.ogv", size=500)], "b.mp3"),
        # A derivative of a derivative; an upload that is private or empty; one recording uploaded twice.
        ([upload("a.avi"), derived("a.mp4", "a.avi"), derived("x.mp3", "a.mp4")], "x.mp3"),
        ([upload("a.wav", usable=False), derived("a.mp3", "a.wav")], "a.mp3"),
        ([derived("a.mp3", "a.wav")], "a.mp3"),
        ([upload("A.wav"), upload("a.mp3")], "a.mp3"),
    ],
)
def test_the_audio_that_lost_least_is_taken(files, taken):
    for order in (files, files[::-1]):
        assert [p.audio.name for p in pair(order, "en")] == [taken]


@pytest.mark.parametrize(
    ("audio", "captions", "language", "taken"),
    [
        ("talk.mp3", ["talk.srt"], "en", "talk.srt"),
        ("talk.mp3", ["talk.srt", "talk.vtt"], "en", "talk.srt"),
        ("talk.mp3", ["talk.en.vtt", "talk.es.srt"], "en", "talk.en.vtt"),
        ("talk.mp3", ["talk_en.vtt", "talk_es.vtt"], "es", "talk_es.vtt"),
        ("talk.mp3", ["talk.vtt", "talk.en.vtt"], "en", "talk.en.vtt"),
        ("talk.mp3", ["talk.english.srt"], "en", "talk.english.srt"),
        ("talk.mp3", ["talk-pt-BR.vtt", "talk.pt_PT.vtt"], "pt", "talk-pt-BR.vtt"),
        ("talk.mp3", ["talk.spa.srt", "talk.eng.srt"], "en", "talk.eng.srt"),
        ("talk.mp3", ["talk.es.srt", "talk.de.vtt"], "en", None),
        ("talk.mp3", ["talk.asr.srt", "talk.vtt"], "en", "talk.vtt"),
        ("talk.mp3", ["talk.asr.srt"], "en", "talk.asr.srt"),
        ("talk.mp3", ["talk.en.cc.srt"], "en", "talk.en.cc.srt"),
        ("My Talk (1959).mp3", ["my_talk_1959.en.srt"], "en", "my_talk_1959.en.srt"),
        ("Café.mp4", ["CAFE\u0301.srt"], "en", "CAFE\u0301.srt"),
        ("sub/talk.mp4", ["captions/talk.srt"], "en", "captions/talk.srt"),
        ("talk_64kb.mp3", ["talk.srt"], "en", "talk.srt"),
        ("meeting.mp4", ["captions.srt"], "en", "captions.srt"),
        ("meeting.mp4", ["this is it.srt"], "en", "this is it.srt"),
        ("interview.mp3", ["interview_new.srt"], "en", "interview_new.srt"),
        ("part_it.mp3", ["part_it.srt"], "en", "part_it.srt"),
        ("talk.mp3", ["notes.txt", "talk.txt"], "en", None),
        ("talk.mp4", ["talk.en.forced.srt", "talk.en.srt"], "en", "talk.en.srt"),
        ("talk.mp4", ["talk.en-orig.vtt", "talk.en.vtt"], "en", "talk.en.vtt"),
        ("talk.mp4", ["talk.es-419.vtt"], "en", None),
        ("talk.mp4", ["talk.zh-Hans.vtt"], "en", None),
        ("talk.mp4", ["talk_zh-hans.vtt"], "en", None),
        ("talk_hans.mp4", ["talk_hans.vtt"], "en", "talk_hans.vtt"),
        ("talk.mp4", ["talk.zh-Hans-en.srt"], "en", "talk.zh-Hans-en.srt"),
        ("talk.mp4", ["talk_in_us.srt"], "en", "talk_in_us.srt"),
    ],
)
def test_names_are_compared_as_people_write_them(audio, captions, language, taken):
    assert pairs([upload(audio), *map(upload, captions)], language) == {audio: taken}


@pytest.mark.parametrize(
    ("ending", "language"),
    [
        (".mp3.srt", "en"), (".mp3.en.srt", "en"), (".es-419.vtt", "es"), (".zh-Hans.vtt", "zh"), ("_en-orig.vtt", "en"),
        ("_es-419.vtt", "es"), ("_zh-hans.vtt", "zh"), ("_zh_Hant_TW.vtt", "zh"), (".zh-Hant-TW.vtt", "zh"),
    ],
)  # fmt: skip
def test_captions_of_many_parts_are_found_by_name(ending, language):
    files = [upload(n + e) for n in ("01", "02", "11") for e in (".mp3", ending)]
    assert pairs(files, language) == {f"{n}.mp3": n + ending for n in ("01", "02", "11")}


def test_closed_caption_text_is_a_caption():
    assert pairs([upload("a.mp4"), File("a.cc5.txt", "Closed Caption Text")]) == {"a.mp4": "a.cc5.txt"}


def test_a_tag_is_a_tag_only_where_the_rest_is_a_recording():
    files = [upload(n) for n in ("part.mp3", "part_it.mp3", "part_it.srt", "part.it.srt")]
    assert pairs(files) == {"part.mp3": None, "part_it.mp3": "part_it.srt"}
    assert pairs(files, "it") == {"part.mp3": "part.it.srt", "part_it.mp3": "part_it.srt"}
    (part, _) = pair(files, "en")
    assert part.note == "its captions are not in en but in it: part.it.srt" and part.others == ("part.it.srt",)


def test_numbers_are_never_confused():
    audio = [upload(f"Town Meeting 2015-04-0{n} part {n}.mp4") for n in range(1, 7)]
    captions = [upload(f"townmeeting_2015040{n}_p{n}.srt") for n in (6, 2, 4)]
    got = pairs(audio + captions)
    assert {a: c for a, c in got.items() if c} == {
        f"Town Meeting 2015-04-0{n} part {n}.mp4": f"townmeeting_2015040{n}_p{n}.srt" for n in (2, 4, 6)
    }


def test_a_link_to_the_original_is_enough_and_a_name_beats_likeness():
    files = [upload("x.mp4"), upload("y.mp4"), derived("Closed Captions.srt", "y.mp4")]
    assert pairs(files) == {"x.mp4": None, "y.mp4": "Closed Captions.srt"}
    files = [upload("lecture one.mp3"), upload("lecture onn.mp3"), upload("lecture one.srt")]
    assert pairs(files) == {"lecture one.mp3": "lecture one.srt", "lecture onn.mp3": None}


def test_the_same_name_in_two_folders_is_no_match():
    files = [upload("1/talk.mp3"), upload("2/talk.mp3"), upload("talk.srt")]
    assert pairs(files) == {"1/talk.mp3": None, "2/talk.mp3": None}
    assert pairs([*files, upload("2/talk.srt")])["2/talk.mp3"] == "2/talk.srt"


def test_unusable_captions_are_not_taken():
    assert pairs([upload("a.mp3"), upload("a.srt", usable=False)]) == {"a.mp3": None}
    assert pairs([upload("a.mp3", usable=False), upload("a.srt")]) == {}


NAMES = st.sampled_from(["talk", "talk 1", "talk_2", "Talk-10", "it", "a.en", "x/talk", "part it", "é", "1", "…", ".hidden"])
SUFFIXES = st.sampled_from(
    [".mp3", ".wav", ".mp4", ".srt", ".en.srt", "_es.vtt", ".asr.srt", ".cc5.txt", ".jpg", "", ".en-US.vtt"]
)


@given(
    st.lists(st.builds(lambda n, s: n + s, NAMES, SUFFIXES), unique=True), st.sampled_from(["en", "es", "pt-BR"]), st.integers()
)
def test_every_recording_comes_once_and_no_caption_twice(names, language, seed):
    files = [upload(n) for n in names]
    found = pair(files, language)
    shuffled = random.Random(seed).sample(files, len(files))
    assert pair(shuffled, language) == found
    audio = [p.audio.name for p in found]
    captions = [p.caption.name for p in found if p.caption]
    assert len(set(audio)) == len(audio) and len(set(captions)) == len(captions)
    stems = {n.rsplit(".", 1)[0].casefold() for n in names if File(n).is_media}
    assert len(found) == len(stems)
    assert all(p.caption or p.note for p in found)


def test_five_thousand_files_are_paired_in_seconds():
    import time

    files = [upload(f"Radio show {n:05d} with a guest.mp3") for n in range(2500)]
    files += [upload(f"radio_show_with_guest {n:05d}.srt") for n in range(2500)]
    start = time.process_time()
    got = pairs(files)
    assert sum(c is not None and a[11:16] in c for a, c in got.items()) == 2500
    assert time.process_time() - start < 10


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("eng", "en"), ("English", "en"), ("en_us", "en-US"), ("zh-hans-cn", "zh-Hans-CN"), ("ger", "de"), ("Deutsch", "de"),
        ("Spanish; Castilian", "es"), ("yue", "yue"), ("und", None), ("mul", None), ("", None), ("xx", None), ("no speech", None),
        ("en-ZZZ", None), ("English (US)", "en"),
    ],
)  # fmt: skip
def test_language_names(text, tag):
    assert bcp47(text) == tag
