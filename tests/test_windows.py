"""Windows, splits, standardisation and fingerprints: what must hold for any recordings."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rdpd_nb import data
from rdpd_nb.data import SPECS, Recordings, Windows, cut, split, standardise, standardiser
from rdpd_nb.data.windows import Ledger, fingerprint
from rdpd_nb.errors import UserError
from rdpd_nb.paper import Protocol

PARTS = ("train", "validation", "test")
RANDOM = [name for name, spec in SPECS.items() if spec.split == "random"]


def make_windows(
    dataset: str,
    subject: np.ndarray,
    part: np.ndarray | None = None,
    series: np.ndarray | None = None,
    blocks: bool = False,
) -> Windows:
    """Windows of view 'all', one recording of one window for each entry of `subject`."""
    spec, n = SPECS[dataset], len(subject)
    start = np.arange(n) * spec.length
    return Windows(
        spec=spec,
        source="simulated",
        view="all",
        series=np.zeros((n * spec.length, len(spec.channels)), np.float32) if series is None else series,
        start=start,
        label=np.arange(n) % len(spec.classes),
        recording=np.arange(n),
        recording_rows=np.stack([start, start + spec.length], 1),
        recording_subject=np.asarray(subject),
        recording_part=np.full(n, "", "U5") if part is None else part,
        ledger=[],
        statistics={},
        fingerprint="0",
        subjects_are_blocks=blocks,
    )


def official_windows(
    train_subjects: int = 10, test_subjects: int = 4, each: int = 3, dataset: str = "uci_har", **options
) -> Windows:
    """Windows, of UCI HAR at first: some subjects in the publisher's training part, then others in its test part."""
    subject = np.repeat(np.arange(train_subjects + test_subjects), each)
    part = np.where(subject < train_subjects, "train", "test").astype("U5")
    return make_windows(dataset, subject, part, **options)


def pamap2_windows(subjects=range(101, 110)) -> Windows:
    return make_windows("pamap2", np.repeat(list(subjects), 2))


def any_windows(dataset: str) -> Windows:
    """A small data set that can be split in its own way."""
    spec = SPECS[dataset]
    if spec.split == "official":
        return official_windows(dataset=dataset)
    fixed = spec.validation_subjects + spec.test_subjects if spec.split == "subjects" else ()
    return make_windows(dataset, np.repeat([*range(30), *fixed], 2))


# ---------------------------------------------------------------------------------------------------------- cut


@st.composite
def recordings(draw):
    """First and last rows of recordings one after another, with or without gaps, some shorter than a window."""
    lengths = draw(st.lists(st.integers(0, 60), max_size=8))
    gaps = draw(st.lists(st.integers(0, 5), min_size=len(lengths), max_size=len(lengths)))
    start = np.cumsum([0, *lengths], dtype=np.int64)[:-1] + np.cumsum(gaps, dtype=np.int64)
    return start, start + np.array(lengths, dtype=np.int64)


sizes = {"length": st.integers(1, 20), "hop": st.integers(1, 25)}


@settings(deadline=None)
@given(bounds=recordings(), **sizes)
def test_every_window_lies_inside_its_own_recording(bounds, length, hop):
    start, stop = bounds
    first, recording = cut(start, stop, length, hop)
    assert (first >= start[recording]).all()
    assert (first + length <= stop[recording]).all()


@settings(deadline=None)
@given(bounds=recordings(), **sizes)
def test_no_window_holds_rows_of_two_recordings(bounds, length, hop):
    start, stop = bounds
    owner = np.full(stop.max(initial=0), -1)
    for r, (a, b) in enumerate(zip(start, stop, strict=True)):
        owner[a:b] = r
    for first, recording in zip(*cut(start, stop, length, hop), strict=True):
        assert set(owner[first : first + length]) == {recording}


@settings(deadline=None)
@given(bounds=recordings(), **sizes)
def test_windows_of_a_recording_begin_at_its_first_row_and_follow_every_hop(bounds, length, hop):
    start, stop = bounds
    first, recording = cut(start, stop, length, hop)
    for r in np.unique(recording):
        own = first[recording == r]
        assert own[0] == start[r]
        assert (np.diff(own) == hop).all()


