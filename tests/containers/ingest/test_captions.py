"""Captions of every shape give speech as written, and nothing that was not said."""

import pytest
from caption_makers import YOUTUBE, read, srt, vtt
from hypothesis import given
from hypothesis import strategies as st

from ingest.captions import Cue, parse_caption
from ingest.errors import CaptionEmpty, CaptionError, CaptionUnreadable
from stagekit.tables import Reason

# real files


def test_centiseconds_of_internet_archive_asr_files() -> None:
    cues = read("BOS2015April7_excerpt.asr.srt").cues
    assert len(cues) == 61
    assert (cues[3].start_s, cues[3].end_s) == (1111.91, 1112.99)
    assert (cues[4].start_s, cues[4].end_s) == (1113.0, 1118.25)  # 00:18:32,100 is 1,100 hundredths
    assert all(a.end_s <= b.start_s for a, b in zip(cues, cues[1:], strict=False))


def test_milliseconds_stay_milliseconds() -> None:
    cues = read("TOS-en.srt").cues
    assert (cues[0].start_s, cues[0].end_s, cues[0].text) == (23.0, 24.5, "You're a jerk, Thom.")


@pytest.mark.parametrize(("name", "encoding", "start"), [
    ("TOS-no.srt", "utf-16-le", "Du er en dust, Thom."),
    ("TOS-es.srt", "utf-8", "Eres un imbécil, Thom."),
    ("TOS-ru.srt", "utf-8", "Ты придурок, Том!"),
    ("popeye_p3.eng.srt", "utf-8", "Oh! Oh! W-What happened?"),
    ("elephants.ja.vtt", "utf-8", "左に見えるのは…"),
    ("elephants.ar.vtt", "utf-8", "...إلى..."),
])  # fmt: skip
def test_encodings_of_real_files(name: str, encoding: str, start: str) -> None:
    caption = read(name)
    assert caption.encoding == encoding
    assert caption.text.startswith(start)
    assert "\ufeff" not in caption.raw and "\r" not in caption.text


def test_raw_text_is_kept_and_sounds_and_markup_are_apart() -> None:
    caption = read("popeye_p1.eng.srt")
    assert "<i>I'm Sinbad the sailor" in caption.raw and "[barking and roaring]" in caption.raw
    assert caption.text.startswith("I'm Sinbad the sailor So hearty and hale I live")
    assert caption.cues[0] == Cue(0.0, 4.0, None, "", ("barking and roaring",))
    assert not set("<>[]") & set(caption.text)
    assert read("popeye_p4.eng.srt").text.endswith("My peaches and cream My baby kin")  # its <i> is closed twice


def test_vtt_header_is_not_text() -> None:
    caption = read("elephants.descriptions.en.vtt")
    assert caption.text.startswith("The orange open movie project presents")
    assert caption.vtt and caption.vtt.header["Author"] == "Silvia Pfeiffer"


def test_the_same_text_from_srt_and_vtt() -> None:
    assert read("sonnet001.srt").text == read("sonnet001.vtt").text
    assert read("sonnet001.srt").cues == read("sonnet001.vtt").cues


# formats


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_line_ends(newline: str) -> None:
    text = "1\n00:00:01,000 --> 00:00:02,000\nOne,\ntwo.\n\n2\n00:00:03,000 --> 00:00:04,000\nThree.\n".replace("\n", newline)
    caption = parse_caption(text.encode(), "srt")
    assert caption.text == "One, two. Three." and caption.raw == text


@pytest.mark.parametrize(
    "text",
    [
        "00:00:01,000 --> 00:00:02,000\nOne.\n\n00:00:03,000 --> 00:00:04,000\nIn 42.\n",  # no numbers
        "1\n00:00:01,000 --> 00:00:02,000\nOne.\n2\n00:00:03,000 --> 00:00:04,000\nIn 42.",  # no blank lines
        "1\n\n00:00:01,000 --> 00:00:02,000\n\nOne.\n\n\n2\n\n00:00:03,000 --> 00:00:04,000\n\nIn 42.\n\n",  # too many
        "7\n0:00:01.000 -> 0:00:02.000\nOne.\n\n7\n00:01,500-->00:04,000 X1:100 X2:200\nIn 42.\n",  # loose timings
        "2\n00:00:03,000 --> 00:00:04,000\nIn 42.\n\n1\n00:00:01,000 --> 00:00:02,000\nOne.\n",  # out of order
    ],
)
def test_srt_variants(text: str) -> None:
    assert parse_caption(text.encode(), "srt").text == "One. In 42."


