"""``python -m release <stage>``, and two commands that are no stages: ``report`` and ``export-nemo`` (see the README)."""

from __future__ import annotations

import sys

from stagekit.cli import main

STAGES = {name: f"release.{name}" for name in ("seal", "collect", "split", "split_speakers", "package", "publish")}

STAGES |= {f"{name}_words": f"release.words.{name}" for name in ("collect", "package", "publish")}

if __name__ == "__main__":
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command == "report":
        from release.report import main as report

        sys.exit(report(sys.argv[2:]))
    if command == "export-nemo":
        from release.nemo import main as export

        sys.exit(export(sys.argv[2:]))
    main("release", STAGES)
