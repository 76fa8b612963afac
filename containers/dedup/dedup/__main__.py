"""``python -m dedup <stage>``: see containers/dedup/README.md."""

from stagekit.cli import main

STAGES = {"cluster": "dedup.cluster", "spark_code": "dedup.spark_code"}

if __name__ == "__main__":
    main("dedup", STAGES)
