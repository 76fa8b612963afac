"""The stage contract, as an operator meets it: processes, exit codes, folders."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import environment


def run_longer(demo, recordings, out, params="{}", *more):
    return demo(
        "longer",
        "--input",
        recordings["output"],
        "--output",
        str(out),
        "--params",
        params,
        "--receipt",
        f"{out}.json",
        "--workers",
        "1",
        *more,
    )


def content(folder: Path) -> dict[str, bytes]:
    """Bytes of every file but the run's metadata."""
    files = {f.name: f.read_bytes() for f in folder.iterdir()}
    success = json.loads(files.pop("_SUCCESS.json"))
    success.pop("run")
    return {**files, "_SUCCESS.json": json.dumps(success, sort_keys=True).encode()}


def test_counts_every_unit_and_second(demo, recordings, tmp_path):
    code, out, err = run_longer(demo, recordings, tmp_path / "out")
    assert code == 0, err
    receipt = json.loads((tmp_path / "out.json").read_text())
    ledger = json.loads(Path(receipt["output"], "_SUCCESS.json").read_text())["ledger"]
    assert ledger["in"] == {"units": 5, "seconds": 9.75}
    assert ledger["out"] == {"units": 3, "seconds": 9.0}
    assert ledger["rejected"] == {"too_short": {"units": 2, "seconds": 0.75}}
    assert receipt["rows"] == {"recordings": 3, "rejections": 2}
    assert "5 recordings in" in out


def test_rerun_is_free_and_says_so(demo, recordings, tmp_path):
    run_longer(demo, recordings, tmp_path / "out")
    folder = Path(json.loads((tmp_path / "out.json").read_text())["output"])
    before = folder.stat().st_mtime_ns
    code, out, _ = run_longer(demo, recordings, tmp_path / "out")
    assert code == 0 and "nothing has changed" in out
    assert json.loads((tmp_path / "out.json").read_text())["skipped"] is True
    assert folder.stat().st_mtime_ns == before


def test_other_parameters_give_another_folder_and_runtime_ones_do_not(demo, recordings, tmp_path):
    run_longer(demo, recordings, tmp_path / "out")
    run_longer(demo, recordings, tmp_path / "out", '{"min_s": 3}')
    assert len(list((tmp_path / "out").iterdir())) == 2
    _, out, _ = run_longer(demo, recordings, tmp_path / "out", '{"sleep_s": 0.001}')
    assert "nothing has changed" in out


def test_a_shard_is_an_input_of_its_own(demo, recordings, tmp_path):
    assert [s.partition("#")[2] for s in recordings["shards"]] == ["00000", "00001"]
    for shard, seconds in zip(recordings["shards"], (5.0, 4.0), strict=True):
        code, _, err = demo(
            "longer", "--input", shard, "--output", str(tmp_path / "out"), "--receipt", str(tmp_path / "r.json"), "--workers", "1"
        )
        assert code == 0, err
        assert json.loads((tmp_path / "r.json").read_text())["seconds"]["out"] == seconds


def test_an_empty_source_exits_99(demo, tmp_path):
    (tmp_path / "empty").mkdir()
    code, _, err = demo("first", "--input", str(tmp_path / "empty"), "--output", str(tmp_path / "out"))
    assert code == 99 and "nothing to do: no files" in err
    assert list((tmp_path / "out").iterdir()) == []


