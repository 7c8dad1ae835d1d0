"""Students: predicting against scipy and by hand, the folder's round trip, and every wrong input with its sentence."""

import hashlib
import json
import re
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save
from scipy.signal import resample_poly

from rdpd_nb import student as student_module
from rdpd_nb.data import Size, Spec, Windows, split
from rdpd_nb.errors import UserError
from rdpd_nb.files import digest_of
from rdpd_nb.models import RCNN
from rdpd_nb.student import FIELDS, Student, load_student, resample
from rdpd_nb.training import Fitted, make_member, predict

pytestmark = pytest.mark.usefixtures("one_thread")

SPEC = Spec(
    name="bicycle", title="Bicycle", rate="50 Hz", channels=("saddle", "fork", "wrist"), units="mV",
    classes=("road", "gravel"), views={"all": (0, 1, 2), "two": (2, 0)},
    view_titles={"all": "All", "two": "Wrist and saddle"}, length=60, segment=20, hop=30, kernel=6, stride=2,
    teacher=Size((8,), 6, phantom=4), student=Size((5, 4), 3, phantom=2), temperature=4.0, split="random",
)  # fmt: skip
SCORES = {
    "roc_auc": {"score": 0.91, "low": 0.85, "high": np.float64(0.95)},
    "pr_auc": dict.fromkeys(("score", "low", "high")),
}
ABOUT = {"scores": SCORES, "use": "Finding out what a road is like.", "notes": ["Twelve riders of one town."]}


def make_windows(n: int = 40, view: str = "two") -> Windows:
    """Windows around 3 with a deviation of 0.5, one a rider."""
    rng = np.random.default_rng(0)
    label = np.arange(n) % 2
    x = 3 + 0.5 * rng.normal(size=(n, SPEC.length, 3)) + 0.1 * label[:, None, None]
    return Windows.from_arrays(SPEC, x, label, np.arange(n)).select(view)


