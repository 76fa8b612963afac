"""Timestamps of a transcript are no words; clock times of a text are."""

import pytest

from ingest.captions import parse_caption

SAID = ("We went up the river.", "At 5:30 we came back.", "Who was with you?", "Nobody but the dog.")


def text(*blocks: str) -> str:
    return parse_caption("\n\n".join(blocks).encode(), "txt").text.replace("\n", " ").replace("  ", " ")


@pytest.mark.parametrize(
    "form",
    [
        "Speaker 1 (00:{at:02d}):\n{said}", "Jane Doe  0:{at:02d}\n{said}", "JANE DOE: [00:00:{at:02d}]\n{said}",
        "00:{at:02d}\n{said}", "[00:00:{at:02d}.250] {said}", "0:{at:02d} - {said}", "{said} [0:{at:02d}]",
        "0:00:{at:02d}.000,0:00:{at:02d}.900\n{said}", "00:00:{at:02d} Speaker 1: {said}", "({at}:05:10)\n{said}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("between", ["\n\n", "\n"])
def test_stamps_are_left_out_and_names_are_speakers(form: str, between: str) -> None:
    lines = between.join(form.format(at=7 * n + 3, said=said) for n, said in enumerate(SAID))
    caption = parse_caption(lines.encode(), "txt")
    assert caption.text.split() == " ".join(SAID).split()
    assert caption.raw.strip() == lines
    if "Speaker" in form or "ane" in form:
        assert {cue.speaker for cue in caption.cues if cue.text} <= {"Speaker 1", "Jane Doe", "JANE DOE"}


@pytest.mark.parametrize(
    "blocks",
    [
        ("5:30 was too early.", "We left at 7:45.", "Nobody spoke."),  # two
        ("9:15 and we wait.", "8:00 was the plan.", "7:45 would have done.", "It rained."),  # not in order
        ("10:15 am is late.", "11:15 a.m. is later.", "12:30 p.m. is lunch."),
        ("It was 5:30.", "It was 6:30.", "It was 7:30.", "It was (8:30) at last, or so."),
        ("Score 5:30", "He was there.", *["And more of this was said."] * 8),
    ],
)
def test_times_that_were_read_stay(blocks: tuple[str, ...]) -> None:
    assert text(*blocks) == " ".join(blocks)
