"""``python -m align <stage>``; see the README."""

from stagekit.cli import main

main("align", {"recognize": "align.recognize", "align": "align.align", "score": "align.score"})