def make_fitted(windows: Windows, seed: int = 0, method: str = "direct") -> Fitted:
    """What training might have left: no weight, bias or w1, w2, b is at its initial value."""
    model = RCNN(windows.spec, windows.view, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p += 0.3 * torch.randn(p.shape, generator=generator)
    return Fitted(make_member(windows, split(windows, seed), seed, method), model, 7, "validation ROC-AUC", 9, {})


def make_student(seed: int = 0, view: str = "two", units: object = "mV", **about) -> Student:
    """A student out of a random RCNN, at 50 Hz: channels wrist and saddle, windows of 60 samples every 30."""
    windows = make_windows(view=view)
    return Student.of(make_fitted(windows, seed), windows, 50, units, {**ABOUT, **about})


def make_signal(rows: int = 200, channels: int = 2, seed: int = 1) -> np.ndarray:
    return (3 + 0.5 * np.random.default_rng(seed).normal(size=(rows, channels))).astype(np.float32)


@pytest.fixture(scope="module")
def student(one_thread) -> Student:
    return make_student()


# ------------------------------------------------------------------------------------------------- predicting


def test_a_student_says_what_its_fitted_member_says():
    windows = make_windows()
    fitted, everyone = make_fitted(windows), np.arange(len(windows))
    expected = predict([fitted], windows, [everyone], "cpu")[0]
    probability, attention = Student.of(fitted, windows, 50).outputs(windows[everyone])
    np.testing.assert_allclose(probability, expected, atol=1e-6)
    assert attention.shape == (40, SPEC.segments)
    np.testing.assert_allclose(attention.sum(1), 1, atol=1e-6)


def test_windows_of_a_recording_by_hand(student):
    signal = make_signal(200)
    found = student.predict(signal)
    np.testing.assert_array_equal(found.start, [0, 0.6, 1.2, 1.8, 2.4])  # 30 rows at 50 Hz; 20 rows are left over
    for i, first in enumerate(range(0, 121, 30)):
        x = (signal[first : first + 60] - student.mean) / student.std
        log_a, logits = student.model(torch.from_numpy(x)[None])
        np.testing.assert_allclose(found.probability[i], logits.softmax(-1)[0].detach(), atol=1e-6)
        np.testing.assert_allclose(found.attention[i], log_a.exp()[0].detach(), atol=1e-6)
    np.testing.assert_allclose(found.mean, found.probability.mean(0))
    assert len(student.predict(signal[:60]).start) == 1 and len(student.predict(signal[:89]).start) == 1


def test_more_windows_than_go_through_the_model_at_once(student, monkeypatch):
    signal = make_signal(60 + 30 * 9)
    whole = student.predict(signal)
    monkeypatch.setattr(student_module, "AT_ONCE", 4)
    parts = student.predict(signal)
    np.testing.assert_allclose(parts.probability, whole.probability, atol=1e-7)
    np.testing.assert_allclose(parts.attention, whole.attention, atol=1e-7)


def test_a_missing_value_is_the_training_mean(student):
    signal = make_signal()
    signal[10:50, 1] = np.nan
    signal[70, 0] = np.inf
    filled = signal.copy()
    filled[10:50, 1], filled[70, 0] = student.mean[1], student.mean[0]
    np.testing.assert_allclose(student.predict(signal).probability, student.predict(filled).probability, atol=1e-6)
    assert np.isinf(signal[70, 0])  # the caller's own is left as it is


def test_numbers_of_other_kinds_and_one_channel_without_a_second_axis(student):
    whole = np.round(make_signal() * 4)
    expected = student.predict(whole).mean
    for kind in (np.float64, np.float16, np.int16, np.uint8):
        np.testing.assert_array_equal(student.predict(whole.astype(kind)).mean, expected)
    np.testing.assert_array_equal(student.predict(whole.tolist()).mean, expected)
    one = Spec(**{**SPEC.__dict__, "views": {"all": (0, 1, 2), "two": (2,)}})
    windows = Windows.from_arrays(one, np.zeros((40, 60, 3)), np.arange(40) % 2, np.arange(40)).select("two")
    single = Student.of(make_fitted(windows), windows, 50)
    line = np.linspace(0, 1, 60)
    np.testing.assert_array_equal(single.predict(line).mean, single.predict(line[:, None]).mean)


def test_names_and_units_that_fit_are_taken(student):
    signal = make_signal()
    expected = student.predict(signal).mean
    frame = pd.DataFrame(signal, columns=["wrist", "saddle"])
    for found in (
        student.predict(frame, 50.0, units="mV"),
        student.predict(signal, np.float32(50), ("wrist", "saddle"), ["mV", ""]),
        student.predict(signal, 50, np.array(["wrist", "saddle"]), np.array(["", " mV "])),
        student.predict(pd.DataFrame(signal)),
    ):
        np.testing.assert_array_equal(found.mean, expected)
    micro = make_student(units=["\u00b5V", ""])
    assert micro.predict(signal, units=["\u03bcV", "g"]).mean.shape == (2,)  # the other sign for micro


# ------------------------------------------------------------------------------------------------ resampling


def test_a_tone_that_both_rates_hold_stays_and_one_above_is_gone():
    t = np.arange(1000) / 250
    for hertz, expected in ((5, 1.0), (80, 0.0)):  # at 100 Hz, 80 Hz would fold back to 20 Hz
        x = np.sin(2 * np.pi * hertz * t).astype(np.float32)[:, None]
        found = resample(x, Fraction(2, 5))
        assert found.shape == (400, 1) and found.dtype == np.float32
        tone = np.sin(2 * np.pi * hertz * np.arange(400) / 100)
        np.testing.assert_allclose(found[20:-20, 0], expected * tone[20:-20], atol=0.01)


@pytest.mark.parametrize("rate", [100, 25, 125.0, 49.7, 360, 512.3])
def test_a_recording_at_another_rate_is_resampled_as_scipy_does(student, rate):
    rows = int(4.4 * rate)
    signal = 3 + 0.5 * np.sin(2 * np.pi * np.arange(rows)[:, None] / rate * [1.0, 2.5]).astype(np.float32)
    ratio = Fraction(50) / Fraction(str(rate))
    x = resample_poly(signal.astype(float), ratio.numerator, ratio.denominator, padtype="line")
    expected = student.predict(x)
    found = student.predict(signal, rate)
    np.testing.assert_array_equal(found.start, expected.start)
    np.testing.assert_allclose(found.probability, expected.probability, atol=1e-6)
    there = 3 + 0.5 * np.sin(2 * np.pi * np.arange(len(x))[:, None] / 50 * [1.0, 2.5])
    np.testing.assert_allclose(found.mean, student.predict(there).mean, atol=0.02)  # nearly the signal itself


def test_a_rate_that_differs_by_rounding_changes_nothing(student):
    signal = make_signal()
    np.testing.assert_array_equal(student.predict(signal, 50.0000001).mean, student.predict(signal).mean)


def test_a_signal_that_lies_far_from_0_has_no_dip_at_its_ends():
    x = np.full((300, 1), 80, np.float32)
    np.testing.assert_allclose(resample(x, Fraction(1, 3)), 80, rtol=1e-3)


@pytest.mark.parametrize("ratio", [Fraction(1, 5), Fraction(2, 5), Fraction(3), Fraction(7, 4)])
def test_missing_values_are_put_back_where_nothing_was_measured_nearby(ratio):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(240, 3)).astype(np.float32)
    x[rng.random(x.shape) < 0.5] = np.nan
    x[50:110, 0] = np.nan
    x[:, 2] = np.nan
    found = resample(x, ratio)
    half = max(Fraction(1), 1 / ratio) / 2
    for i in range(len(found)):  # by brute force, in exact numbers
        near = [j for j in range(len(x)) if abs(j - i / ratio) <= half] or [len(x) - 1]
        np.testing.assert_array_equal(np.isnan(found[i]), np.isnan(x[near]).all(0))


