"""Smartphone activities and postural transitions (UCI 341): raw signals of 30 people at 50 Hz, six activities.

The paper does not have it. They are the recordings that UCI HAR's windows were cut from, complete and with subjects;
its nine channels are made here from the raw signals, and its six activities are kept.

UCI HAR's documentation names the filters: a median, a low-pass Butterworth of 3rd order at 20 Hz, another at 0.3 Hz
that takes gravity out. All 3,350 windows of it that are at hand were found in these recordings, and say more. The
median is over 3 samples; all filters run forwards only, from zero at the start of a recording; the order at 20 Hz is
10, and 3 at 0.3 Hz; from the angular velocity a drift is taken, by 2nd order at 0.1 Hz. So made, each channel
differs from UCI HAR's by less than 0.0002 g or rad/s (root mean square), which is the rounding of the files at hand.
With 3rd order at 20 Hz, and no drift taken out, it is 0.03 g and 0.2 rad/s while walking. UCI HAR's windows begin
where a labelled stretch does, every 64 samples; labels were mended since, so that it has 10,299 windows and here
there are 10,411.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import numpy as np

from ..errors import UserError
from . import uci_har
from .archives import walk
from .checks import one_archive, require_files, require_folder
from .spec import Size, Source, Spec
from .text import numbers, whole_numbers
from .windows import Ledger, Recordings

SPEC = Spec(
    name="hapt",
    title="HAPT",
    rate="50 Hz",
    channels=uci_har.SPEC.channels,
    units=uci_har.SPEC.units,
    classes=uci_har.SPEC.classes,
    views=uci_har.SPEC.views,
    view_titles=uci_har.SPEC.view_titles,
    length=128,
    segment=32,
    hop=64,
    kernel=8,
    stride=4,
    teacher=Size((64,), 32, phantom=128),
    student=Size((16,), 8, phantom=32),
    temperature=5.0,
    split="official",
    held_out=0.2,
)
SOURCE = Source(
    page="https://archive.ics.uci.edu/dataset/341/"
    "smartphone+based+recognition+of+human+activities+and+postural+transitions",
    size="about 75 MB",
    licence="its README forbids commercial use",
    archive="https://archive.ics.uci.edu/static/public/341/"
    "smartphone+based+recognition+of+human+activities+and+postural+transitions.zip",
)

RECORDINGS, PEOPLE = 61, 30
TEST_PEOPLE = uci_har.TEST_PEOPLE
ACTIVITIES = range(1, 13)  # in labels.txt: the six classes, then six postural transitions
RATE = 50  # Hz
SIGNAL = re.compile(r"(acc|gyro)_exp(\d\d)_user(\d\d)\.txt")
LABELS = "labels.txt"


def _is_raw(name: str) -> bool:
    base = PurePosixPath(name).name
    return base == LABELS or SIGNAL.fullmatch(base) is not None


def check_download(folder: Path) -> None:
    """Compare the names of the files with what there should be (no sums are published); UserError where one lacks."""
    path = _where(folder)
    _pairs([PurePosixPath(name).name for name, _ in walk(path, _is_raw)], path)


def files(folder: Path) -> list[Path]:
    """The published archive (a .zip), or labels.txt and the signals of its folder `RawData` (`Raw-Data` in a copy)."""
    require_folder(folder, "the archive of HAPT, or its RawData/")
    if archive := one_archive(folder):
        return [archive]
    found = [path for path in folder.rglob("*.txt") if _is_raw(path.name)]
    require_files(found)
    if not found:
        raise UserError(f"{folder} holds no archive and no RawData/acc_exp01_user01.txt; it should hold HAPT.")
    return found


def _where(folder: Path) -> Path:
    """What there is to walk through: the archive, or else the folder."""
    first = files(folder)[0]
    return first if first.suffix == ".zip" else folder


def _pairs(names: list[str], path: Path) -> dict[int, int]:
    """Experiment -> user, from the files' names; UserError unless labels and both signals of all are there, once."""
    users: dict[str, dict[int, int]] = {"acc": {}, "gyro": {}}
    for name, count in Counter(names).items():
        if count > 1:
            raise UserError(f"{path}: {name} is there {count} times; keep one copy of the data set.")
        if name != LABELS:
            sensor, experiment, user = SIGNAL.fullmatch(name).groups()
            if int(experiment) in users[sensor] or not 1 <= int(experiment) <= RECORDINGS:
                raise UserError(
                    f"{path}: {name} is not of HAPT's experiments 1 to {RECORDINGS}, or a second one of its number; "
                    "take it out."
                )
            users[sensor][int(experiment)] = int(user)
    if LABELS not in names:
        raise UserError(f"{path}: {LABELS} is missing; download it again.")
    for sensor, other in (("acc", "gyro"), ("gyro", "acc")):
        for experiment in range(1, RECORDINGS + 1):
            user = users[other].get(experiment)
            if experiment not in users[sensor] or user not in (None, users[sensor][experiment]):
                who = "userNN" if user is None else f"user{user:02}"
                raise UserError(f"{path}: {sensor}_exp{experiment:02}_{who}.txt is missing; download it again.")
    if set(users["acc"].values()) != set(range(1, PEOPLE + 1)):
        who = sorted(set(users["acc"].values()) ^ set(range(1, PEOPLE + 1)))
        raise UserError(f"{path}: users are not 1 to {PEOPLE}, see {', '.join(map(str, who))}; download it again.")
    return dict(sorted(users["acc"].items()))


