"""``python -m quality check``; see README.md."""

from stagekit.cli import main

main("quality", {"check": "quality.check"})
