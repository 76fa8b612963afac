"""Caption bytes to Unicode: byte order marks, UTF-8, UTF-16 without a mark, and the 8-bit code pages of old subtitle files."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

import charset_normalizer

from ingest.errors import CaptionUnreadable

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""Longer marks first: UTF-32's little-endian mark starts with UTF-16's."""

CODE_PAGES = {
    "ru": "cp1251", "uk": "cp1251", "be": "cp1251", "bg": "cp1251", "mk": "cp1251", "sr": "cp1250",
    "pl": "cp1250", "cs": "cp1250", "sk": "cp1250", "hu": "cp1250", "ro": "cp1250", "hr": "cp1250",
    "sl": "cp1250", "bs": "cp1250",
    "el": "cp1253", "tr": "cp1254", "he": "cp1255", "ar": "cp1256", "fa": "cp1256", "lt": "cp1257",
    "lv": "cp1257", "et": "cp1257",
    "vi": "cp1258", "th": "cp874", "ja": "cp932", "ko": "cp949", "zh": "gb18030",
}  # fmt: skip
"""Language → the Windows code page of its old subtitle files; cp1252 where it is not listed."""

_CANDIDATES = ["cp1252", *sorted(set(CODE_PAGES.values())), "euc_jp", "big5"]
MAX_CONTROL_SHARE = 0.01
"""A file with a larger share of control characters, or of characters that could not be decoded, is not text."""


@dataclass(frozen=True)
class Decoded:
    """A file as Unicode, and the encoding that was used."""

    text: str
    encoding: str


def decode(data: bytes, language: str | None = None) -> Decoded:
    """Decode a caption or text file. Line ends and everything else stay as they are; a byte order mark goes.

    Args:
        data: the file.
        language: language it claims to be in (BCP 47); it decides between 8-bit code pages.

    Raises:
        CaptionUnreadable: it is no text in any encoding that is tried.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return _checked(_forgiving(data[len(mark) :], encoding), encoding)
    if (wide := _wide(data)) is not None:
        return _checked(_forgiving(data, wide), wide)
    try:
        return _checked(data.decode("utf-8"), "utf-8")
    except UnicodeDecodeError:
        pass
    # A UTF-8 file with a few bad bytes: more whole multi-byte sequences than damaged ones.
    damaged = data.decode("utf-8", "replace")
    bad = damaged.count("\ufffd")
    if sum(1 for c in damaged if ord(c) > 127) > 2 * bad:
        return _checked(damaged, "utf-8")
    return _eight_bit(data, language)


def _forgiving(data: bytes, encoding: str) -> str:
    """UTF-16 and UTF-32 files that were cut inside a character lose only that one."""
    width = 4 if "32" in encoding else 2 if "16" in encoding else 1
    return data[: len(data) // width * width].decode(encoding, "replace")


def _wide(data: bytes) -> str | None:
    """UTF-16 without a mark: ASCII text has a zero in every other byte."""
    head = data[:4096]
    if len(head) < 4 or b"\0" not in head:
        return None
    even, odd = head[0::2].count(0) / len(head[0::2]), head[1::2].count(0) / len(head[1::2])
    if odd > 0.4 and even < 0.05:
        return "utf-16-le"
    if even > 0.4 and odd < 0.05:
        return "utf-16-be"
    return None


def _eight_bit(data: bytes, language: str | None) -> Decoded:
    code = (language or "").split("-")[0].lower()
    if code:
        page = CODE_PAGES.get(code, "cp1252")
        try:
            return _checked(data.decode(page), page)
        except (UnicodeDecodeError, CaptionUnreadable):
            pass
    best = charset_normalizer.from_bytes(data, cp_isolation=_CANDIDATES).best()
    # Western European is by far the most common of the Latin pages, which differ in a few letters too few to tell by.
    if best is not None and best.encoding not in ("cp1250", "cp1254", "cp1257", "cp1258"):
        return _checked(str(best), best.encoding)
    return _checked(data.decode("cp1252", "replace"), "cp1252")


def _checked(text: str, encoding: str) -> Decoded:
    odd = sum(1 for c in text if (c < " " and c not in "\t\n\r\f\v\x1b") or c in "\x7f\ufffd")
    if odd > max(2, MAX_CONTROL_SHARE * len(text)):
        raise CaptionUnreadable(
            f"not text: {odd} of {len(text)} characters are control characters or undecodable (read as {encoding})"
        )
    return Decoded(text.removeprefix("\ufeff"), encoding)
