"""A document's language is that of its text; a text in several is kept if enough of it is in the claimed one."""

from __future__ import annotations

import pytest

from ingest.document import CaptionRejected, draft
from ingest.language import share_in
from stagekit.tables import Reason

ENGLISH = "The prisoners were told that they would be free as soon as the war was over and the roads were safe again. "
FRENCH = "Les prisonniers apprirent qu'ils seraient libres aussitôt que la guerre serait finie et les routes enfin sûres. "
ITEM = {"language": "en", "caption_kind": "txt", "caption_uri": "a.txt", "audio_uri": "a.wav", "extra": "{}"}


def text(english: int, french: int) -> bytes:
    return (3 * (ENGLISH + "\n\n") * english + 3 * (FRENCH + "\n\n") * french).encode()


@pytest.mark.parametrize(("english", "french"), [(2, 2), (1, 3), (3, 0)])
def test_a_text_with_paragraphs_in_another_language_is_kept(english: int, french: int) -> None:
    assert draft(text(english, french), ITEM).columns["language"] == "en"


@pytest.mark.parametrize(("english", "french"), [(0, 3), (1, 12)])
def test_a_text_in_another_language_is_not(english: int, french: int) -> None:
    with pytest.raises(CaptionRejected) as caught:
        draft(text(english, french), ITEM)
    assert caught.value.reason == Reason.TEXT_WRONG_LANGUAGE


@pytest.mark.parametrize(
    ("scheme", "stem", "kind"),
    [
        ("file:///a/", "What is a boat?", "machine"),
        ("file:///a/", "What is a boat%3F", "machine"),
        ("gs://b/", "What is a boat?", "machine"),
        ("gs://b/", "100%2ehuman", "machine"),
        ("https://e.org/", "x.wav?y=", "unknown"),
    ],
)
def test_a_machine_s_caption_is_known_by_its_name_in_any_uri(scheme: str, stem: str, kind: str) -> None:
    item = {**ITEM, "caption_uri": f"{scheme}{stem}.asr.txt", "audio_uri": f"{scheme}{stem}.wav"}
    assert draft(text(1, 0), item, machine_captions=True).columns["caption_provenance"] == kind


def test_the_share_is_by_characters() -> None:
    assert share_in(text(1, 1).decode(), "en") == pytest.approx(0.5, abs=0.05)
    assert share_in("Too short.", "en") == 0.0
