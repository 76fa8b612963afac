"""Captions for tests: real files of ``data/`` and small ones built from texts."""

from pathlib import Path

from ingest.captions import Caption, parse_caption

DATA = Path(__file__).parent / "data"


def read(name: str) -> Caption:
    return parse_caption((DATA / name).read_bytes(), name[-3:])


def srt(*texts: str) -> Caption:
    cues = (f"{i}\n00:00:{2 * i:02},000 --> 00:00:{2 * i + 1:02},000\n{t}\n" for i, t in enumerate(texts, 1))
    return parse_caption("\n".join(cues).encode(), "srt")


def vtt(*texts: str, header: str = "WEBVTT") -> Caption:
    cues = (f"00:{2 * i:02}.000 --> 00:{2 * i + 1:02}.000\n{t}\n" for i, t in enumerate(texts, 1))
    return parse_caption("\n\n".join([header, *cues]).encode(), "vtt")


YOUTUBE = """WEBVTT
Kind: captions
Language: en

00:00:00.030 --> 00:00:02.909 align:start position:0%
\x20
the first thing<00:00:00.560><c> I</c><00:00:00.880><c> want</c>

00:00:02.909 --> 00:00:02.919 align:start position:0%
the first thing I want
\x20

00:00:02.919 --> 00:00:05.000 align:start position:0%
the first thing I want
to say<00:00:03.560><c> is</c><00:00:03.880><c> that</c>

00:00:05.000 --> 00:00:05.010 align:start position:0%
to say is that
\x20

00:00:05.010 --> 00:00:07.000 align:start position:0%
to say is that
that<00:00:05.560><c> is</c><00:00:05.880><c> that</c>

00:00:07.000 --> 00:00:07.010 align:start position:0%
that is that
\x20
"""
