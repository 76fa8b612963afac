"""``python -m dedup cluster``: see containers/dedup/README.md."""

from stagekit.cli import main

STAGES = {"cluster": "dedup.cluster"}

if __name__ == "__main__":
    main("dedup", STAGES)
