"""What a data set says of itself: its Spec (what a window and its models look like), its Source (where to get it)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError

SPLITS = ("subjects", "random", "official", "folds")


@dataclass(frozen=True)
class Size:
    """Size of one RCNN (Section 3.1): filters of each convolution, hidden units per direction of the BiLSTM."""

    filters: tuple[int, ...]  # one entry a convolution that is used
    hidden: int  # U, per direction
    phantom: int = 0  # filters of a second convolution that is allocated but never used (Table 5 counts it)


@dataclass(frozen=True)
class File:
    """A published file that is fetched and kept as it is; its name is the last part of its address."""

    address: str
    size: int  # bytes
    sha256: str

    @property
    def name(self) -> str:
        return self.address.rpartition("/")[2]


@dataclass(frozen=True)
class Source:
    """Where a data set comes from, and under which licence."""

    page: str
    size: str
    licence: str
    archive: str = ""  # a zip that may be fetched without an account, and is unpacked
    strip: str = ""  # the folder inside the zip that is the raw folder
    files: tuple[File, ...] = ()  # or files that may be fetched without an account
    note: str = ""
    windows: int = 0  # how many the whole data set has, where its publisher cut them

    @property
    def can_be_fetched(self) -> bool:
        return bool(self.archive or self.files)

    def how_to_get(self, folder: Path) -> str:
        how = "Run `make data` or download" if self.can_be_fetched else "Download"
        note = f" {self.note}" if self.note else ""
        return f"{how} it from {self.page} ({self.size}, licence {self.licence}) into {folder}.{note}"


@dataclass(frozen=True)
class Spec:
    """One data set as the paper uses it.

    `length`, `segment` and `hop` count samples at `rate`; `views` maps a view to the channels it sees. Raises
    UserError, with all that is wrong, where the numbers do not fit together.
    """

    name: str
    title: str
    rate: str  # sampling rate of the windows, in words
    channels: tuple[str, ...]
    units: str
    classes: tuple[str, ...]
    views: dict[str, tuple[int, ...]]
    view_titles: dict[str, str]  # as the paper's tables print them
    length: int  # l, samples a window
    segment: int  # S, samples a segment
    hop: int  # samples from one window to the next inside a recording
    kernel: int
    stride: int
    teacher: Size
    student: Size
    temperature: float  # T
    split: str  # how `windows.split` divides people: one of SPLITS
    validation_subjects: tuple[int, ...] = ()
    test_subjects: tuple[int, ...] = ()
    held_out: float = 0.1  # share of the subjects drawn for validation; of a random split, and again for test
    table: str = ""  # key of its table in published.json

    def __post_init__(self) -> None:
        if faults := list(self._faults()):
            raise UserError(f"spec '{self.name}': {'; '.join(faults)}.")

    @property
    def segments(self) -> int:
        """M, segments a window."""
        return self.length // self.segment

    @property
    def table_file(self) -> str:
        """Name of its table of scores under figures/<profile>/: 'table2', or 'table_<name>' beside the paper's."""
        return self.table.split("_")[0] if self.table else f"table_{self.name}"

    @property
    def poor_views(self) -> tuple[str, ...]:
        return tuple(view for view in self.views if view != "all")

    def size(self, view: str) -> Size:
        return self.teacher if view == "all" else self.student

    def require_view(self, view: str) -> None:
        """Raises UserError for a view that is not there."""
        if view not in self.views:
            raise UserError(f"{self.title} has no view '{view}'; use one of {', '.join(self.views)}.")

    def _faults(self) -> Iterator[str]:
        """What does not fit, a few words each with what to do; numbers first, since the rest counts on them."""
        sizes = {"teacher": self.teacher, "student": self.student}
        numbers = {n: getattr(self, n) for n in ("length", "segment", "hop", "kernel", "stride", "temperature")}
        for role, size in sizes.items():
            numbers |= {f"{role}'s filters {i}": filters for i, filters in enumerate(size.filters, 1)}
            numbers[f"{role}'s hidden"] = size.hidden
        wrong = [
            f"{name} is {value!r}"
            for name, value in numbers.items()
            if not isinstance(value, (int, float) if name == "temperature" else int) or not value > 0
        ]
        if wrong:
            yield f"{', '.join(wrong)}, and should be above 0 (and whole, but for the temperature)"
            return
        if not re.fullmatch(r"[a-z0-9_]+", self.name):
            yield "the name becomes the name of folders: use small letters, digits and _"
        if self.length % self.segment:
            yield f"a window of {self.length} samples is no whole number of segments of {self.segment}"
        if self.kernel % self.stride:
            yield f"kernel {self.kernel} is no multiple of stride {self.stride}"
        for role, size in sizes.items():
            yield from self._faults_of_a_size(role, size)
        yield from self._faults_of_channels()
        if len(self.classes) < 2 or len(set(self.classes)) < len(self.classes):
            yield f"classes are {', '.join(self.classes) or 'none'}; two at least, all different, are needed"
        if self.split not in SPLITS:
            yield f"split '{self.split}' is unknown; use one of {', '.join(SPLITS)}"
        validation, test = set(self.validation_subjects), set(self.test_subjects)
        if self.split == "subjects" and (not validation or not test or validation & test):
            yield "split 'subjects' needs validation_subjects and test_subjects, and none in both"
        if not 0 < self.held_out < 0.5:
            yield f"held_out is {self.held_out}; it is held out twice, so use a share between 0 and 0.5"

    def _faults_of_a_size(self, role: str, size: Size) -> Iterator[str]:
        if not size.filters or size.phantom < 0:
            yield f"the {role} needs one convolution at least, and no negative number of filters"
        samples = self.segment
        for i, _ in enumerate(size.filters, 1):
            if samples < self.kernel:
                yield (
                    f"convolution {i} of the {role} sees {samples} samples of a segment and its kernel is "
                    f"{self.kernel}: use a longer segment or a smaller kernel"
                )
                break
            samples = (samples - self.kernel) // self.stride + 1

    def _faults_of_channels(self) -> Iterator[str]:
        count = len(self.channels)
        if not count or len(set(self.channels)) < count:
            yield "channels need names, all different"
        if tuple(self.views.get("all", ())) != tuple(range(count)):
            yield f"view 'all' should be there with channels 0 to {count - 1}, in order"
        for view, seen in self.views.items():
            if not seen or len(set(seen)) < len(seen) or not set(seen) <= set(range(count)):
                yield f"view '{view}' should see different channels, each from 0 to {count - 1}"
        if differ := sorted(set(self.view_titles) ^ set(self.views)):
            yield f"views and view_titles differ in {', '.join(differ)}"
