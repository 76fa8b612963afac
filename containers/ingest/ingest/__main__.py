"""``python -m ingest <stage> …``; see containers/ingest/README.md."""

from stagekit.cli import main

STAGES = {"discover": "ingest.discover", "fetch": "ingest.fetch", "voices": "ingest.voices", "prepare": "ingest.prepare"}

if __name__ == "__main__":
    main("ingest", STAGES)
