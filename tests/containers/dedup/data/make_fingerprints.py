"""Writes fingerprints.json: the audio identities of the samples that the tests of dedup use (this image cannot decode audio).

Run from the repository's root:
PYTHONPATH=containers/stagekit:containers/ingest .venvs/ingest/bin/python tests/containers/dedup/data/make_fingerprints.py
"""

import json
from pathlib import Path

from ingest.identity import fingerprint
from stagekit.audio import decode
from stagekit.identity import VERSION

HERE = Path(__file__).parent
SAMPLES = HERE.parents[3] / "samples" / "peoples_speech" / "en"
FILES = (
    "udhr_preamble.mp3",
    "udhr_preamble_small.opus",
    "sonnet_002.mp3",
    "vanity_fair.opus",
    "inaugural_1961.flac",
    "jimmie_dale.mp3",
)

if __name__ == "__main__":
    prints = {name: fingerprint([decode(SAMPLES / name)]).tolist() for name in FILES}
    (HERE / "fingerprints.json").write_text(json.dumps({"version": VERSION, "fingerprints": prints}) + "\n")