# ------------------------------------------------------------------------------------------- making and keeping


@pytest.mark.parametrize("view", ["two", "all"])
def test_round_trip_through_its_folder(tmp_path, view):
    student = make_student(view=view, units=["mV", "", "g"][: len(SPEC.views[view])])
    student.save(tmp_path / "shipped")
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted(
        ["shipped", "weights.safetensors", "student.json", "README.md"]
    )
    again = load_student(tmp_path / "shipped")
    signal = make_signal(channels=len(student.channels))
    for name in ("start", "probability", "attention", "mean"):
        np.testing.assert_array_equal(getattr(again.predict(signal), name), getattr(student.predict(signal), name))
    assert again.fields() == student.fields() and again.json() == student.json()
    assert (again.spec, again.view, again.rate, again.units) == (student.spec, view, 50, student.units)
    assert again.channels == tuple(SPEC.channels[i] for i in SPEC.views[view])
    torch.testing.assert_close(again.weights(), student.weights(), rtol=0, atol=0)
    weights = (tmp_path / "shipped" / "weights.safetensors").read_bytes()
    text = json.loads((tmp_path / "shipped" / "student.json").read_text(encoding="utf-8"))
    assert text["weights_sha256"] == hashlib.sha256(weights).hexdigest()
    assert set(text) == {*FIELDS, "weights_sha256", "sha256"}


def test_what_a_student_says_of_itself(student):
    windows = make_windows()
    parts = split(windows, 0)
    about = student.about
    assert (about["method"], about["seed"], about["best_epoch"]) == ("direct", 0, 7)
    assert about["fingerprint"] == windows.fingerprint and about["source"] == "real"
    assert about["counts"]["windows"] == {"train": len(parts.train), "validation": len(parts.validation)}
    assert about["protocol"]["batch_order"] == "each_epoch" and about["versions"]["torch"] == str(torch.__version__)
    assert about["scores"]["roc_auc"] == {"score": 0.91, "low": 0.85, "high": 0.95}
    assert student.fields()["filters"] == [5, 4] and student.spec.temperature == 4


def test_a_student_is_one_line(student):
    assert repr(student) == "Student(Bicycle, view two: Direct, seed 0; wrist, saddle at 50 Hz)"
    assert repr(make_student(method="hard+soft")).startswith("Student(Bicycle, view two: hard+soft, seed 0;")


def test_it_keeps_no_unused_weights_and_not_the_trained_model_itself():
    windows = make_windows()
    fitted = make_fitted(windows)
    student = Student.of(fitted, windows, 50)
    assert not [name for name in student.weights() if "phantom" in name] and fitted.model.phantom is not None
    assert student.model.count()["allocated"] == fitted.model.count()["live"]
    with torch.no_grad():
        fitted.model.dense.bias += 1
    assert not torch.equal(student.model.dense.bias, fitted.model.dense.bias)


def test_saving_again_replaces_a_student_and_never_anything_else(tmp_path):
    folder = tmp_path / "shipped"
    folder.mkdir()
    make_student(0).save(folder)  # an empty folder will do
    (folder / "model.onnx").write_bytes(b"of the student before")
    make_student(1).save(str(folder))
    assert load_student(folder).about["seed"] == 1 and not (folder / "model.onnx").exists()
    (folder / "my notes.txt").write_text("dear")
    with pytest.raises(UserError, match="shipped holds 'my notes.txt', which is no part of a student; name another"):
        make_student(2).save(folder)
    assert load_student(folder).about["seed"] == 1 and (folder / "my notes.txt").read_text() == "dear"
    assert [path.name for path in tmp_path.iterdir()] == ["shipped"]  # nothing half written


