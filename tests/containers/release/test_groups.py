"""The promise of splits: nothing is ever in two of them, nothing moves, whatever order batches arrive in."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from release.assignments import append, extend, load
from release.creators import creator_names, normalise
from release.groups import build_graph, decide, draw
from stagekit.errors import StageError

# A corpus: recordings r0…r11; the creator, item and duplicates of each are drawn from few names, so that groups join often.
recordings = st.dictionaries(
    st.integers(0, 11).map(lambda n: f"r{n}"),
    st.tuples(
        st.sampled_from([None, "Ann", "Bob", "Cy", "LibriVox", "Ann; Bob", "Various"]),
        st.sampled_from(["album1", "album2", None]),
        st.integers(0, 8),
        st.integers(0, 8),
    ),
    min_size=1,
)
Corpus = dict[str, tuple[str | None, str | None, int, int]]


def graph_of(corpus: Corpus) -> Any:
    items = [
        {"source": "s", "identifier": album or r, "creator": creator, "recording_id": r}
        for r, (creator, album, _, _) in sorted(corpus.items())
    ]
    documents = [{"document_id": f"d-{r}", "recording_id": r} for r in corpus]
    clusters = []
    for kind, at, prefix in (("audio", 2, ""), ("text", 3, "d-")):
        members: dict[int, list[str]] = {}
        for r, row in corpus.items():
            members.setdefault(int(row[at]), []).append(prefix + r)  # type: ignore[call-overload]
        clusters += [
            {"kind": kind, "id": m, "cluster_id": min(ids), "keep": m == min(ids)} for ids in members.values() for m in ids
        ]
    return build_graph(corpus, items, documents, clusters)


@settings(max_examples=400, deadline=None)
@given(recordings, st.lists(st.lists(st.integers(0, 11), max_size=5), min_size=1, max_size=5), st.floats(0.1, 0.4))
def test_no_key_is_ever_in_two_splits_nor_moves(corpus: Corpus, arrivals: list[list[int]], share: float):
    assigned: dict[str, str] = {}
    so_far: Corpus = {}
    released: dict[str, str] = {}
    for batch in [*arrivals, range(12)]:
        so_far |= {f"r{n}": corpus[f"r{n}"] for n in batch if f"r{n}" in corpus}
        graph = graph_of(so_far)
        decision = decide(graph, assigned, "salt", share, share)
        assert set(decision.split) | set(decision.conflicts) == set(so_far), "every recording is released or accounted for"
        assert not set(decision.split) & set(decision.conflicts)
        assert not set(decision.new) & set(assigned), "an assignment is never made twice"
        assigned |= decision.new
        seen: dict[str, str] = {}
        for recording, split in decision.split.items():
            for key in graph.keys[recording]:
                assert seen.setdefault(key, split) == split, f"{key} is in two splits of one release"
                assert assigned[key] == split
                assert released.setdefault(key, split) == split, f"{key} moved between releases"


@settings(max_examples=200, deadline=None)
@given(recordings, st.randoms())
def test_the_order_of_rows_does_not_matter(corpus: Corpus, random: Any):
    shuffled = list(corpus.items())
    random.shuffle(shuffled)
    assert decide(graph_of(corpus), {}, "salt", 0.3, 0.3) == decide(graph_of(dict(shuffled)), {}, "salt", 0.3, 0.3)


@settings(max_examples=200, deadline=None)
@given(recordings, st.lists(st.integers(0, 11), max_size=6))
def test_a_recording_whose_group_is_undivided_keeps_its_split_when_more_comes(corpus: Corpus, first: list[int]):
    early = {f"r{n}": corpus[f"r{n}"] for n in first if f"r{n}" in corpus}
    before = decide(graph_of(early), {}, "salt", 0.3, 0.3)
    after = decide(graph_of(corpus), before.new, "salt", 0.3, 0.3)
    for recording, split in after.split.items():
        if recording in before.split:
            assert split == before.split[recording]
    graph = graph_of(corpus)
    for recording in after.conflicts:
        root = graph.sets.find(f"recording:{recording}")
        # A cluster is named by its smallest member, so a name of before may be gone; its recordings are not.
        members = {k for keys in graph.keys.values() for k in keys if graph.sets.find(k) == root}
        splits = {before.new[k] for k in members if k in before.new}
        assert len(splits) > 1, "only a group that joins several splits loses members"


def test_a_joint_group_keeps_test_over_dev_over_train():
    graph = build_graph(
        ["a", "b", "c"],
        [],
        [{"document_id": f"d{r}", "recording_id": r} for r in "abc"],
        [{"kind": "text", "id": f"d{r}", "cluster_id": "da", "keep": r == "a"} for r in "abc"],
    )
    for winner, given_splits in (
        ("test", ("train", "dev", "test")),
        ("test", ("dev", "test", "train")),
        ("dev", ("train", "train", "dev")),
    ):
        assigned = {f"recording:{r}": s for r, s in zip("abc", given_splits, strict=True)}
        decision = decide(graph, assigned, "salt", 0.1, 0.1)
        assert decision.split == {r: winner for r, s in zip("abc", given_splits, strict=True) if s == winner}
        assert decision.new == {"cluster:text:da": winner}


def test_shares_are_as_asked_over_many_groups():
    drawn = [draw("salt", f"recording:{n}", 0.05, 0.1) for n in range(20_000)]
    # Three standard deviations of a share of 20,000 draws.
    assert drawn.count("dev") / 20_000 == pytest.approx(0.05, abs=0.0047)
    assert drawn.count("test") / 20_000 == pytest.approx(0.10, abs=0.0064)
    assert drawn[:200] != [draw("pepper", f"recording:{n}", 0.05, 0.1) for n in range(200)]


def test_creators_join_recordings_and_collective_names_do_not():
    def same_group(one: str | None, other: str | None) -> bool:
        items = [{"source": "s", "identifier": r, "creator": c, "recording_id": r} for r, c in (("a", one), ("b", other))]
        sets = build_graph(["a", "b"], items, [], []).sets
        return sets.find("recording:a") == sets.find("recording:b")

    assert same_group("Jane  Doe", "jane doe") and same_group("Doe, Jane (1920-1999)", "Jane Doe") and same_group("José", "JOSE")
    assert same_group("Jane Doe; LibriVox", "LibriVox; Jane Doe")
    for collective in (
        None,
        "",
        "LibriVox",
        "various",
        "Various Readers (see notes)",
        "Unknown",
        "LibriVox Volunteers",
        "n/a",
        "Anonymous",
    ):
        assert not same_group(collective, collective), collective
    assert not same_group("Jane Doe", "John Doe")


@given(st.text(max_size=40))
def test_any_creator_field_is_read(text: str):
    names = creator_names(text)
    assert names == sorted(set(names)) and all(normalise(n) == n for n in names)


def test_files_of_one_source_item_share_a_group():
    items = [{"source": "internet_archive", "identifier": "album", "creator": None, "recording_id": r} for r in "ab"]
    sets = build_graph(["a", "b"], items, [], []).sets
    assert sets.find("recording:a") == sets.find("recording:b") == sets.find("item:internet_archive:album")


def test_the_record_only_grows(tmp_path: Path):
    uri = tmp_path.as_uri()
    first = extend(uri, lambda known: {} if known else {"recording:a": "train"}, "2026.01", record=True)
    assert first == {"recording:a": ("train", "2026.01")}
    before = (tmp_path / "assignments-00000.parquet").read_bytes()
    assert extend(uri, lambda known: {"creator:b": "dev"} if len(known) < 2 else {}, "2026.02", record=True)["creator:b"] == (
        "dev",
        "2026.02",
    )
    assert extend(uri, lambda _known: {}, "2026.03", record=True) == load(uri)[0]
    assert (tmp_path / "assignments-00000.parquet").read_bytes() == before
    assert load(uri)[1] == 2


def test_a_dry_run_records_nothing(tmp_path: Path):
    assert extend(tmp_path.as_uri(), lambda _k: {"recording:a": "test"}, "2026.01", record=False)
    assert list(tmp_path.iterdir()) == []


def test_two_writers_cannot_take_the_same_number(tmp_path: Path):
    uri = tmp_path.as_uri()
    asked: list[dict[str, str]] = []

    def new(known: Any) -> dict[str, str]:
        asked.append(dict(known))
        if len(asked) == 1:  # another writer comes in between reading and writing
            assert append(uri, 0, {"recording:a": "test"}, "2026.01")
        return {} if "recording:a" in known else {"recording:a": "train"}

    assert extend(uri, new, "2026.02", record=True) == {"recording:a": ("test", "2026.01")}
    assert asked == [{}, {"recording:a": "test"}]


def test_a_tampered_record_is_an_error(tmp_path: Path):
    append(tmp_path.as_uri(), 0, {"recording:a": "test"}, "2026.01")
    append(tmp_path.as_uri(), 1, {"recording:a": "dev"}, "2026.02")
    with pytest.raises(StageError, match="recording:a is in dev, and in test since 2026.01"):
        load(tmp_path.as_uri())
    (tmp_path / "assignments-00000.parquet").unlink()
    with pytest.raises(StageError, match="assignment files are missing"):
        load(tmp_path.as_uri())
