"""Keeps the recordings that are long enough; some parameters plant faults."""

import os
import signal
import time

from pydantic import Field

from demo.helper import LIMIT
from stagekit.stage import RUNTIME, Context, Crashed, Params, Reason, stage


class LongerParams(Params):
    min_s: float = Field(LIMIT, ge=0, description="shortest duration kept, seconds")
    crash_on: str = Field("", description="recording whose worker kills itself")
    lose: str = Field("", description="recording to forget")
    sleep_s: float = Field(0.0, description="how long each unit takes", json_schema_extra=RUNTIME)


def judge(job: tuple[dict, LongerParams]) -> bool:
    row, params = job
    time.sleep(params.sleep_s)
    if row["recording_id"] == params.crash_on:
        os.kill(os.getpid(), signal.SIGKILL)
    return row["duration_s"] >= params.min_s


@stage("longer", version=1, params=LongerParams, unit="recording", reads=["recordings"], writes=["recordings", "rejections"])
def run(ctx: Context[LongerParams]) -> None:
    jobs = [(row, ctx.params) for row in ctx.rows("recordings")]
    for (row, _), kept in ctx.map(judge, jobs, seconds=lambda job: job[0]["duration_s"]):
        ctx.enter(row["recording_id"], row["duration_s"])
        if row["recording_id"] == ctx.params.lose:
            continue
        if isinstance(kept, Crashed):
            ctx.reject(row["recording_id"], Reason.CRASHED, kept.detail, end_s=row["duration_s"])
        elif not kept:
            ctx.reject(row["recording_id"], Reason.TOO_SHORT, f"under {ctx.params.min_s} s", end_s=row["duration_s"])
        else:
            ctx.write("recordings", row)
            ctx.keep(row["recording_id"], row["duration_s"])