@settings(deadline=None)
@given(bounds=recordings(), **sizes)
def test_windows_are_all_that_brute_force_finds(bounds, length, hop):
    start, stop = bounds
    expected = [
        (row, r)
        for r, (a, b) in enumerate(zip(start, stop, strict=True))
        for row in range(a, b)
        if (row - a) % hop == 0 and row + length <= b
    ]
    assert list(zip(*cut(start, stop, length, hop), strict=True)) == expected


def test_indexing_windows_copies_their_rows_out_of_the_series():
    spec = SPECS["mimic3"]
    series = np.arange(3 * spec.length * 6, dtype=np.float32).reshape(-1, 6)
    windows = make_windows("mimic3", np.arange(3), series=series)
    taken = windows[np.array([2, 0])]
    np.testing.assert_array_equal(taken, np.stack([series[2 * spec.length :], series[: spec.length]]))
    taken[:] = -1
    assert series.min() == 0


# -------------------------------------------------------------------------------------------------------- split


def check_split_by_subject(windows: Windows, seed: int) -> None:
    """Parts are disjoint, cover every window, and no subject is in two of them."""
    parts = split(windows, seed)
    together = np.concatenate([getattr(parts, part) for part in PARTS])
    np.testing.assert_array_equal(np.sort(together), np.arange(len(windows)))
    who = [set(parts.subjects[part].tolist()) for part in PARTS]
    assert sum(map(len, who)) == len(set.union(*who))
    for part, ids in zip(PARTS, who, strict=True):
        assert set(windows.subject[getattr(parts, part)].tolist()) == ids
        assert parts.counts()["windows"][part] == len(getattr(parts, part))
        assert parts.counts()["subjects"][part] == len(ids)


@settings(deadline=None)
@given(
    dataset=st.sampled_from(RANDOM),
    seed=st.integers(0, 1000),
    subject=st.lists(st.integers(0, 40), min_size=3, max_size=60).filter(lambda ids: len(set(ids)) >= 3),
)
def test_random_splits_are_by_subject_and_cover_everything(dataset, seed, subject):
    check_split_by_subject(make_windows(dataset, np.array(subject)), seed)


@settings(deadline=None)
@given(
    seed=st.integers(0, 1000),
    train_subjects=st.integers(2, 12),
    test_subjects=st.integers(1, 5),
    each=st.integers(1, 3),
)
def test_official_splits_are_by_subject_and_cover_everything(seed, train_subjects, test_subjects, each):
    check_split_by_subject(official_windows(train_subjects, test_subjects, each), seed)


@settings(deadline=None)
@given(seed=st.integers(0, 1000), others=st.sets(st.sampled_from([102, 103, 104, 106, 107, 108, 109]), min_size=1))
def test_fixed_splits_are_by_subject_and_cover_everything(seed, others):
    check_split_by_subject(pamap2_windows([101, *others, 105]), seed)


@pytest.mark.parametrize("dataset", SPECS)
def test_the_same_seed_gives_the_same_split(dataset):
    first, again = split(any_windows(dataset), 3), split(any_windows(dataset), 3)
    for part in PARTS:
        np.testing.assert_array_equal(getattr(first, part), getattr(again, part))


@pytest.mark.parametrize("dataset", RANDOM)
def test_random_splits_hold_80_10_10_percent_of_the_subjects_brugada_60_20_20_and_differ_by_seed(dataset):
    windows = make_windows(dataset, np.repeat(np.arange(100), 2))
    splits = [split(windows, seed) for seed in range(10)]
    held_out = 20 if dataset == "brugada" else 10
    for one in splits:
        assert one.counts()["subjects"] == {"train": 100 - 2 * held_out, "validation": held_out, "test": held_out}
    for part in ("validation", "test"):
        assert len({tuple(one.subjects[part]) for one in splits}) == 10


@pytest.mark.parametrize("seed", range(5))
def test_pamap2_validates_on_subject_105_and_tests_on_101_whatever_the_seed(seed):
    windows = pamap2_windows()
    parts = split(windows, seed)
    assert set(windows.subject[parts.validation]) == {105}
    assert set(windows.subject[parts.test]) == {101}
    assert set(windows.subject[parts.train]) == {102, 103, 104, 106, 107, 108, 109}


