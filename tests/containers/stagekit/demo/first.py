"""Makes recordings out of a raw folder of text files: one line, one duration; one shard a file."""

from pathlib import Path

from stagekit.stage import Context, EmptyInput, Params, stage
from stagekit.storage import below, local_copy, resolve


class FirstParams(Params):
    pass


@stage("first", version=1, params=FirstParams, unit="recording", writes=["recordings"], raw_inputs=True)
def run(ctx: Context[FirstParams]) -> None:
    store, path = resolve(ctx.inputs[0].uri)
    files = [name for name, _ in store.list(path)]
    if not files:
        raise EmptyInput("no files")
    for shard, name in enumerate(files):
        with local_copy(below(ctx.inputs[0].uri, name)) as local:
            for number, line in enumerate(Path(local).read_text().splitlines()):
                row_id = f"{name}-{number}"
                ctx.enter(row_id, float(line))
                ctx.keep(row_id, float(line))
                ctx.write(
                    "recordings",
                    {
                        "recording_id": row_id,
                        "uri": "file:///x",
                        "bytes": 1,
                        "duration_s": float(line),
                        "samples": int(float(line) * 16000),
                        "sample_rate": 16000,
                        "channels": 1,
                        "codec": "flac",
                        "container": "flac",
                        "bit_rate": None,
                        "fingerprint": [],
                    },
                    shard,
                )