def test_a_number_that_is_said_is_no_cue_number() -> None:
    assert srt("How many?", "42", "Really?").text == "How many? 42 Really?"


def test_a_cue_that_ends_before_it_starts_keeps_its_text() -> None:
    caption = parse_caption(b"1\n00:00:05,000 --> 00:00:02,000\nBack.\n", "srt")
    assert caption.cues == (Cue(5.0, 5.0, None, "Back."),)


@pytest.mark.parametrize(("kind", "header", "mark"), [("srt", "", ","), ("vtt", "WEBVTT\n\n", ".")])
def test_odd_times_are_times_and_never_text(kind: str, header: str, mark: str) -> None:
    text = (
        header + "-00:00:01,000 --> 00:00:02,000\nOne.\n\n00:00:03,000 --> -00:00:05,000\nTwo.\n\n"
        "100:01,000 --> 100:02,000\nThree.\n00:00:05,000 -->\nFour.\n\n1000:00:01,000 --> 1000:00:02,000\nFive.\n"
    )
    caption = parse_caption(text.replace(",", mark).encode(), kind)
    assert [(c.start_s, c.end_s, c.text) for c in caption.cues] == [
        (0.0, 2.0, "One."), (3.0, 3.0, "Two."), (6001.0, 6002.0, "Three. Four."), (3_600_001.0, 3_600_002.0, "Five.")
    ]  # fmt: skip


def test_a_broken_timing_line_goes_with_its_number() -> None:
    text = b"1\n00:00:01,000 --> 00:00:02,000\nOne.\n\n2\n00:00:03,000 -->\nTwo.\n\n3\n00:00:05,000 --> 00:00:06,000\nThree.\n"
    assert parse_caption(text, "srt").text == "One. Two. Three."


def test_vtt_blocks_and_settings() -> None:
    text = (
        "WEBVTT - a title\nKind: captions\nLanguage: en\n\nSTYLE\n::cue { color: red }\n\nREGION\nid:fred\n\n"
        "NOTE made by\nhand\n\n"
        "intro\n00:01.000 --> 00:02.000 align:start position:0%\n<v.loud Mary>Hi &amp; <c.yellow>bye</c>&nbsp;now\n\n"
        "NOTE\n00:00 is not a cue\n\n12:00:03.000 --> 12:00:04.000 line:-1\n<00:00:03.500><i>Then</i> &lt;silence&gt;\n"
    )
    caption = parse_caption(text.encode(), "vtt")
    assert caption.cues == (Cue(1.0, 2.0, "Mary", "Hi & bye now"), Cue(43203.0, 43204.0, None, "Then <silence>"))
    assert caption.vtt and caption.vtt.settings[0] == "align:start position:0%" and caption.vtt.notes[0] == "made by\nhand"


def test_what_a_file_is_decides_not_its_name() -> None:
    assert parse_caption(b"WEBVTT\n\n00:01.000 --> 00:02.000\nHi.\n", "srt").kind == "vtt"
    assert (
        parse_caption(b"1\n00:00:01,000 --> 00:00:02,000\nHi.\n\n2\n00:00:03,000 --> 00:00:04,000\nYou.\n", "txt").kind == "srt"
    )


def test_plain_text_keeps_its_lines_and_asides() -> None:
    caption = parse_caption(
        b"The first (said he) of\r\nmany [1]lines.\r\n\r\n[Illustration]\r\n\r\nMR. POE: Nevermore.\r\n", "txt"
    )
    assert caption.text == "The first (said he) of\nmany lines.\n\nNevermore."
    assert caption.cues[-1] == Cue(None, None, "MR. POE", "Nevermore.")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("The Chinese took impres-\r\nsions in re-\r\nlief.", "The Chinese took impressions\nin relief."),
        ("An inter-\nna-\ntional body.", "An international\nbody."),
        ("Its com-\nmerce, and com-\nmerce alone.", "Its commerce,\nand commerce\nalone."),
        ("Impres\u00ad\nsions.", "Impressions."),
        ("l'im-\nportance", "l'importance"),
        # what stays
        ("We stand by, a stand-\nin.", "We stand by, a stand-\nin."),
        ("A well-\nknown man.", "A well-\nknown man."),
        ("Its mother-in-\nlaw, an up-\nto-date one.", "Its mother-in-\nlaw, an up-\nto-date one."),
        ("Pre-\nand post-war.", "Pre-\nand post-war."),
        ("The blood-red sun, a blood-\nred moon.", "The blood-red sun, a blood-\nred moon."),
        ("The wood was cut. A wood-\ncut.", "The wood was cut. A wood-\ncut."),
        ("Wh-\nwhat is an Anglo-\nSaxon?", "Wh-\nwhat is an Anglo-\nSaxon?"),
    ],
)
def test_words_divided_at_line_ends_are_one_and_compounds_are_not(text: str, said: str) -> None:
    text, said = f"{text}\nAn al-\nmost per-\nfect sen-\ntence.", f"{said}\nAn almost\nperfect\nsentence."
    caption = parse_caption(text.encode(), "txt")
    assert caption.text == said and caption.raw == text