def test_uci_har_tests_on_the_publishers_test_part_and_draws_a_fifth_of_the_rest_for_validation():
    windows = official_windows(train_subjects=20, test_subjects=9)
    official = windows.recording_part[windows.recording] == "test"
    splits = [split(windows, seed) for seed in range(10)]
    for one in splits:
        np.testing.assert_array_equal(one.test, np.flatnonzero(official))
        assert one.counts()["subjects"] == {"train": 16, "validation": 4, "test": 9}
    assert len({tuple(one.subjects["validation"]) for one in splits}) > 1


@pytest.mark.parametrize("seed", range(5))
def test_where_blocks_stand_for_subjects_no_training_window_is_beside_a_validation_window(seed):
    whole = split(official_windows(each=6), seed)
    parts = split(official_windows(each=6, blocks=True), seed)
    np.testing.assert_array_equal(parts.validation, whole.validation)
    np.testing.assert_array_equal(parts.test, whole.test)
    assert not np.isin(parts.train, np.concatenate([parts.validation - 1, parts.validation + 1])).any()
    dropped = np.setdiff1d(whole.train, parts.train)
    assert 0 < len(dropped) <= 2 * len(whole.subjects["validation"])  # no more than both neighbours of each block
    assert all(np.abs(parts.validation - window).min() == 1 for window in dropped)


@pytest.mark.parametrize(
    ("windows", "words"),
    [
        (pamap2_windows([101, 102, 103]), "PAMAP2: the validation split has no window .*105.*101, 102, 103"),
        (pamap2_windows([102, 103, 105]), "PAMAP2: the test split has no window .*101.*102, 103, 105"),
        (pamap2_windows([101, 105]), "PAMAP2: the train split has no window"),
        (make_windows("ptbdb", np.array([7, 8])), "PTBDB: the train split has no window"),
        (make_windows("mimic3", np.array([7])), "MIMIC-III: the .* split has no window"),
        (official_windows(test_subjects=0), "UCI HAR: the test split has no window"),
        (official_windows(train_subjects=1), "UCI HAR: the train split has no window"),
    ],
    ids=["no 105", "no 101", "only these two", "two subjects", "one subject", "no test part", "one training subject"],
)
def test_a_missing_subject_is_named_with_the_split_that_lacks_it(windows, words):
    with pytest.raises(UserError, match=words):
        split(windows, 0)


# ------------------------------------------------------------------------------------------------- standardiser


def mimic_series(subjects: int = 30, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    series = rng.normal(80, 12, (subjects * SPECS["mimic3"].length, 6)).astype(np.float32)
    series[rng.random(series.shape) < 0.1] = np.nan
    return series


def test_mean_and_deviation_are_those_of_the_training_subjects_rows_without_missing_values():
    series = mimic_series()
    windows = make_windows("mimic3", np.arange(30), series=series)
    train = split(windows, 0).train
    mean, std = standardiser(windows, train)
    rows = windows[train].reshape(-1, 6).astype(np.float64)
    np.testing.assert_allclose(mean, np.nanmean(rows, 0), rtol=1e-6)
    np.testing.assert_allclose(std, np.nanstd(rows, 0), rtol=1e-6)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 100), value=st.floats(width=32), rows=st.integers(0, 2**32 - 1))
def test_standardising_never_looks_at_validation_or_test_subjects(seed, value, rows):
    """Not even at the largest number, infinity or NaN."""
    series = mimic_series()
    windows = make_windows("mimic3", np.arange(30), series=series)
    parts = split(windows, seed)
    before = standardiser(windows, parts.train)
    changed = series.copy()
    others = np.concatenate([parts.validation, parts.test])
    rows_of_others = (windows.start[others][:, None] + np.arange(SPECS["mimic3"].length)).ravel()
    hit = np.random.default_rng(rows).random(len(rows_of_others)) < 0.7
    changed[rows_of_others[hit]] = value
    after = standardiser(make_windows("mimic3", np.arange(30), series=changed), parts.train)
    np.testing.assert_array_equal(before, after)


def test_standardising_does_look_at_every_training_subject():
    series = mimic_series()
    windows = make_windows("mimic3", np.arange(30), series=series)
    train = split(windows, 0).train
    before, _ = standardiser(windows, train)
    for window in train:
        changed = series.copy()
        changed[windows.start[window]] = 1e4
        after, _ = standardiser(make_windows("mimic3", np.arange(30), series=changed), train)
        assert (before != after).all()


