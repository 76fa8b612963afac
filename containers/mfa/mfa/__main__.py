"""``python -m mfa <train|align>``: see containers/mfa/README.md."""

from stagekit.cli import main

STAGES = {"train": "mfa.train", "align": "mfa.align"}

if __name__ == "__main__":
    main("mfa", STAGES)