def test_one_hyphen_does_not_say_that_a_text_divides_words() -> None:
    said = srt("I wanted to-\nwhat did you say?", "Let us go on then,\nshall we?", "We were walking.", "A walk-\nin clinic.").text
    assert said == "I wanted to- what did you say? Let us go on then, shall we? We were walking. A walk- in clinic."


def test_a_divided_word_of_captions_is_told_by_the_rest_of_them() -> None:
    rest = ["This is a line\nand this another."] * 50
    assert srt("The commis-\nsion met.", "A commission.", *rest).cues[0].text == "The commission met."
    assert srt("The commis-\nsion met.", "A commissioner.", *rest).cues[0].text == "The commission met."
    assert srt("A blood-\ncurdling cry.", *rest).cues[0].text == "A blood- curdling cry."


# rolling captions


def test_rolling_word_timed_vtt_is_said_once() -> None:
    assert parse_caption(YOUTUBE.encode(), "vtt").text == "the first thing I want to say is that that is that"


def test_rolling_lines_and_growing_lines_are_said_once() -> None:
    assert srt(
        "good morning", "good morning everyone", "good morning everyone here", "good morning everyone here\nnow", "now we\nbegin"
    ).text == ("good morning everyone here now we begin")
    assert vtt("A b", "A b\nc d", "c d\ne f", "e f\ng h").text == "A b c d e f g h"


def test_what_is_said_twice_stays() -> None:
    assert srt("No.", "No.", "No.", "No.", "Yes.").text == "No. No. No. No. Yes."
    assert (
        srt("Row, row, row your boat", "gently down the stream.", "Row, row, row your boat", "to the end.").text.count("Row") == 2
    )
    assert srt("I see", "I see a man.", "He walks.", "He stops.", "Then he goes.", "Nobody knows.", "Why?").text.startswith(
        "I see I see a man"
    )


# cues


@pytest.mark.parametrize(
    ("text", "speaker", "speech", "sounds"),
    [
        ("<i>Hello</i>", None, "Hello", ()),
        (r"{\an8}<font color='#fff'>Hello</font>", None, "Hello", ()),
        (r"Hello\Nthere", None, "Hello there", ()),
        ("{Y:i}Hello<br>there", None, "Hello there", ()),
        (">> MR. SMITH: Thank you.", "MR. SMITH", "Thank you.", ()),
        ("&gt;&gt; Mr. Smith: Thank you.", "Mr. Smith", "Thank you.", ()),
        (">>> Good evening.", None, "Good evening.", ()),
        ("SPEAKER 1: Hi.", "SPEAKER 1", "Hi.", ()),
        ("Speaker 2: Hi.", "Speaker 2", "Hi.", ()),
        ("[SPEAKER_00]: Hi.", "SPEAKER_00", "Hi.", ()),
        ("[Mary]: Hi.", "Mary", "Hi.", ()),
        ("McCOY: Hi.", "McCOY", "Hi.", ()),
        ("JOHN (on phone): Hi.", "JOHN (on phone)", "Hi.", ()),
        ("- Yes.", None, "Yes.", ()),
        ("-Yes.", None, "Yes.", ()),
        ("<v Mary Ann>Hi.</v>", "Mary Ann", "Hi.", ()),
        ("[Music] Hello.", None, "Hello.", ("Music",)),
        ("(APPLAUSE)", None, "", ("APPLAUSE",)),
        ("(door slams)\nWho is it?", None, "Who is it?", ("door slams",)),
        ("♪ la la\nla ♪ Hello.", None, "Hello.", ("la la la",)),
        ("♪♪", None, "", ("♪",)),
        ("♪ la la", None, "", ("la la",)),
        ("♪ [upbeat music]", None, "", ("[upbeat music]",)),
        ("♪ [upbeat music] And welcome", None, "And welcome", ("upbeat music",)),
        ("♪ (music plays) And welcome", None, "And welcome", ("music plays",)),
        ("♪ (oh baby) la la", None, "", ("(oh baby) la la",)),
        ("♪ [singing] Amazing grace", None, "", ("[singing] Amazing grace",)),
        ("♪ [upbeat music] la la ♪ Hello.", None, "Hello.", ("[upbeat music] la la",)),
        ("the &lt;body&gt; tag, see ?a=1&amp;section=2", None, "the <body> tag, see ?a=1&section=2", ()),
        ("&lt;i&gt;And it is…&lt;/i&gt;", None, "And it is…", ()),
        ("A &amp;amp; B&amp;nbsp;here &amp;lt;i&amp;gt;now", None, "A & B here now", ()),
        ("Well [laughs] yes", None, "Well yes", ("laughs",)),
        ("[door\ncloses]", None, "", ("door closes",)),
        ("Hello [music", None, "Hello", ("music",)),
        ("*laughs* Hello", None, "Hello", ("laughs",)),
        # what stays
        ("a *very* good day", None, "a *very* good day", ()),
        ("The agency (which I run) is here.", None, "The agency (which I run) is here.", ()),
        ("the agency (EPA) said", None, "the agency (EPA) said", ()),
        ("I <3 you and 4 > 3", None, "I <3 you and 4 > 3", ()),
        ("Meet at 9:30 today", None, "Meet at 9:30 today", ()),
        ("Remember this: be kind.", None, "Remember this: be kind.", ()),
        ("Chapter 4: The Whale", None, "Chapter 4: The Whale", ()),
        ("CHAPTER IV: The Whale", None, "CHAPTER IV: The Whale", ()),
        ("Note: bring it.", None, "Note: bring it.", ()),
        ("-5 degrees", None, "-5 degrees", ()),
        ("Q: Why?", "Q", "Why?", ()),
    ],
)
def test_cue_parts(text: str, speaker: str | None, speech: str, sounds: tuple[str, ...]) -> None:
    cue = srt(text, "Then this.").cues[0]
    assert (cue.speaker, cue.text, cue.sounds) == (speaker, speech, sounds)


