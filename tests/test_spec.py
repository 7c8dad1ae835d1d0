"""A data set's spec checks itself: one sentence says what does not fit, and what to do."""

from dataclasses import replace

import pytest

from rdpd_nb.data import SPECS, Size, Spec, pamap2
from rdpd_nb.data.windows import fingerprint
from rdpd_nb.errors import UserError
from rdpd_nb.models import RCNN
from rdpd_nb.paper import METHODS, METRICS, SWITCHES, Protocol, published, published_score

GOOD = Spec(
    name="own",
    title="Own",
    rate="10 Hz",
    channels=("a", "b", "c"),
    units="g",
    classes=("rest", "work"),
    views={"all": (0, 1, 2), "a": (0,)},
    view_titles={"all": "All", "a": "A"},
    length=40,
    segment=20,
    hop=20,
    kernel=4,
    stride=2,
    teacher=Size((8, 8), 4),
    student=Size((4,), 2),
    temperature=5.0,
    split="random",
)


def refusal(**changes):
    with pytest.raises(UserError) as caught:
        replace(GOOD, **changes)
    message = str(caught.value)
    assert message.startswith("spec '") and message.endswith(".") and "\n" not in message
    return message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kernel": 5}, "kernel 5 is no multiple of stride 2"),
        ({"length": 50}, "a window of 50 samples is no whole number of segments of 20"),
        ({"segment": 2, "student": Size((4,), 2)}, "convolution 1 of the teacher sees 2 samples .* kernel is 4"),
        ({"segment": 8, "kernel": 8}, "convolution 2 of the teacher sees 1 samples"),
        ({"student": Size((4, 4, 4, 4), 2)}, "convolution 3 of the student sees 3 samples"),
        ({"views": {"all": (0, 1, 2), "a": (3,)}}, "view 'a' should see different channels, each from 0 to 2"),
        ({"views": {"all": (0, 1, 2), "a": (-1,)}}, "view 'a' should see different channels"),
        ({"views": {"all": (0, 1, 2), "a": (1, 1)}}, "view 'a' should see different channels"),
        ({"views": {"all": (0, 1, 2), "a": ()}}, "view 'a' should see different channels"),
        ({"views": {"all": (0, 1), "a": (0,)}}, "view 'all' should be there with channels 0 to 2"),
        ({"views": {"a": (0,)}}, "view 'all' should be there"),
        ({"view_titles": {"all": "All"}}, "views and view_titles differ in a"),
        ({"view_titles": {"all": "All", "a": "A", "b": "B"}}, "views and view_titles differ in b"),
        ({"channels": ("a", "b", "b")}, "channels need names, all different"),
        ({"split": "half"}, "split 'half' is unknown; use one of subjects, random, official"),
        ({"split": "subjects"}, "needs validation_subjects and test_subjects"),
        ({"split": "subjects", "validation_subjects": (1,), "test_subjects": (1, 2)}, "and none in both"),
        ({"classes": ("rest",)}, "classes are rest; two at least, all different"),
        ({"classes": ("rest", "rest")}, "two at least, all different"),
        ({"classes": ()}, "classes are none"),
        ({"held_out": 0.5}, "held_out is 0.5"),
        ({"held_out": 0}, "held_out is 0"),
        ({"length": 0}, "length is 0, and should be above 0"),
        ({"stride": -2}, "stride is -2"),
        ({"hop": 2.5}, "hop is 2.5, and should be above 0 .and whole"),
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"teacher": Size((8, 0), 4)}, "teacher's filters 2 is 0"),
        ({"student": Size((4,), 0)}, "student's hidden is 0"),
        ({"student": Size((), 2)}, "the student needs one convolution at least"),
        ({"teacher": Size((8,), 4, phantom=-1)}, "no negative number of filters"),
        ({"name": "my set"}, "use small letters, digits and _"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_to_do(changes, words):
    with pytest.raises(UserError, match=words):
        replace(GOOD, **changes)
    assert refusal(**changes)


def test_all_that_is_wrong_is_said_at_once():
    message = refusal(kernel=5, split="half", classes=())
    assert "multiple of stride" in message and "'half'" in message and "classes are none" in message


@pytest.mark.parametrize("dataset", SPECS)
def test_every_data_set_has_a_spec_of_its_own_name(dataset):
    assert SPECS[dataset].name == dataset
    assert replace(SPECS[dataset]) == SPECS[dataset]  # checked once more


@pytest.mark.parametrize("view", GOOD.views)
def test_a_model_can_be_made_of_the_smallest_spec_that_passes(view):
    """The second convolution sees one kernel's worth of samples, no more."""
    smallest = replace(GOOD, segment=10, kernel=4, stride=2)
    assert RCNN(smallest, view).count()["live"] > 0
    with pytest.raises(UserError, match="convolution 2"):
        replace(GOOD, segment=8, kernel=4, stride=2)


def test_a_view_that_is_not_there_is_refused_with_those_that_are():
    GOOD.require_view("a")
    with pytest.raises(UserError, match="Own has no view 'b'; use one of all, a."):
        GOOD.require_view("b")


# ---------------------------------------------------------------------------------------- specs and what is published


def test_a_data_set_outside_the_paper_has_a_table_of_its_own_and_no_published_score():
    assert GOOD.table_file == "table_own"
    assert {published_score(GOOD, v, m, s) for v in GOOD.views for m in METHODS for s in METRICS} == {None}


@pytest.mark.parametrize("dataset", published()["table5_parameters"])
def test_the_papers_data_sets_have_published_scores(dataset):
    spec = SPECS[dataset]
    assert all(published_score(spec, view, "teacher" if view == "all" else "rdpd", "roc_auc") for view in spec.views)


def test_a_switch_changes_no_other_data_set_than_its_own():
    for pamap2_held_out in SWITCHES["pamap2_held_out"]:
        for mimic3_split in SWITCHES["mimic3_split"]:
            protocol = Protocol(pamap2_held_out=pamap2_held_out, mimic3_split=mimic3_split)
            assert protocol.adapt(GOOD) is GOOD
    assert Protocol(temperature="5").adapt(replace(GOOD, temperature=2.0)).temperature == 5.0
    assert Protocol(pamap2_held_out="101_105").adapt(pamap2.SPEC).test_subjects == (105,)


# What every result hangs on: length, segment, hop, kernel, stride, T, held out; and the names of channels, classes and
# units with the views' channels, in order, as a digest. Who changes one says so in CHANGELOG.md: numbers change.
FIXED = {
    "pamap2": ((256, 64, 50, 8, 4, 5.0, 0.1), "255afa8f98a88522"),
    "ptbdb": ((2000, 500, 1000, 32, 8, 5.0, 0.1), "67d7416ebbd7a9bd"),
    "mimic3": ((48, 12, 48, 4, 2, 2.5, 0.1), "3bc3ba27e813d23f"),
    "dsads": ((125, 25, 125, 8, 4, 5.0, 0.1), "08cae85509e21e58"),
    "cinc2012": ((48, 12, 48, 4, 2, 2.5, 0.1), "6c0702a3393995dc"),
    "brugada": ((400, 100, 200, 16, 4, 5.0, 0.2), "9ae08020763b05c5"),
    "hapt": ((128, 32, 64, 8, 4, 5.0, 0.2), "8618395715cdb4a0"),
    "uci_har": ((128, 32, 128, 8, 4, 5.0, 0.2), "8618395715cdb4a0"),
}


@pytest.mark.parametrize("dataset", SPECS)
def test_sizes_and_names_of_a_data_set_are_those_of_the_results(dataset):
    s = SPECS[dataset]
    sizes, names = (s.length, s.segment, s.hop, s.kernel, s.stride, s.temperature, s.held_out), FIXED[dataset][1]
    assert sizes == FIXED[dataset][0]
    assert fingerprint(*s.channels, "|", *s.classes, "|", s.rate, s.units, s.split, str(s.views)) == names


@pytest.mark.parametrize("dataset", SPECS)
def test_models_are_of_the_papers_sizes(dataset):
    s, deep = SPECS[dataset], dataset in ("ptbdb", "brugada")
    phantom = (0, 0) if deep else (128, 32)
    assert s.teacher == Size((64, 128) if deep else (64,), 32, phantom=phantom[0])
    assert s.student == Size((16, 32) if deep else (16,), 8, phantom=phantom[1])