def test_a_raw_folder_s_files_may_have_any_name(demo, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name in ("a%20b.txt", "c\nd.txt"):
        (source / name).write_text("1\n")
    (source / os.fsdecode(b"caf\xe9")).mkdir()
    (source / os.fsdecode(b"caf\xe9/none.txt")).touch()
    out = str(tmp_path / "out")
    code, _, err = demo("first", "--input", source.as_uri(), "--output", out, "--receipt", str(tmp_path / "r.json"))
    assert code == 0, err
    assert json.loads((tmp_path / "r.json").read_text())["rows"]["recordings"] == 2


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["longer", "--input", "/nowhere", "--output", "{out}"], "input /nowhere: no _SUCCESS.json"),
        (["first", "--input", "/nowhere", "--output", "{out}"], "input /nowhere: there is no such folder"),
        (["longer", "--output", "{out}", "--params", '{"min": 2}'], "--params: min: Extra inputs are not permitted"),
        (["longer", "--output", "{out}", "--params", "{"], "--params: JSON: Invalid JSON"),
        (
            ["longer", "--output", "{out}", "--params", '{"min_s": -1}'],
            "--params: min_s: Input should be greater than or equal to 0",
        ),
        (["longer", "--input", "ftp://x/y", "--output", "{out}"], "no storage for 'ftp://'"),
    ],
)
def test_a_mistake_is_one_clear_line(demo, tmp_path, argv, expected):
    code, _, err = demo(*[a.replace("{out}", str(tmp_path / "out")) for a in argv])
    assert code == 1
    assert expected in err.strip().splitlines()[-1]
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def test_a_lost_unit_fails_the_stage(demo, recordings, tmp_path):
    code, _, err = run_longer(demo, recordings, tmp_path / "out", '{"lose": "a.txt-1"}')
    assert code == 1
    assert "recording a.txt-1 was lost: neither kept nor rejected" in err
    assert list((tmp_path / "out").iterdir()) == []


def test_a_crashing_worker_costs_one_unit(demo, recordings, tmp_path):
    code, _, err = run_longer(demo, recordings, tmp_path / "out", '{"crash_on": "a.txt-1"}')
    assert code == 0, err
    receipt = json.loads((tmp_path / "out.json").read_text())
    ledger = json.loads(Path(receipt["output"], "_SUCCESS.json").read_text())["ledger"]
    assert ledger["rejected"]["crashed"] == {"units": 1, "seconds": 2.0}
    assert ledger["out"]["units"] == 2


def test_sigterm_leaves_nothing_visible(start, recordings, tmp_path):
    process = start(
        "longer",
        "--input",
        recordings["output"],
        "--output",
        str(tmp_path / "out"),
        "--params",
        '{"sleep_s": 5}',
        "--workers",
        "1",
    )
    wait_for(lambda: any((tmp_path / "out").glob(".staging-*")))
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 143
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("after_s", [0.0, 0.8, 1.6])
def test_sigkill_at_any_moment_then_a_rerun_gives_the_same_bytes(start, demo, recordings, tmp_path, after_s):
    run_longer(demo, recordings, tmp_path / "whole")
    whole = next((tmp_path / "whole").iterdir())
    process = start(
        "longer",
        "--input",
        recordings["output"],
        "--output",
        str(tmp_path / "out"),
        "--params",
        '{"sleep_s": 0.6}',
        "--workers",
        "1",
    )
    wait_for(lambda: any((tmp_path / "out").glob(".staging-*")))
    time.sleep(after_s)
    process.kill()
    process.wait()
    assert not any(f for f in (tmp_path / "out").iterdir() if not f.name.startswith("."))
    code, out, err = run_longer(demo, recordings, tmp_path / "out")
    assert code == 0, err
    assert "nothing has changed" not in out
    assert [f.name for f in (tmp_path / "out").iterdir()] == [whole.name], "what the killed run left is gone"
    assert content(tmp_path / "out" / whole.name) == content(whole)


def wait_for(condition, timeout_s=30):
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, "timed out"
        time.sleep(0.02)


def test_a_full_disk_is_one_clear_line_and_nothing_half_visible(recordings, tmp_path):
    """On a file system of its own, too small for the output, in a user namespace (no root needed)."""
    disk = tmp_path / "disk"
    disk.mkdir()
    argv = [sys.executable, "-m", "demo", "longer", "--input", recordings["output"], "--output", f"{disk}/out", "--workers", "0"]
    script = 'mount -t tmpfs -o size=8k tmpfs "$0" && "$@"; code=$?; ls -A "$0/out" >&2; exit $code'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, str(disk), *argv]
    if subprocess.run([*command[:4], "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets no user make a mount namespace")
    run = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1].startswith("demo longer: No space left on device"), run.stderr