def test_a_cue_with_two_speakers_becomes_two() -> None:
    caption = srt("- Are you hurt?\n- I don't think so.", ">> Why? >> ANN: Because.")
    assert [(c.speaker, c.text) for c in caption.cues] == [
        (None, "Are you hurt?"), (None, "I don't think so."), (None, "Why?"), ("ANN", "Because.")
    ]  # fmt: skip
    assert caption.text == "Are you hurt?\nI don't think so.\nWhy?\nBecause."


def test_names_in_mixed_case_are_learned_from_the_document() -> None:
    assert (
        srt("Ishmael: Call me.", "Ahab: No.", "Ishmael: Yes.", "Ishmael: Then go.", "Ahab: So be it.").cues[0].speaker
        == "Ishmael"
    )
    assert srt("Ishmael: Call me.", "So he said.").cues[0].speaker is None


CAPITALS = ("GOOD EVENING.", "PRINTING, IN THE ONLY SENSE: WITH WHICH", "WE ARE AT PRESENT\nCONCERNED: DIFFERS FROM MOST")


@pytest.mark.parametrize(
    ("text", "speaker", "speech"),
    [
        ("THE ANSWER IS SIMPLE: WE VOTE.", None, "THE ANSWER IS SIMPLE: WE VOTE."),
        (">> LET ME SAY THIS: I OBJECT.", None, "LET ME SAY THIS: I OBJECT."),
        ("AND SO:\nWE WENT HOME.", None, "AND SO: WE WENT HOME."),
        ("WE WENT\nHOME: NOW.", None, "WE WENT HOME: NOW."),
        ("THE BOARD (ALL OF US) AGREED.", None, "THE BOARD (ALL OF US) AGREED."),
        ("JOHN SMITH: HELLO.", "JOHN SMITH", "HELLO."),
        (">> MR. JONES: HELLO.", "MR. JONES", "HELLO."),
        ("(MUSIC)\nCLERK: HELLO.", "CLERK", "HELLO."),
    ],
)
def test_capitals_name_nobody_in_a_document_in_capitals(text: str, speaker: str | None, speech: str) -> None:
    caption = srt(text, *CAPITALS)
    assert (caption.cues[0].speaker, caption.cues[0].text) == (speaker, speech)
    assert caption.text.endswith("IN THE ONLY SENSE: WITH WHICH WE ARE AT PRESENT CONCERNED: DIFFERS FROM MOST")


# bad input