def test_a_link_to_a_folder_stays_a_link(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    make_student().save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and load_student(tmp_path / "there").channels == ("wrist", "saddle")


def test_a_save_that_fails_leaves_the_student_before(tmp_path, monkeypatch):
    make_student(0).save(tmp_path / "shipped")
    monkeypatch.setattr(student_module, "card", lambda student: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        make_student(1).save(tmp_path / "shipped")
    assert load_student(tmp_path / "shipped").about["seed"] == 0 and len(list(tmp_path.iterdir())) == 1


def test_the_card_says_what_it_is_for_and_how_well_it_does(tmp_path):
    make_student().save(tmp_path / "shipped")
    text = (tmp_path / "shipped" / "README.md").read_text(encoding="utf-8")
    headings = re.findall("^## (.+)", text, re.MULTILINE)
    assert headings == ["Intended use", "How to use it", "Data", "Scores", "The model", "Limits"]
    assert "| ROC-AUC | 0.910 | 0.850 to 0.950 |" in text and "| PR-AUC | none | none |" in text
    assert "Finding out what a road is like." in text and "- Twelve riders of one town.\n" in text
    assert "wrist (mV), saddle (mV)" in text and "- windows: " in text and "simulated" not in text
    bare = student_module.card(make_student(source="simulated", units="", use=""))
    assert "**simulated** data" in bare and "0): simulated data, windows that it" in bare and "unit unknown" in bare
    assert "Nobody has said of another use" in bare
    assert "None were recorded." in student_module.card(make_student(scores={}))


def test_the_card_names_its_scores_and_what_they_are_of():
    names = ("roc_auc", "macro_f1", "person_roc_auc", "person_macro_f1", "other")
    scores = dict.fromkeys(names, {"score": 0.5, "low": None, "high": None})
    windows = make_windows()
    text = student_module.card(make_student(2, scores=scores, counts=split(windows, 2).counts()))
    rows = re.findall(r"^\| ([^|]+?) \| 0\.500 \| none \|$", text, re.MULTILINE)
    assert rows == ["ROC-AUC", "F1", "ROC-AUC by person", "F1 by person", "other"]
    tested = len(split(windows, 2).test)
    assert (
        f"On the test part of its own split (seed 2): {tested} windows of {tested} subjects that it was not trained "
        "on. PR-AUC and F1 are those of 'gravel'. By person: of the mean of each person's probabilities.\n"
    ) in text
    three = make_student(scores={"macro_f1": scores["roc_auc"]})
    spec = Spec(**{**vars(three.spec), "classes": ("road", "gravel", "sand")})
    text = student_module.card(Student(**{**vars(three), "spec": spec}))
    assert "| macro-F1 | 0.500 |" in text and "All are means over the classes.\n" in text
    assert "On the test part of its own split (seed 0): windows that it was not trained on." in text


def test_the_cards_commands_run(tmp_path, monkeypatch):
    make_student().save(tmp_path / "shipped")
    monkeypatch.chdir(tmp_path / "shipped")
    (code,) = re.findall("```python\n(.+?)```", (tmp_path / "shipped" / "README.md").read_text(), re.DOTALL)
    names = {"signal": make_signal()}
    exec(code, names)
    np.testing.assert_array_equal(names["found"].mean, make_student().predict(make_signal()).mean)


# ------------------------------------------------------------------------------------------- wrong input: a signal

SIGNAL = make_signal()
LEADS = ["wrist", "saddle"]
WRONG_SIGNALS = {
    "text": (dict(signal="signal.csv"), "the signal holds <U10; it should hold real numbers, NaN where"),
    "nothing": (dict(signal=None), "the signal holds object; it should hold real numbers"),
    "complex": (dict(signal=SIGNAL + 1j), "the signal holds complex64; it should hold real numbers"),
    "dates": (dict(signal=SIGNAL.astype("M8[s]")), r"the signal holds datetime64\[s\]; it should"),
    "ragged": (dict(signal=[[1, 2], [3]]), "the signal is ragged; its rows should be of one length"),
    "empty": (dict(signal=SIGNAL[:0]), "the signal is empty; give a recording as long as one window at least"),
    "one axis": (dict(signal=SIGNAL[:, 0]), r"the signal has shape \(200,\); it should be \(rows, 2 channels\)\.$"),
    "windows": (dict(signal=SIGNAL[None]), r"the signal has shape \(1, 200, 2\); .*; windows go to `outputs`\.$"),
    "turned": (dict(signal=SIGNAL.T), "the signal has 200 columns where this student needs 2, .*; transpose it"),
    "one channel more": (dict(signal=np.c_[SIGNAL, SIGNAL]), "has 4 columns where .* 2, wrist, saddle.$"),
    "beyond float32": (dict(signal=SIGNAL.astype(float) * 1e300), "the signal holds numbers beyond float32's"),
    "too short": (
        dict(signal=SIGNAL[:59]),
        "the signal has 59 rows, and one window of 1.2 seconds needs 60 at 50 Hz; give a longer one",
    ),
    "too short at its rate": (dict(signal=SIGNAL, rate=500), "has 200 rows, and .* needs 591 at 500 Hz; give a longer"),
    "rate 0": (dict(rate=0), "rate is 0; it should be the signal's sampling rate in Hz, a number above 0"),
    "rate below 0": (dict(rate=-50.0), "rate is -50.0; it should be"),
    "rate NaN": (dict(rate=float("nan")), "rate is nan; it should be"),
    "rate infinite": (dict(rate=np.inf), "rate is inf; it should be"),
    "rate in words": (dict(rate="50 Hz"), "rate is '50 Hz'; it should be"),
    "rate is true": (dict(rate=True), "rate is True; it should be"),
    "rate is a list": (dict(rate=[50]), r"rate is \[50\]; it should be"),
    "rate beyond floats": (dict(rate=10**400), "rate is 1000.*; it should be"),
    "rate in kHz": (dict(rate=0.05), "rate is 0.05 Hz and the student's is 50 Hz, more than 100 times apart"),
    "a channel too few": (dict(channels=["wrist"]), "the channels given are wrist; this student needs wrist, saddle"),
    "a channel twice": (dict(channels=["wrist", "wrist"]), "the channels given are wrist, wrist; this student needs"),
    "another order": (
        dict(channels=["saddle", "wrist"]),
        "the channels are in another order than this student's; bring them into wrist, saddle",
    ),
    "a mistyped channel": (
        dict(channels=["wrist", "sadle"]),
        "this student has no channel 'sadle'; did you mean 'saddle'. It needs wrist, saddle",
    ),
    "an unlike channel": (dict(channels=["wrist", "heart"]), "no channel 'heart'; it needs wrist, saddle"),
    "channels by number": (dict(channels=[0, 1]), "this student has no channel '0'; it needs wrist, saddle"),
    "channels that are a number": (dict(channels=2), "channels are 2; give a list of texts"),
    "columns of a frame": (
        dict(signal=pd.DataFrame(SIGNAL, columns=LEADS[::-1])),
        "the channels are in another order than this student's",
    ),
    "another unit": (dict(units="uV"), "channel 'wrist' is in uV where this student needs mV; convert it"),
    "another unit of one": (dict(units=["mV", "V"]), "channel 'saddle' is in V where this student needs mV; convert"),
    "mega for milli": (dict(units="MV"), "channel 'wrist' is in MV where this student needs mV"),
    "units of too few": (dict(units=["mV"]), r"units are \['mV'\]; give one, or one for each of the 2 channels"),
    "units that are numbers": (dict(units=[1, 2]), r"units are \[1, 2\]; give one, or one for each"),
    "units that are a number": (dict(units=5), "units are 5; give a list of texts"),
    "a channel missing": (
        dict(signal=SIGNAL * [1, np.nan]),
        "channel 'saddle' is missing throughout the signal; give a recording that has it",
    ),
    "microvolts": (
        dict(signal=SIGNAL * [1, 1000]),
        r"channel 'saddle' has a median of \d{4} and a deviation of \d+\.?\d* where the training data had a mean of "
        r"3\.\d+ and a deviation of 0\.\d+ \(mV\); is it in another unit\?",
    ),
    "volts": (
        dict(signal=SIGNAL * [1, 1e-3]),
        r"channel 'saddle' has a median of 0\.00\d+ and a deviation of 0\.000\d+ where the training data had a mean of "
        r"3\.\d+ and a deviation of 0\.\d+ \(mV\); is it in another unit\?",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_SIGNALS)
def test_a_signal_that_it_cannot_use_is_one_sentence(student, name):
    given, sentence = WRONG_SIGNALS[name]
    with pytest.raises(UserError, match=sentence) as raised:
        student.predict(**{"signal": SIGNAL, **given})
    assert str(raised.value).endswith((".", "?")) and "\n" not in str(raised.value)


def test_a_few_values_far_off_are_let_through(student):
    signal = SIGNAL.copy()
    signal[:99] = 1000  # just under half
    assert student.predict(signal).mean.shape == (2,)
    signal[:101] = 1000
    with pytest.raises(UserError, match="is it in another unit"):
        student.predict(signal)


def test_a_channel_that_hardly_varies_is_let_through_at_its_usual_level(student):
    still = SIGNAL.copy()
    still[:, 0] = 0  # a lead that fell off
    assert student.predict(still).mean.shape == (2,)
    still[:, 0] = 0.001 * SIGNAL[:, 0]
    with pytest.raises(UserError, match="channel 'wrist' has .* is it in another unit"):
        student.predict(still)
    still[:, 0] += 3  # as much as in training
    assert student.predict(still).mean.shape == (2,)
    around_0 = Student(**{**vars(student), "mean": np.zeros_like(student.mean)})  # as an ECG
    signal = SIGNAL - SIGNAL.mean(0)
    least = 1 / student_module.SMALL * student.std / signal.std(0)
    assert around_0.predict(1.01 * least * signal).mean.shape == (2,)
    with pytest.raises(UserError, match="is it in another unit"):
        around_0.predict(0.99 * least * signal)


@pytest.mark.parametrize(
    "x, sentence",
    [
        (np.zeros((3, 60)), r"x has shape \(3, 60\); it should be \(windows, 60, 2\)"),
        (np.zeros((3, 50, 2)), r"x has shape \(3, 50, 2\); it should"),
        (np.zeros((3, 60, 3)), r"x has shape \(3, 60, 3\); it should"),
        ([["a"]], "x holds <U1; it should hold real numbers"),
        ([[1], [1, 2]], "x is ragged"),
    ],
)
def test_windows_that_it_cannot_use_are_one_sentence(student, x, sentence):
    with pytest.raises(UserError, match=sentence):
        student.outputs(x)


def test_no_window_gives_no_probability(student):
    probability, attention = student.outputs(np.zeros((0, 60, 2)))
    assert probability.shape == (0, 2) and attention.shape == (0, 3)


# ----------------------------------------------------------------------------------- wrong input: making a student

WRONG_STUDENTS = {
    "rate 0": (dict(rate=0), "student of Bicycle: rate is 0.0 where the sampling rate in Hz, a number above 0, should"),
    "rate in words": (dict(rate="50"), "rate is '50' where the sampling rate in Hz"),
    "no rate": (dict(rate=None), "rate is None where the sampling rate in Hz"),
    "units of too few": (dict(units=["mV"]), "units has 1 entries and there are 2 channels; give one for each"),
    "units that are numbers": (dict(units=[1, 2]), r"units is \[1, 2\] where a list of texts should be"),
    "units that are a number": (dict(units=3), "units are 3; give a list of texts"),
    "an unknown field": (dict(about={"score": 1}), "the field 'score' is unknown; a student has format, name, title, "),
    "a score in words": (dict(about={"scores": {"roc_auc": "good"}}), "scores is .* where by name, score, low"),
    "a score without interval": (dict(about={"scores": {"roc_auc": {"score": 1}}}), "scores is .* where by name"),
    "a score that is NaN": (
        dict(about={"scores": {"roc_auc": {"score": np.nan, "low": 0, "high": 1}}}),
        "about holds something other than texts, finite numbers, lists and dicts; take it out",
    ),
    "an object": (dict(about={"use": object()}), "about holds something other than texts"),
    "notes that are one text": (dict(about={"notes": "One."}), "notes is 'One.' where a list of texts should be"),
    "counts below 0": (dict(about={"counts": {"windows": {"train": -1}}}), "counts is .* where whole numbers by part"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_STUDENTS)
def test_a_student_that_cannot_be_is_one_sentence(name):
    given, sentence = WRONG_STUDENTS[name]
    windows = make_windows()
    with pytest.raises(UserError, match=sentence):
        Student.of(make_fitted(windows), windows, **{"rate": 50, **given})


def test_a_training_that_went_to_nan_gives_no_student():
    windows = make_windows()
    fitted = make_fitted(windows)
    with torch.no_grad():
        fitted.model.lstm.weight_hh_l0[0, 0] = torch.nan
    with pytest.raises(UserError, match="its weights lstm.weight_hh_l0 hold NaN or infinity; train it again"):
        Student.of(fitted, windows, 50)


# ----------------------------------------------------------------------------------- wrong input: a student's folder


@pytest.fixture
def folder(tmp_path, student):
    student.save(tmp_path / "shipped")
    return tmp_path / "shipped"


def change(folder, **fields) -> None:
    """Other values of student.json's fields; `...` takes one out."""
    path = folder / "student.json"
    content = json.loads(path.read_text()) | fields
    path.write_text(json.dumps({name: value for name, value in content.items() if value is not ...}))


def rewrite(folder, **fields) -> None:
    """As `change`, with a digest that is right."""
    change(folder, sha256=..., **fields)
    change(folder, sha256=digest_of(json.loads((folder / "student.json").read_text())))


def pack(folder, weights: bytes) -> None:
    """Other weights, with sums that are right."""
    (folder / "weights.safetensors").write_bytes(weights)
    rewrite(folder, weights_sha256=hashlib.sha256(weights).hexdigest())


def changed(folder, name: str, tensor: torch.Tensor | None) -> None:
    tensors = load_file(folder / "weights.safetensors") | {name: tensor}
    pack(folder, save({n: t for n, t in tensors.items() if t is not None}))


@pytest.mark.parametrize("field", [*FIELDS, "weights_sha256"])
def test_a_missing_field_is_one_sentence(folder, field):
    change(folder, **{field: ...})
    with pytest.raises(UserError, match="student.json.*(does not say its format|missing)") as raised:
        load_student(folder)
    assert field in str(raised.value)


@pytest.mark.parametrize("field", [*FIELDS, "weights_sha256"])
@pytest.mark.parametrize("value", [None, -1.5, [], {"a": []}, [None]])
def test_a_field_of_the_wrong_type_is_one_sentence(folder, field, value):
    if (field, value) == ("notes", []):
        value = [""]
    change(folder, **{field: value})
    with pytest.raises(UserError, match=f"student.json.*{field}"):
        load_student(folder)


WRONG_FIELDS = {
    "unknown field": (dict(colour="red"), "student.json: the field 'colour' is unknown; a student has format, name"),
    "next format": (
        dict(format=3),
        r"student.json is of format 3, and rdpd_nb \S+ reads format 2; use the version that wrote it, or save",
    ),
    "NaN": (dict(rate=float("nan")), "rate is nan where the sampling rate in Hz, a number above 0, should be"),
    "rate below 0": (dict(rate=-50), "rate is -50 where the sampling rate in Hz"),
    "number in quotes": (dict(hidden="3"), "hidden is '3' where a whole number from 1 to 1,000,000 should be"),
    "true for 1": (dict(hidden=True), "hidden is True where a whole number"),
    "deviation 0": (dict(std=[1, 0]), r"std is \[1, 0\] where a list of numbers above 0 should be"),
    "mean beyond float32": (dict(mean=[1e300, 0]), r"mean is \[inf, 0.0\] where a list of numbers should be"),
    "beyond any float": (dict(temperature=10**400), "temperature is 1000.* where a number above 0 should be"),
    "three units of two": (dict(units=["mV"] * 3), "units has 3 entries and there are 2 channels; give one for each"),
    "three means of two": (dict(mean=[1, 2, 3]), "mean has 3 entries and there are 2 channels"),
    "a channel twice": (dict(channels=["wrist", "wrist"]), "spec 'bicycle': channels need names, all different"),
    "another channel": (
        dict(channels=["a", "b", "c"], mean=[0] * 3, std=[1] * 3, units=[""] * 3),
        r"tensor 'convs.0.weight' is \(5, 2, 6\) torch.float32 where, by student.json, \(5, 3, 6\) torch.float32 is",
    ),
    "one class": (dict(classes=["road"]), "spec 'bicycle': classes are road; two at least, all different, are needed"),
    "three classes": (dict(classes=["a", "b", "c"]), r"tensor 'dense.weight' is \(2, 6\) .* \(3, 6\)"),
    "a segment that does not fit": (dict(segment=7), "a window of 60 samples is no whole number of segments of 7"),
    "a convolution more": (dict(filters=[5, 4, 2]), "convolution 3 of the teacher sees 2 samples of a segment"),
    "a convolution less": (dict(filters=[5]), r"holds, beyond what the model has, the tensor 'convs.1"),
    "a huge model": (dict(hidden=10**6), r"tensor 'lstm.weight_ih_l0' is \(12, 4\) .* \(4000000, 4\)"),
    "another sum": (dict(weights_sha256="0" * 64), "is not the file that student.json was written with"),
    "a name with a slash": (dict(name="../up"), "the name becomes the name of folders"),
}  # fmt: skip


# What a student may have, but this one has not: only the digest tells.
CHANGED_FIELDS = {
    "mean": [3.0, 3.25],
    "std": [0.5, 0.25],
    "rate": 51,
    "units": ["V", "V"],
    "classes": ["gravel", "road"],
    "channels": ["saddle", "wrist"],
    "temperature": 5.0,
    "hop": 60,
    "use": "Anything.",
    "notes": ["Sound."],
    "fingerprint": "another",
    "scores": {"roc_auc": {"score": 0.99, "low": 0.98, "high": 1.0}},
}


@pytest.mark.parametrize("field", CHANGED_FIELDS)
def test_a_field_changed_by_hand_is_noticed(folder, field):
    load_student(folder)
    change(folder, **{field: CHANGED_FIELDS[field]})
    with pytest.raises(UserError, match=r"student.json was changed after it was written .*; copy the folder again"):
        load_student(folder)


def test_without_its_digest_a_student_is_not_believed_but_one_of_the_format_before_has_none(folder, student):
    signal = make_signal()
    change(folder, sha256=...)
    with pytest.raises(UserError, match="student.json was changed after it was written"):
        load_student(folder)
    change(folder, format=1)
    older = load_student(folder)
    np.testing.assert_array_equal(older.predict(signal).probability, student.predict(signal).probability)
    older.save(folder)
    assert json.loads((folder / "student.json").read_text())["format"] == 2


def test_a_students_json_may_be_laid_out_anew(folder):
    path = folder / "student.json"
    path.write_text(json.dumps(json.loads(path.read_text()), indent=4, sort_keys=True))
    load_student(folder)


@pytest.mark.parametrize("name", WRONG_FIELDS)
def test_a_field_that_does_not_fit_is_one_sentence(folder, name):
    fields, sentence = WRONG_FIELDS[name]
    rewrite(folder, **fields)
    with pytest.raises(UserError, match=sentence) as raised:
        load_student(folder)
    assert str(folder) in str(raised.value) and "\n" not in str(raised.value)


WRONG_FILES = {
    "no folder": (lambda folder: folder.rename(folder.parent / "moved"), "no student at .*: there is no such folder"),
    "a file": (lambda folder: (folder.rename(folder.parent / "m"), folder.touch()), "no student at .*: that is a file"),
    "no student.json": (lambda folder: (folder / "student.json").unlink(), "student.json could not be read"),
    "no weights": (lambda folder: (folder / "weights.safetensors").unlink(), "weights.safetensors could not be read"),
    "a folder for a file": (
        lambda folder: ((folder / "student.json").unlink(), (folder / "student.json").mkdir()),
        r"student.json could not be read \(Is a directory\)",
    ),
    "half a JSON": (
        lambda folder: (folder / "student.json").write_bytes((folder / "student.json").read_bytes()[:300]),
        "student.json is not readable as JSON .*; copy the folder again",
    ),
    "an empty JSON": (lambda folder: (folder / "student.json").write_text(""), "student.json is not readable as JSON"),
    "no text": (lambda folder: (folder / "student.json").write_bytes(b"\xff\xfe\0"), "not readable as JSON .*utf-8"),
    "deep": (lambda folder: (folder / "student.json").write_text("[" * 10**5), "student.json is not readable as JSON"),
    "a list": (lambda folder: (folder / "student.json").write_text("[1]"), "student.json is no student's"),
    "another JSON": (lambda folder: (folder / "student.json").write_text('{"a": 1}'), "student.json is no student's"),
    "a flipped bit": (
        lambda folder: (folder / "weights.safetensors").write_bytes(
            (folder / "weights.safetensors").read_bytes()[:-1] + b"\x01"
        ),
        r"weights.safetensors is not the file that student.json was written with \(other SHA-256\)",
    ),
    "another student's weights": (
        lambda folder: (folder / "weights.safetensors").write_bytes(save(make_student(1).weights())),
        "weights.safetensors is not the file that student.json was written with",
    ),
    "no safetensors": (lambda folder: pack(folder, b"PK\x03\x04"), "is not readable as safetensors"),
    "cut short": (
        lambda folder: pack(folder, (folder / "weights.safetensors").read_bytes()[:-40]),
        "weights.safetensors is not readable as safetensors",
    ),
    "a tensor less": (lambda folder: changed(folder, "dense.bias", None), "lacks the tensor 'dense.bias'"),
    "a tensor more": (
        lambda folder: changed(folder, "extra", torch.zeros(2)),
        "weights.safetensors holds, beyond what the model has, the tensor 'extra'; copy the folder again",
    ),
    "a tensor of another shape": (
        lambda folder: changed(folder, "dense.bias", torch.zeros(3)),
        r"tensor 'dense.bias' is \(3,\) torch.float32 where, by student.json, \(2,\) torch.float32 is needed",
    ),
    "a tensor of another type": (
        lambda folder: changed(folder, "dense.bias", torch.zeros(2).double()),
        r"tensor 'dense.bias' is \(2,\) torch.float64",
    ),
    "a weight that is NaN": (
        lambda folder: changed(folder, "dense.bias", torch.tensor([1, torch.nan])),
        "its weights dense.bias hold NaN or infinity; train it again",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_FILES)
def test_a_damaged_folder_is_one_sentence(folder, name):
    damage, sentence = WRONG_FILES[name]
    damage(folder)
    with pytest.raises(UserError, match=sentence) as raised:
        load_student(folder)
    assert str(folder) in str(raised.value) and "\n" not in str(raised.value)


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path, student):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file is a file; name a folder for the student"):
        student.save(tmp_path / "file")
    with pytest.raises(UserError, match="file/shipped could not be written: (Not a directory|File exists)"):
        student.save(tmp_path / "file" / "shipped")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(UserError, match="could not be written|is a file"):
        student.save(tmp_path / "loop" / "shipped")


@pytest.mark.parametrize("folder", [None, 3, True, "", ["shipped"]])
def test_what_is_no_name_of_a_folder_is_one_sentence(student, folder):
    for act in (student.save, load_student):
        with pytest.raises(UserError, match=f"^the folder is {re.escape(repr(folder))}; name the one of the student.$"):
            act(folder)
