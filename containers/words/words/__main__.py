"""``python -m words <stage>``; see the README."""

from stagekit.cli import main

main("words", {"train": "words.train", "align": "words.align"})
