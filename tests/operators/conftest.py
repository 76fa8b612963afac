"""A checkout with one image, ``echo``, whose stage is a real one of stagekit: what runner and operator are tested on."""

from __future__ import annotations

from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]

STAGES = '''
import os, signal, subprocess, sys, time
from pathlib import Path
from pydantic import Field
from stagekit.stage import Context, EmptyInput, Params, StageError, stage


class EchoParams(Params):
    word: str = Field("", description="what to say")
    seconds: float = Field(0.0, description="how long to take")
    fail: str = Field("", description="fail with this line")
    empty: bool = Field(False, description="find nothing to do")
    kill: bool = Field(False, description="be killed")
    child: str = Field("", description="file for the pid of a worker that does not listen to SIGTERM")


@stage("echo", version=1, params=EchoParams, unit="word")
def run(ctx: Context[EchoParams]) -> None:
    p = ctx.params
    print(f"saying {p.word}", file=sys.stderr, flush=True)
    if p.empty:
        raise EmptyInput("no words")
    if p.fail:
        raise StageError(p.fail)
    if p.kill:
        os.kill(os.getpid(), signal.SIGKILL)
    if p.child:
        code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
        worker = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        worker.stdout.readline()
        Path(p.child).write_text(str(worker.pid))
    time.sleep(p.seconds)
    ctx.path("word.txt").write_text(p.word)
    ctx.metrics["word"] = p.word
    ctx.metrics.update(published=p.word != "again", why="it was said before")
'''


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A checkout: stagekit and an environment are this one's, the image is the test's."""
    checkout = tmp_path / "repo"
    package = checkout / "containers/echo/echo"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('"""Echo."""\n')
    (package / "stages.py").write_text(STAGES)
    (package / "__main__.py").write_text('from stagekit.cli import main\nmain("echo", {"echo": "echo.stages"})\n')
    (checkout / "containers/stagekit").symlink_to(REPO / "containers/stagekit")
    (checkout / ".venvs").mkdir()
    (checkout / ".venvs/echo").symlink_to(REPO / ".venvs/release")
    return checkout
