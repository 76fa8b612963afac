"""Makes recogniser_captions.json: what an English recogniser writes when it hears German, French and Mandarin.

    .venvs/align/bin/python tests/known_answers/make_recogniser_captions.py

Such captions lie in the Internet Archive. These come from pocketsphinx with its own English model, which is the hardest case
for a pipeline that recognises with pocketsphinx: the words do fit what it hears. The file is committed.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from pocketsphinx import Decoder
from signal_tools import RATE, Signal, load
from sources import DATA, foreign_clips

OUT = Path(__file__).resolve().parent / "recogniser_captions.json"
PIECE_S = 20


def heard(decoder: Decoder, samples: Signal) -> str:
    """Words heard in a clip, in pieces of 20 s."""
    words = []
    for i in range(0, len(samples), PIECE_S * RATE):
        decoder.start_utt()
        decoder.process_raw((np.clip(samples[i : i + PIECE_S * RATE], -1, 1) * 32767).astype("<i2").tobytes(), full_utt=True)
        decoder.end_utt()
        hypothesis = decoder.hyp()
        words.append(hypothesis.hypstr if hypothesis else "")
    return " ".join(" ".join(words).split())


def main() -> None:
    """Decode and write."""
    decoder = Decoder(loglevel="FATAL")
    captions = {"fr": heard(decoder, load(DATA / "udhr/human_rights_un_frn_ezwa_64kb-preamble.mp3"))}
    for language in ("de", "zh-CN"):
        for clip in foreign_clips(language):
            captions[clip.id] = heard(decoder, load(clip.path))
    OUT.write_text(json.dumps(captions, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