@settings(deadline=None)
@given(value=st.floats(-1e6, 1e6, width=32))
def test_a_constant_channel_gets_deviation_one_and_becomes_zero(value):
    series = mimic_series()
    series[:, 2] = value
    windows = make_windows("mimic3", np.arange(30), series=series)
    mean, std = standardiser(windows, np.arange(24))
    assert mean[2] == np.float32(value)
    assert std[2] == 1
    assert (standardise(series, mean, std)[:, 2] == 0).all()


def test_a_channel_that_is_never_measured_gets_mean_zero_and_deviation_one_and_becomes_zero():
    series = mimic_series()
    series[: 24 * SPECS["mimic3"].length, 4] = np.nan  # by no training subject
    windows = make_windows("mimic3", np.arange(30), series=series)
    mean, std = standardiser(windows, np.arange(24))
    assert (mean[4], std[4]) == (0, 1)
    assert (standardise(windows[np.arange(24)], mean, std)[..., 4] == 0).all()


def test_an_infinite_value_has_no_part_in_mean_and_deviation():
    series = mimic_series()
    infinite, missing = series.copy(), series.copy()
    infinite[5:9, 1], infinite[10, 1], missing[5:9, 1], missing[10, 1] = np.inf, -np.inf, np.nan, np.nan
    got, expected = (
        standardiser(make_windows("mimic3", np.arange(30), series=one), np.arange(24)) for one in (infinite, missing)
    )
    np.testing.assert_array_equal(got, expected)


def test_a_missing_value_becomes_the_training_mean_which_is_zero():
    series = mimic_series()
    windows = make_windows("mimic3", np.arange(30), series=series)
    mean, std = standardiser(windows, np.arange(24))
    x = standardise(series, mean, std)
    assert (x[np.isnan(series)] == 0).all()
    there = ~np.isnan(series)
    np.testing.assert_allclose(x[there], ((series - mean) / std)[there])


# ------------------------------------------------------------------------------ channels and labels kept apart


@pytest.mark.parametrize("dataset", SPECS)
def test_views_are_distinct_channels_of_the_data_set_and_poor_ones_are_fewer(dataset):
    spec = SPECS[dataset]
    assert len(set(spec.channels)) == len(spec.channels)
    assert spec.views["all"] == tuple(range(len(spec.channels)))
    for view, channels in spec.views.items():
        assert len(set(channels)) == len(channels) > 0
        assert set(channels) <= set(spec.views["all"])
        assert view == "all" or len(channels) < len(spec.channels)


@pytest.mark.parametrize("dataset", SPECS)
def test_no_channel_is_named_like_a_label(dataset):
    words = ("label", "activity", "class", "diagnosis", "subject", "target", *SPECS[dataset].classes)
    for channel in SPECS[dataset].channels:
        assert not any(word.lower() in channel.lower() for word in words)


def make_recordings(dataset: str, **changes) -> Recordings:
    """Six recordings of two windows each and three rows more, two of every subject."""
    spec = SPECS[dataset]
    rows = spec.length + spec.hop + 3
    start = np.arange(6) * rows
    fields = {
        "series": np.random.default_rng(0).normal(size=(6 * rows, len(spec.channels))).astype(np.float32),
        "start": start,
        "stop": start + rows,
        "subject": np.repeat([1, 2, 3], 2),
        "label": np.arange(6) % 2,
        "ledger": Ledger(),
        "statistics": {},
    }
    return Recordings(**{**fields, **changes})


def through_the_cache(folder, dataset: str, recordings: Recordings, view: str = "all") -> Windows:
    """What `data.load` does between a reader and the windows."""
    folder.mkdir()
    data.cache.write(folder, Windows.from_recordings(SPECS[dataset], recordings, "simulated"), folder.name)
    return data.cache.read(folder, SPECS[dataset], view, "simulated")


@pytest.mark.parametrize(("dataset", "view"), [(name, view) for name, spec in SPECS.items() for view in spec.views])
def test_permuting_the_labels_leaves_the_series_as_it_was(dataset, view, tmp_path):
    plain, permuted = make_recordings(dataset), make_recordings(dataset, label=np.array([1, 0, 1, 0, 1, 0]))
    windows = through_the_cache(tmp_path / "plain", dataset, plain, view)
    other = through_the_cache(tmp_path / "permuted", dataset, permuted, view)
    np.testing.assert_array_equal(windows.series, plain.series[:, list(SPECS[dataset].views[view])])
    np.testing.assert_array_equal(other.series, windows.series)
    assert (other.label != windows.label).any()