@pytest.mark.parametrize(
    ("data", "kind", "error"),
    [
        (b"", "srt", CaptionEmpty),
        (b"\r\n \n", "txt", CaptionEmpty),
        (b"\0" * 100, "srt", CaptionEmpty),
        (b"WEBVTT\n\nNOTE nothing\n", "vtt", CaptionEmpty),
        (b"WEBVTT\n\n00:01.000 --> 00:02.000\n\n", "vtt", CaptionEmpty),
        (b"1\n00:00:01,000 --> 00:00:02,000\n[Music]\n", "srt", CaptionEmpty),
        (b"1\n00:00:01,000 --> 00:00:02,000\n...\n", "srt", CaptionEmpty),
        (b"Just some words.\n", "srt", CaptionUnreadable),
        (b"Just some words.\n", "vtt", CaptionUnreadable),
        (b"<!DOCTYPE html><html><body>404</body></html>", "srt", CaptionUnreadable),
        (b"{\\rtf1\\ansi Hello}", "txt", CaptionUnreadable),
        (b"%PDF-1.4 ...", "txt", CaptionUnreadable),
        (bytes(range(256)) * 20, "srt", CaptionUnreadable),
        (b"ID3\x04\0\0\0\0\0\x01\xff\xfb\x90\x64" + bytes(range(0, 32)) * 40, "txt", CaptionUnreadable),
    ],
)
def test_bad_files_say_what_is_wrong(data: bytes, kind: str, error: type[CaptionError]) -> None:
    with pytest.raises(error) as info:
        parse_caption(data, kind)
    assert str(info.value) and info.value.reason in (Reason.CAPTION_EMPTY, Reason.CAPTION_UNREADABLE)


@pytest.mark.parametrize(("codec", "language", "text"), [
    ("cp1252", None, "Où est le café ? C’est là-bas, près de l’église. Voilà où j’étais né, à côté de la forêt."),
    ("cp1252", "de", "Schöne Grüße"),
    ("cp1251", "ru", "Привет"),
    ("cp1251", None, "Мы видим слева большую машину, а справа видим её хозяина. Всё в порядке, не бойся."),
    ("cp1250", "pl", "Zażółć gęślą jaźń"),
    ("cp932", "ja", "左に見えるのは"),
    ("gb18030", "zh", "我们看到左边"),
    ("utf-16", None, "Größe"),
    ("utf-16-le", None, "Hello there, my friend"),
    ("utf-16-be", None, "Hello there, my friend"),
    ("utf-32", None, "Größe"),
])  # fmt: skip
def test_old_code_pages(codec: str, language: str | None, text: str) -> None:
    caption = parse_caption(f"1\n00:00:01,000 --> 00:00:02,000\n{text}\n".encode(codec), "srt", language)
    assert caption.text == text


def test_broken_bytes_do_not_lose_the_rest() -> None:
    good = "1\n00:00:01,000 --> 00:00:02,000\nC’est déjà l’été, à côté.\n".encode()
    assert "déjà" in parse_caption(good.replace(b"C", b"\xff"), "srt").text
    assert "déjà" in parse_caption(good + b"\xe2\x80", "srt").text
    assert parse_caption(good.decode().encode("utf-16") + b"\n", "srt").text == "C’est déjà l’été, à côté."


def test_mojibake_is_repaired_in_the_text_and_kept_in_the_raw() -> None:
    caption = srt("Itâ€™s a cafÃ©")
    assert caption.text == "It’s a café" or caption.text == "It's a café"
    assert "â€™" in caption.raw


@given(st.binary(max_size=300), st.sampled_from(["srt", "vtt", "txt"]))
def test_any_bytes_give_a_caption_or_a_counted_reason(data: bytes, kind: str) -> None:
    try:
        caption = parse_caption(data, kind)
    except CaptionError as error:
        assert isinstance(error.reason, Reason)
    else:
        assert caption.text.strip() and caption.cues


@given(st.lists(st.text(max_size=60), min_size=1, max_size=8), st.sampled_from(["srt", "vtt"]))
def test_any_cue_text_is_parsed_and_times_never_run_backwards(texts: list[str], kind: str) -> None:
    try:
        caption = (srt if kind == "srt" else vtt)(*(t.encode("utf-8", "replace").decode() for t in texts))
    except CaptionError:
        return
    assert all(c.start_s is not None and c.end_s is not None and c.start_s <= c.end_s for c in caption.cues)
    assert caption.text == caption.text.strip()


def test_a_long_file_is_parsed_in_linear_time() -> None:
    import time

    many = "\n".join(
        f"{i}\n{at},000 --> {at},900\nword ({i}) [x <b>y\n"
        for i, at in ((i, f"{i // 3600:02}:{i // 60 % 60:02}:{i % 60:02}") for i in range(40_000))
    )
    start = time.monotonic()
    assert len(parse_caption(many.encode(), "srt").cues) == 40_000
    assert time.monotonic() - start < 20
