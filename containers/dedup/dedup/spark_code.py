"""Stage ``spark_code``: what ``dedup/spark.py`` is run from where there is no image: ``main.py`` and ``code.zip``.

A Spark service brings Python with numpy, scipy, pandas and pyarrow. The zip brings the rest, from this image: ``dedup``,
``stagekit`` and ``datasketch``, all of it Python that runs from a zip.
"""

from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path

from dedup import spark
from stagekit.stage import Context, Params, StageError, stage

PACKAGES = ("datasketch", "dedup", "stagekit")
MAIN = f"from {spark.__name__} import main\n\nmain()\n"


class SparkCodeParams(Params):
    """None: the code is the image's."""


@stage("spark_code", version=1, params=SparkCodeParams, unit="package", libraries=["datasketch"])
def run(ctx: Context[SparkCodeParams]) -> None:
    """Write ``main.py`` and ``code.zip``: the same bytes from the same image."""
    ctx.path("main.py").write_text(MAIN)
    with zipfile.ZipFile(ctx.path("code.zip"), "w") as archive:
        for package in PACKAGES:
            ctx.enter(package)
            spec = importlib.util.find_spec(package)
            if spec is None or not spec.submodule_search_locations:
                raise StageError(f"package {package} is not in this environment")
            home = Path(spec.submodule_search_locations[0])
            for file in sorted(home.rglob("*.py")):
                name = zipfile.ZipInfo(f"{package}/{file.relative_to(home).as_posix()}")  # it has no time stamp
                archive.writestr(name, file.read_bytes(), zipfile.ZIP_DEFLATED)
            ctx.keep(package)
