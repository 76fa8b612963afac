"""The command line of an image: ``python -m <package> <stage> --input … --output … --params …``. Exit codes: see :func:`main`."""

from __future__ import annotations

import argparse
import errno
import importlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from types import FrameType
from typing import Any, NoReturn

from pydantic import ValidationError

from stagekit.errors import EmptyInput, StageError, UnavailableError
from stagekit.progress import clock
from stagekit.run import Outcome, run_stage
from stagekit.stage import Stage
from stagekit.storage import resolve

EXIT_EMPTY = 99
EXIT_UNAVAILABLE = os.EX_TEMPFAIL
EXIT_TERMINATED = 128 + signal.SIGTERM


def load_stage(package: str, stages: Mapping[str, str], name: str) -> Stage:
    """The stage of a name; its module is imported only now.

    Raises:
        StageError: there is no such stage.
    """
    if name not in stages:
        raise StageError(f"{package} has no stage '{name}'; it has: {', '.join(sorted(stages))}")
    module = importlib.import_module(stages[name])
    found = [v for v in vars(module).values() if isinstance(v, Stage) and v.name == name]
    if not found:
        raise StageError(f"module {stages[name]} registers no stage '{name}'")
    return found[0]


def describe(stage: Stage) -> dict[str, Any]:
    """What a stage is, for documentation and for checks of a chain of stages."""
    return {
        "image": stage.image,
        "stage": stage.name,
        "summary": (importlib.import_module(stage.run.__module__).__doc__ or "").strip().partition("\n")[0],
        "unit": stage.unit,
        "reads": list(stage.reads),
        "writes": list(stage.writes),
        "raw_inputs": stage.raw_inputs,
        "params": stage.params.model_json_schema(),
    }


def main(package: str, stages: Mapping[str, str], argv: list[str] | None = None) -> NoReturn:
    """Run one stage and exit.

    0: done or nothing to do. 99: empty input. 1: an error, one line on stderr; 75: the same, where only time is needed (a store
    is out). 143: SIGTERM.

    Args:
        package: the image's package.
        stages: stage name → module that registers it.
        argv: arguments, default the process's.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {package}", description=f"Stages of the image '{package}'.")
    parser.add_argument("stage", choices=[*sorted(stages), "describe"], help="what to run; 'describe' prints all stages as JSON")
    parser.add_argument("--input", action="append", default=[], metavar="[ROLE=]URI[#SHARD]", help="input; may be repeated")
    parser.add_argument("--output", metavar="URI", help="folder in which the output folder, named by its fingerprint, is made")
    parser.add_argument("--params", default="{}", metavar="JSON", help="parameters as JSON, or @FILE")
    parser.add_argument("--receipt", metavar="URI", help="where to write what came out, for the caller")
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--workers", type=int, default=cores, help="processes (default: cores; 0: none of its own)")
    parser.add_argument("--quiet", action="store_true", help="no progress lines")
    parser.add_argument("--schema", action="store_true", help="print the parameters' JSON schema and exit")
    args = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        if args.stage == "describe":
            print(json.dumps([describe(load_stage(package, stages, name)) for name in sorted(stages)], indent=1))
            sys.exit(0)
        stage = load_stage(package, stages, args.stage)
        if args.schema:
            print(json.dumps(stage.params.model_json_schema(), indent=1))
            sys.exit(0)
        if not args.output:
            parser.error("--output is required")
        params = _params(stage, args.params)
        outcome = run_stage(stage, args.input, args.output, params, workers=args.workers, quiet=args.quiet)
        if args.receipt:
            store, path = resolve(args.receipt)
            store.write_bytes(path, (json.dumps(outcome.receipt(), indent=1, sort_keys=True) + "\n").encode())
        print(summary(stage, outcome), flush=True)
        sys.exit(0)
    except EmptyInput as empty:
        print(f"{package} {args.stage}: nothing to do: {empty}", file=sys.stderr, flush=True)
        sys.exit(EXIT_EMPTY)
    except UnavailableError as error:
        _fail(package, args.stage, " ".join(str(error).split()), EXIT_UNAVAILABLE)
    except StageError as error:
        _fail(package, args.stage, " ".join(str(error).split()))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            traceback.print_exc()
        _fail(package, args.stage, f"{error.strerror or type(error).__name__}: {error.filename or error}")
    except KeyboardInterrupt:
        _fail(package, args.stage, "interrupted")
    except Exception as error:
        traceback.print_exc()
        _fail(package, args.stage, f"{type(error).__name__}: {' '.join(str(error).split())}")


def _params(stage: Stage, text: str) -> Any:
    try:
        if text.startswith("@"):
            store, path = resolve(text[1:])
            text = store.read_bytes(path).decode("utf-8")
        return stage.params.model_validate_json(text)
    except FileNotFoundError:
        raise StageError(f"--params {text}: no such file") from None
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'JSON'}: {e['msg']}" for e in error.errors(include_url=False))
        raise StageError(f"--params: {problems}") from None


def summary(stage: Stage, outcome: Outcome) -> str:
    """One line for a person: what went in and out."""
    ledger, name = outcome.success["ledger"], f"{stage.image} {stage.name}"
    if outcome.skipped:
        return f"{name}: nothing has changed, {outcome.output} is reused"
    lost = sum(r["seconds"] for r in ledger["rejected"].values())
    units = sum(r["units"] for r in ledger["rejected"].values())
    took = clock(outcome.success["run"]["wall_s"])
    return (
        f"{name}: {ledger['in']['units']} {ledger['unit']}s in ({clock(ledger['in']['seconds'])} of audio), "
        f"{ledger['out']['units']} on ({clock(ledger['out']['seconds'])}), {units} rejected ({clock(lost)}), "
        f"in {took} → {outcome.output}"
    )


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    sys.stderr.write("terminated (SIGTERM): nothing of this run is visible\n")
    sys.exit(EXIT_TERMINATED)


def _fail(package: str, stage: str, message: str, code: int = 1) -> NoReturn:
    print(f"{package} {stage}: {message}", file=sys.stderr, flush=True)
    sys.exit(code)
