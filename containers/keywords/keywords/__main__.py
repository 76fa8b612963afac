"""``python -m keywords <stage> …``; see containers/keywords/README.md."""

from stagekit.cli import main

STAGES = {"select": "keywords.select", "cut": "keywords.cut", "outliers": "keywords.outliers"}

if __name__ == "__main__":
    main("keywords", STAGES)