# -------------------------------------------------------------------------------------------------- fingerprint


def test_fingerprint_is_the_same_for_the_same_parts():
    parts = ("pamap2", np.arange(5), np.array([1.5, np.nan], np.float32))
    assert fingerprint(*parts) == fingerprint(*(part if isinstance(part, str) else part.copy() for part in parts))


arrays = hnp.arrays(np.int64, hnp.array_shapes(max_dims=2, max_side=4), elements=st.integers(-3, 3))
parts_of_a_fingerprint = st.lists(st.text(max_size=4) | arrays, min_size=1, max_size=4)


@settings(deadline=None)
@given(parts=parts_of_a_fingerprint, which=st.integers(0, 3), other=st.text(max_size=4))
def test_fingerprint_changes_with_any_one_of_its_parts(parts, which, other):
    which %= len(parts)
    changed = list(parts)
    if isinstance(parts[which], str):
        changed[which] = other if other != parts[which] else other + "x"
    else:
        changed[which] = parts[which].copy()
        changed[which].flat[-1] += 1
    assert fingerprint(*parts) != fingerprint(*changed)


def test_fingerprint_changes_where_parts_are_divided_otherwise():
    assert fingerprint("ab", "c") != fingerprint("a", "bc")
    assert fingerprint(np.array([1, 2]), np.array([3])) != fingerprint(np.array([1]), np.array([2, 3]))
    assert fingerprint(np.arange(6).reshape(2, 3)) != fingerprint(np.arange(6).reshape(3, 2))


def test_fingerprint_of_windows_changes_with_series_subjects_labels_and_bounds(tmp_path):
    base = make_recordings("mimic3")
    series = base.series.copy()
    series[17, 3] += 1e-3
    changes = {
        "nothing": {},
        "one sample": {"series": series},
        "a label": {"label": np.array([0, 1, 0, 1, 0, 2])},
        "a subject": {"subject": np.array([1, 1, 2, 2, 3, 4])},
        "one window less": {"stop": np.array([*base.stop[:-1], base.stop[-1] - 4])},
        "windows one row later": {"start": np.array([base.start[0] + 1, *base.start[1:]])},
    }
    marks = {
        name: through_the_cache(
            tmp_path / name.replace(" ", "_"), "mimic3", make_recordings("mimic3", **change)
        ).fingerprint
        for name, change in changes.items()
    }
    assert len(set(marks.values())) == len(marks)
    again = through_the_cache(tmp_path / "again", "mimic3", base, view="hr")
    assert again.fingerprint == marks["nothing"]  # the same for every view


# ------------------------------------------------------------------------------------- what a reader hands over


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"series": np.zeros((6 * 99, 6))}, "series is .594, 6. float64 where .samples, channels. float32 is needed"),
        ({"series": np.zeros(600, np.float32)}, "series is .600,. float32"),
        ({"start": np.arange(5) * 99}, "one entry for each of the 5 recordings"),
        ({"stop": np.array(594)}, "one entry for each of the 6 recordings"),
        ({"subject": np.arange(7)}, "one entry for each of the 6 recordings"),
        ({"label": np.zeros((6, 1), int)}, "one entry for each of the 6 recordings"),
        ({"part": np.array(["train"] * 5)}, "one entry for each of the 6 recordings"),
        ({"start": np.array([-1, 99, 198, 297, 396, 495])}, "begins after its end or outside the 594 rows"),
        ({"stop": np.array([99, 198, 297, 396, 495, 595])}, "outside the 594 rows of the series"),
        ({"stop": np.array([99, 90, 297, 396, 495, 594])}, "begins after its end"),
        ({"stop": np.array([100, 198, 297, 396, 495, 594])}, "recordings overlap"),
        ({"label": np.arange(6) / 2}, "labels should be whole numbers from 0"),
        ({"label": np.arange(6) - 2}, "labels should be whole numbers from 0, or -1"),
        ({"part": np.array(["train"] * 5 + ["validation"])}, "part should be 'train', 'test' or ''"),
    ],
)
def test_recordings_that_do_not_fit_together_are_refused(changes, words):
    with pytest.raises(UserError, match=words):
        make_recordings("mimic3", **changes)