def read(folder: Path, progress: Callable[[str], None] = print) -> Recordings:
    """Labelled stretches of the six activities, by recording and time; nine channels, filtered as UCI HAR's were."""
    path = _where(folder)
    members = [(name, content) for name, content in walk(path, _is_raw)]
    users = _pairs([PurePosixPath(name).name for name, _ in members], path)
    labels, signals, sums = None, {}, {}  # sums: of a signal -> its file
    for name, content in members:
        base, where = PurePosixPath(name).name, f"{path}: {name}"
        if base == LABELS:
            labels = whole_numbers(where, content, 5)
            continue
        sensor, experiment, _ = SIGNAL.fullmatch(base).groups()
        signal, _ = numbers([(where, content)], 3, " ", uci_har.LIMITS[sensor])
        signals[sensor, int(experiment)] = signal
        if (twin := sums.setdefault(hashlib.sha256(signal).digest(), base)) != base:
            raise UserError(f"{path}: {base} and {twin} hold the same numbers; download it again.")
    members.clear()
    progress(f"  {RECORDINGS} recordings, {len(labels):,} labelled stretches")
    rows = {}
    for experiment in users:
        acc, gyro = (len(signals[sensor, experiment]) for sensor in ("acc", "gyro"))
        if acc != gyro:
            raise UserError(
                f"{path}: experiment {experiment} has {acc:,} rows of acceleration and {gyro:,} of angular velocity; "
                "download it again."
            )
        rows[experiment] = acc
    labels = _checked(labels, users, rows, path)  # experiment, user, activity, first and last sample

    series, subject, label = [], [], []
    activity = labels[:, 2]
    for experiment in users:
        made = channels(signals["acc", experiment], signals["gyro", experiment])
        for _, user, a, first, last in labels[(labels[:, 0] == experiment) & (activity <= len(SPEC.classes))]:
            series.append(made[first - 1 : last])  # samples are counted from 1, the last one belongs to it
            subject.append(user)
            label.append(a - 1)
    length = labels[:, 4] - labels[:, 3] + 1
    transition = activity > len(SPEC.classes)
    total = sum(rows.values())
    ledger = Ledger()
    ledger.add("recordings read at 50 Hz", rows=total, records=len(users), subjects=len(set(users.values())))
    ledger.add("rows without a label left out", rows=length.sum() - total)
    ledger.add("labelled stretches", rows=length.sum(), records=len(labels))
    ledger.add("postural transitions left out", rows=-length[transition].sum(), records=-transition.sum())
    ledger.add(
        f"stretches of the six activities (UCI HAR has {uci_har.SOURCE.windows:,} windows of them)",
        rows=sum(map(len, series)),
        records=len(series),
        subjects=len(set(subject)),
    )
    ledger.add("values missing or carried forward (a file with one is refused)", values=0)
    part = np.where(np.isin(subject, TEST_PEOPLE), "test", "train")
    return Recordings.join(series, subject, label, part=part, ledger=ledger, statistics={"total_length": total})


def channels(acc: np.ndarray, gyro: np.ndarray) -> np.ndarray:
    """UCI HAR's nine channels (rows, 9) of a whole recording, from acceleration [g] and angular velocity [rad/s].

    acc and gyro (rows, 3) -> body_acc, body_gyro, total_acc, float32; no value depends on later ones, but for the
    median on the next.
    """
    from scipy.ndimage import median_filter
    from scipy.signal import butter, sosfilt

    def low_pass(x: np.ndarray, order: int, corner: float) -> np.ndarray:
        return sosfilt(butter(order, corner, fs=RATE, output="sos"), x, axis=0)

    quiet = median_filter(np.hstack([acc, gyro]).astype(np.float64), (3, 1), mode="nearest")
    quiet = low_pass(quiet, 10, 20)
    total, turning = quiet[:, :3], quiet[:, 3:]
    gravity, drift = low_pass(total, 3, 0.3), low_pass(turning, 2, 0.1)
    return np.hstack([total - gravity, turning - drift, total]).astype(np.float32)


def _checked(labels: np.ndarray, users: dict[int, int], rows: dict[int, int], path: Path) -> np.ndarray:
    """The stretches sorted by experiment and time; UserError for one that cannot be."""
    labels = labels[np.lexsort((labels[:, 3], labels[:, 0]))]
    before = (0, 0)  # experiment and last sample of the stretch before
    for experiment, user, activity, first, last in labels.tolist():
        stretch = f"{path}: {LABELS}, experiment {experiment}, samples {first} to {last}"
        if users.get(experiment) != user:
            raise UserError(f"{stretch}: user {user} has no recording of that number; download it again.")
        if activity not in ACTIVITIES:
            raise UserError(f"{stretch}: activity {activity} is unknown, it should be 1 to 12; download it again.")
        if not 1 <= first <= last <= rows[experiment]:
            raise UserError(f"{stretch}: the recording has samples 1 to {rows[experiment]}; download it again.")
        if experiment == before[0] and first <= before[1]:
            raise UserError(f"{stretch}: it overlaps the stretch before it; download it again.")
        before = (experiment, last)
    if labels[:, 2].min() > len(SPEC.classes):
        raise UserError(f"{path}: {LABELS} holds no stretch of the six activities; download it again.")
    if absent := sorted(set(users) - set(labels[:, 0].tolist())):
        raise UserError(f"{path}: {LABELS} says nothing of experiment {absent[0]}; download it again.")
    return labels
