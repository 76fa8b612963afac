"""``python -m demo <stage>``."""

from stagekit.cli import main

main("demo", {"longer": "demo.longer", "first": "demo.first"})