def test_recordings_of_other_channels_or_classes_than_the_specs_are_refused_and_nothing_is_written(tmp_path):
    more = np.zeros((6 * 99, 7), np.float32)
    with pytest.raises(UserError, match="MIMIC-III: recordings of 7 channels, but its spec has 6"):
        through_the_cache(tmp_path / "channels", "mimic3", make_recordings("mimic3", series=more))
    with pytest.raises(UserError, match=r"MIMIC-III: labels run from 1 to 8, .* \(labels start at 1\? subtract 1\)"):
        through_the_cache(tmp_path / "labels", "mimic3", make_recordings("mimic3", label=np.array([1, 2, 3, 4, 5, 8])))
    assert list(tmp_path.rglob("*.*")) == []


def test_recordings_joined_out_of_signals_follow_one_another_and_count_themselves():
    signals = [np.full((rows, 6), rows, np.float32) for rows in (50, 97, 20)]
    recordings = Recordings.join(signals, [3, 1, 1], [0, 2, 5], part=np.array(["train", "test", "test"]))
    assert (recordings.start.tolist(), recordings.stop.tolist()) == ([0, 50, 147], [50, 147, 167])
    np.testing.assert_array_equal(recordings.series[:, 0], np.repeat([50, 97, 20], [50, 97, 20]))
    windows = Windows.from_recordings(SPECS["mimic3"], recordings)
    assert windows.start.tolist() == [0, 50, 98] and windows.label.tolist() == [0, 2, 2]
    assert windows.recording_part.tolist() == ["train", "test", "test"]
    assert windows.statistics == {"subjects": 2, "classes": 2, "attributes": 6, "total_length": 167}
    told = {"windows": 3, "subjects": 2, "classes": 2}
    assert windows.ledger == [{"step": "windows of 48 samples at 1 per hour", **told, "Table 1": ""}]


# -------------------------------------------------------------------------------------------------- from arrays

SPEC = SPECS["mimic3"]


def arrays_of(dataset: str = "mimic3", n: int = 20, view: str = "all", **changes) -> dict:
    """What `Windows.from_arrays` takes, two windows a subject."""
    spec, rng = SPECS[dataset], np.random.default_rng(0)
    fields = {
        "x": rng.normal(size=(n, spec.length, len(spec.views[view]))).astype(np.float32),
        "y": np.arange(n) % len(spec.classes),
        "subject": np.arange(n) // 2,
        "view": view,
    }
    return {**fields, **changes}


@pytest.mark.parametrize(("dataset", "view"), [("mimic3", "all"), ("mimic3", "bp"), ("ptbdb", "lead_i")])
def test_windows_from_arrays_hold_the_arrays(dataset, view):
    given = arrays_of(dataset, view=view)
    windows = Windows.from_arrays(SPECS[dataset], **given)
    np.testing.assert_array_equal(windows[np.arange(20)], given["x"])
    np.testing.assert_array_equal(windows.label, given["y"])
    np.testing.assert_array_equal(windows.subject, given["subject"])
    assert (windows.spec, windows.dataset, windows.view, windows.source) == (SPECS[dataset], dataset, view, "real")
    assert len(windows.channels) == windows.series.shape[1] == given["x"].shape[2]
    assert windows.ledger[-1]["windows"] == 20 and windows.ledger[-1]["subjects"] == 10
    assert windows.statistics["attributes"] == len(SPECS[dataset].channels)
    parts = split(windows, 0)
    assert sum(parts.counts()["windows"].values()) == 20


def test_windows_from_arrays_are_those_that_come_out_of_the_cache(tmp_path):
    """Recordings of one window each, read from files: the same series, index and fingerprint."""
    given, n = arrays_of(), 20
    start = np.arange(n) * SPEC.length
    recordings = Recordings(
        given["x"].reshape(-1, 6), start, start + SPEC.length, given["subject"], given["y"], Ledger(), {}
    )
    windows, read = Windows.from_arrays(SPEC, **given), through_the_cache(tmp_path / "cache", "mimic3", recordings)
    assert windows.fingerprint == read.fingerprint
    for name in ("series", "start", "label", "recording", "recording_rows", "recording_subject", "recording_part"):
        np.testing.assert_array_equal(getattr(windows, name), getattr(read, name))
        assert getattr(windows, name).dtype == getattr(read, name).dtype


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int16, np.int64, np.uint8, bool])
def test_numbers_become_float32(dtype):
    x = (arrays_of()["x"] * 10 + 100).astype(dtype)
    windows = Windows.from_arrays(SPEC, **arrays_of(x=x))
    assert windows.series.dtype == np.float32
    np.testing.assert_array_equal(windows[np.arange(20)], x.astype(np.float32))


@pytest.mark.parametrize("changed", [lambda x: x[:, ::-1, ::-1], lambda x: x.astype(">f4"), np.asfortranarray])
def test_arrays_of_any_order_in_memory_become_a_plain_series(changed):
    x = changed(arrays_of()["x"])
    windows = Windows.from_arrays(SPEC, **{**arrays_of(), "x": x})
    assert windows.series.flags.c_contiguous and windows.series.dtype == np.dtype("=f4")
    np.testing.assert_array_equal(windows[np.arange(20)], x)


def test_lists_whole_floats_and_names_of_subjects_are_taken():
    given = arrays_of()
    names = [f"person {i}" for i in given["subject"]]
    windows = Windows.from_arrays(SPEC, given["x"].tolist(), given["y"].astype(float), names, view="all")
    assert windows.label.dtype == np.int64 and windows.subject.tolist() == names
    assert split(windows, 0).counts()["subjects"] == {"train": 6, "validation": 2, "test": 2}  # one a stratum


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"x": np.zeros((20, 48))}, r"x has shape \(20, 48\); it should be \(windows, samples, channels\)"),
        ({"x": np.zeros((0, 48, 6)), "y": [], "subject": []}, "with one window at least"),
        ({"x": [[[1.0, 2.0], [1.0]]]}, "x is ragged"),
        ({"x": np.zeros((20, 47, 6))}, "windows of 47 samples; the spec's length is 48"),
        ({"x": np.zeros((20, 6, 48))}, "windows of 6 samples"),
        ({"x": np.zeros((20, 48, 2))}, "windows of 2 channels, but view 'all' has 6"),
        ({"view": "bp"}, "windows of 6 channels, but view 'bp' has 2"),
        ({"view": "wrist"}, "MIMIC-III has no view 'wrist'; use one of all, bp, hr, rr"),
        ({"x": np.zeros((20, 48, 6), complex)}, "x holds complex128; it should hold real numbers"),
        ({"x": np.zeros((20, 48, 6), object)}, "x holds object"),
        ({"x": np.full((20, 48, 6), "1.0")}, "x holds <U3"),
        ({"x": np.zeros((20, 48, 6), "M8[s]")}, "x holds datetime64"),
        ({"x": np.full((20, 48, 6), 1e39)}, "x holds numbers beyond float32's 3.4e38"),
        ({"y": np.arange(19)}, r"y has shape \(19,\); it should have one entry for each of the 20 windows"),
        ({"y": np.zeros((20, 1), int)}, r"y has shape \(20, 1\)"),
        ({"y": 3}, r"y has shape \(\)"),
        ({"subject": np.arange(21)}, r"subject has shape \(21,\)"),
        ({"part": np.full(3, "train")}, r"part has shape \(3,\)"),
        (
            {"y": np.arange(20) % 8 + 1},
            r"from 1 to 8, but 8 classes are 0 to 7 \(labels start at 1\? subtract 1\)",
        ),
        ({"y": np.arange(20) % 9}, "labels run from 0 to 8, but 8 classes are 0 to 7.$"),
        ({"y": np.arange(20) % 8 - 1}, "labels run from -1 to 6"),
        ({"y": np.arange(20) / 4}, "y holds float64 where labels are whole numbers"),
        ({"y": np.full(20, np.nan)}, "y holds float64"),
        ({"y": np.full(20, "septicaemia")}, "y holds <U11 where labels are whole numbers"),
        ({"subject": np.arange(20) / 4}, "subject holds float64; subjects are whole numbers or names"),
        ({"subject": np.full(20, None)}, "subject holds object"),
        ({"part": np.full(20, "validation")}, "part should be 'train', 'test' or ''"),
        ({"source": "measured"}, "source is 'measured'; it should be one of 'simulated', 'embedded', 'real'"),
    ],
)
def test_arrays_that_do_not_fit_the_spec_are_refused(changes, words):
    with pytest.raises(UserError, match=words) as caught:
        Windows.from_arrays(SPEC, **{**arrays_of(), **changes})
    assert str(caught.value).startswith("MIMIC-III")


def test_an_official_split_needs_the_publishers_parts():
    part = np.repeat(["train", "test"], [14, 6])
    windows = Windows.from_arrays(SPECS["uci_har"], **arrays_of("uci_har", part=part))
    np.testing.assert_array_equal(split(windows, 0).test, np.arange(14, 20))
    for missing in (None, np.where(np.arange(20) == 3, "", part)):
        with pytest.raises(UserError, match="UCI HAR: its split is 'official', so part should say"):
            Windows.from_arrays(SPECS["uci_har"], **arrays_of("uci_har", part=missing))


def test_a_poor_view_is_selected_from_the_rich_one_and_keeps_its_fingerprint():
    rich = Windows.from_arrays(SPEC, **arrays_of())
    poor = rich.select("bp")
    np.testing.assert_array_equal(poor.series, rich.series[:, [3, 4]])
    assert (poor.view, poor.channels, poor.fingerprint) == ("bp", ("bp_systolic", "bp_diastolic"), rich.fingerprint)
    assert poor.series.flags.c_contiguous
    for view, words in (("hr", "view 'bp' lacks channels of 'hr'; take it from 'all'"), ("wrist", "no view 'wrist'")):
        with pytest.raises(UserError, match=words):
            poor.select(view)


# ---------------------------------------------------------------------------------------------- another protocol


def test_windows_under_a_protocol_have_its_spec_and_the_same_signal():
    windows = pamap2_windows()
    other = windows.under(Protocol(pamap2_held_out="101_105", temperature="5"))
    assert (other.spec.validation_subjects, other.spec.test_subjects) == ((101,), (105,))
    assert set(other.subject[split(other, 0).test]) == {105}
    assert other.series is windows.series and other.fingerprint == windows.fingerprint
    assert windows.spec is SPECS["pamap2"] and windows.under(Protocol()) is windows


def test_a_protocol_is_chosen_once():
    """From another one than the text's, what the first has changed would stay."""
    other = pamap2_windows().under(Protocol(pamap2_held_out="101_105"))
    assert other.under(Protocol(pamap2_held_out="101_105")) is other
    with pytest.raises(UserError, match="PAMAP2: these windows are under a protocol already"):
        other.under(Protocol())


# --------------------------------------------------------------------------------------------- what nothing checked


@pytest.mark.parametrize("seed", [0, 1, 6, 7, 8])
def test_a_fold_tests_one_person_and_validates_on_the_next_round_and_round(seed):
    windows = make_windows("dsads", np.repeat([3, 5, 6, 9, 12, 20, 21, 40], 19))
    parts, people = split(windows, seed), np.array([3, 5, 6, 9, 12, 20, 21, 40])
    assert parts.subjects["test"].tolist() == [people[seed % 8]]
    assert parts.subjects["validation"].tolist() == [people[(seed + 1) % 8]]


def test_blocks_that_stand_for_subjects_are_called_so_in_the_ledger_and_parts_are_empty_where_nobody_gave_any():
    recordings = make_recordings("mimic3", subjects_are_blocks=True)
    windows = Windows.from_recordings(SPECS["mimic3"], recordings)
    assert windows.ledger[-1]["blocks"] == len(np.unique(recordings.subject)) and "subjects" not in windows.ledger[-1]
    assert set(windows.recording_part) == {""}


def test_arrays_with_infinite_values_are_taken_and_those_beyond_float32_are_not():
    x = arrays_of()["x"].astype(np.float64)
    x[3, 2, 1], x[4, 0, 0] = np.inf, -np.inf
    assert np.isinf(Windows.from_arrays(SPEC, **arrays_of(x=x)).series).sum() == 2
    x[5, 0, 0] = 1e39
    with pytest.raises(UserError, match="beyond float32"):
        Windows.from_arrays(SPEC, **arrays_of(x=x))
