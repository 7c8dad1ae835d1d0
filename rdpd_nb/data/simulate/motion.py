"""Simulated wearable-motion recordings in the raw file formats of PAMAP2 (UCI 231) and UCI HAR (UCI 240).

Nothing here was measured. A small rigid-limb model makes the signals: every limb has a posture, swings at the
stride frequency, bounces and hits the ground at the step frequency, and its accelerometer, gyroscope and
magnetometer are computed from that one attitude and acceleration, so that they agree with one another.

An activity shows itself in bursts (strokes of the vacuum cleaner, flights of stairs, poling) and rests between
them in a look-alike motion (standing, level walking), so some segments of a window say more than others.
People differ in cadence, strength, posture and how they wear the sensor. The amounts are set so that a classifier
tested on unseen people does well on all channels and clearly worse on a single sensor.

The files have the published layout, so one reader serves the simulated and the real collection. Bytes depend only
on (scale, seed); one subject is in memory at a time.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.signal import butter, lfilter, sosfiltfilt

G = 9.81  # m/s^2
RAD = np.pi / 180
QUIET = 0.2  # what is left of a motion when it pauses without turning into another one
EARTH_FIELD = (20.0, 0.0, -44.0)  # uT: north, west, up; middle of Germany
NOISE = (0.06, 0.02, 0.6)  # sensor noise of acc, gyro, mag: standard deviations in m/s^2, rad/s, uT
STYLE = (0.22, 0.22, 0.22, 0.22, 0.22, 0.28)  # log-spread of the amplitudes between people and bouts
IMPACT = 6  # place of the impact in a row of Activity.limbs


class Activity(NamedTuple):
    """How one activity moves; one row of eight numbers per sensor placement.

    The rows hold posture pitch and roll [deg]; swing (pitch and roll) and twist (yaw) amplitudes at the stride
    frequency [deg]; bounce (vertical, step frequency), surge (fore-aft, stride frequency), impact (a pulse each
    step) and shake (irregular) accelerations [m/s^2].
    """

    stride: float  # Hz; two steps, strokes or jumps a stride
    on: float  # s, mean length of a burst
    off: float  # s, mean length of the rest between bursts
    rest: int  # the activity it looks like at rest; 0: itself, QUIET
    turn: float  # deg/s of heading while at rest (stair landings, turning round)
    effort: float  # share of the heart-rate reserve it takes
    limbs: tuple[tuple[float, ...], ...]


class Placement(NamedTuple):
    """How loosely a place on the body ties the sensor: spreads between people."""

    posture: float  # deg, between people and bouts
    mount: float  # deg, rotation of the sensor on the limb
    stray: tuple[float, float]  # s, how long the limb does something else than the activity, and the time between


# ---------------------------------------------------------------- PAMAP2: constants
PAMAP2_RATE = 100  # Hz
PAMAP2_BOUT = 215.0  # s at scale 1; nine subjects then have about the published 1.94 M labelled rows
PAMAP2_FLOOR = 9.0  # s
HEART_EVERY = 11  # rows; the monitor reports at about 9 Hz
HEART_LAG = 25.0  # s, time constant with which heart rate follows effort
ACC16_LIMIT, ACC6_LIMIT = 16 * G, 6 * G
PAMAP2_MISSING = {103: {5, 6, 7, 24}, 104: {5, 24}, 107: {24}}  # as in the collection; 109 did only rope jumping
PAMAP2_ORDER = (1, 2, 3, 17, 16, 12, 13, 4, 7, 6, 5, 24)  # the protocol's
PLACES = {"hand": Placement(34, 26, (2, 9)), "chest": Placement(15, 14, (2, 9)), "ankle": Placement(15, 14, (2, 9))}
SKIN = (33.0, 34.5, 31.5)  # deg C at hand, chest, ankle

PAMAP2 = {
    # transient: standing about and walking off
    0: Activity(0.90, 2.0, 2.0, 3, 30, 0.20, (
        (20, 0, 20, 8, 1.5, 1.5, 1.0, 0.8), (5, 0, 3, 6, 2.0, 0.8, 0.8, 0.4), (5, 0, 25, 8, 2.0, 4.0, 6.0, 1.0))),
    # lying
    1: Activity(0.29, 1.4, 3.6, 0, 0, 0.03, (
        (-20, 20, 8, 7, 0.2, 0.5, 0.0, 0.45), (-55, 5, 2.5, 2.5, 0.1, 0.2, 0.0, 0.19), (40, 5, 4, 4, 0.1, 0.3, 0.0, 0.30))),
    # sitting
    2: Activity(0.30, 1.4, 3.6, 0, 0, 0.06, (
        (-20, 20, 8, 7, 0.2, 0.5, 0.0, 0.45), (9, 0, 2.5, 2.5, 0.1, 0.2, 0.0, 0.19), (36, 5, 4, 4, 0.1, 0.3, 0.0, 0.30))),
    # standing
    3: Activity(0.32, 1.4, 3.5, 0, 0, 0.10, (
        (-14, 18, 8, 8, 0.3, 0.5, 0.0, 0.47), (7, 0, 2.5, 3, 0.1, 0.2, 0.0, 0.20), (4, 0, 4, 4.5, 0.1, 0.4, 0.3, 0.32))),
    # walking
    4: Activity(0.94, 5.0, 1.2, 0, 45, 0.32, (
        (14, 6, 17, 8, 1.8, 2.0, 1.2, 0.8), (7, 0, 3, 7, 2.4, 1.1, 1.0, 0.5), (5, 0, 31, 7, 2.5, 5.2, 9.0, 1.2))),
    # running
    5: Activity(1.20, 8.0, 0.8, 0, 20, 0.78, (
        (-20, 12, 26, 12, 5.5, 5.0, 3.0, 1.8), (8, 0, 4, 7, 7.0, 1.8, 4.0, 1.1), (8, 0, 36, 8, 6.5, 8.0, 18.0, 2.8))),
    # cycling
    6: Activity(0.90, 3.5, 2.0, 0, 8, 0.45, (
        (-20, 18, 7, 6, 0.3, 0.5, 0.0, 0.52), (23, 0, 4, 4.5, 0.4, 0.4, 0.1, 0.28), (18, 0, 15, 5, 0.9, 2.2, 0.2, 0.7))),
    # Nordic walking
    7: Activity(0.95, 4.5, 1.5, 4, 40, 0.42, (
        (6, 9, 25, 9, 2.4, 3.3, 3.3, 1.0), (7, 0, 3, 7.5, 2.4, 1.1, 1.0, 0.5), (5, 0, 31, 7, 2.5, 5.2, 9.0, 1.2))),
    # ascending stairs
    12: Activity(0.92, 4.5, 1.5, 4, 50, 0.52, (
        (14, 6, 16, 8, 1.8, 2.0, 1.2, 0.8), (15, 0, 4.5, 7, 2.4, 1.4, 1.2, 0.5), (8, 0, 29, 7.5, 2.5, 4.9, 8.0, 1.2))),
    # descending stairs
    13: Activity(0.94, 4.5, 1.5, 4, 50, 0.37, (
        (14, 6, 16, 8, 1.9, 2.0, 1.3, 0.8), (13, 0, 4.5, 7, 2.7, 1.4, 1.5, 0.55), (3, 0, 18, 7, 3.8, 3.0, 14.0, 1.5))),
    # vacuum cleaning
    16: Activity(0.50, 2.4, 1.2, 3, 10, 0.30, (
        (-2, 17, 14, 14, 0.7, 2.2, 0.0, 0.65), (23, 0, 5, 5.5, 0.4, 0.5, 0.1, 0.28), (4, 0, 4.5, 5, 0.2, 0.5, 0.4, 0.36))),
    # ironing
    17: Activity(0.53, 2.3, 1.2, 3, 5, 0.17, (
        (-5, 17, 12, 16, 0.6, 2.1, 0.0, 0.6), (9, 0, 3, 3, 0.15, 0.25, 0.0, 0.21), (4, 0, 4, 5, 0.2, 0.5, 0.4, 0.34))),
    # rope jumping
    24: Activity(1.13, 5.0, 1.0, 3, 10, 0.76, (
        (-15, 15, 20, 14, 5.8, 4.0, 2.5, 1.8), (7, 0, 4, 6, 7.1, 1.6, 4.0, 1.05), (6, 0, 14, 6, 7.0, 3.0, 16.0, 2.5))),
}

# ---------------------------------------------------------------- UCI HAR: constants
HAR_RATE = 50  # Hz
HAR_WINDOW, HAR_STEP = 128, 64  # samples; windows overlap by half
HAR_WINDOWS = 57  # per subject and activity at scale 1: 30 * 6 * 57 is about the published 10,299
HAR_FLOOR = 4
HAR_TEST = {2, 4, 9, 10, 12, 13, 18, 20, 24}  # the published split of the 30 subjects
HAR_GRAVITY_CUT = 0.3  # Hz, low-pass that the collection used to tell gravity from body acceleration
HAR_LABELS = ("WALKING", "WALKING_UPSTAIRS", "WALKING_DOWNSTAIRS", "SITTING", "STANDING", "LAYING")
WAIST = Placement(12, 11, (1, 25))

HAR = {
    1: Activity(0.93, 3.0, 1.0, 0, 40, 0, ((6, 0, 4, 9.0, 2.3, 1.4, 1.1, 0.60),)),
    2: Activity(0.93, 2.5, 0.8, 1, 40, 0, ((8, 0, 4, 4.5, 2.3, 1.4, 1.1, 0.60),)),
    3: Activity(0.94, 2.5, 0.8, 1, 40, 0, ((5, 0, 4, 9.5, 3.3, 1.4, 2.4, 0.65),)),
    4: Activity(0.32, 1.5, 2.0, 0, 0, 0, ((-6, 0, 1.6, 1.2, 0.1, 0.15, 0.0, 0.15),)),
    5: Activity(0.34, 1.5, 2.0, 0, 0, 0, ((6, 0, 1.7, 4.0, 0.1, 0.16, 0.0, 0.15),)),
    6: Activity(0.31, 1.5, 2.0, 0, 0, 0, ((-50, 5, 1.6, 1.2, 0.1, 0.15, 0.0, 0.15),)),
}


# ---------------------------------------------------------------- the limb model
def _wander(rng, n, rate, seconds, sd):
    """(n,) stationary first-order noise with correlation time ``seconds`` and standard deviation ``sd``."""
    keep = np.exp(-1 / (seconds * rate))
    start = keep * rng.normal(0, sd)
    return lfilter([1], [1, -keep], rng.normal(0, sd * np.sqrt(1 - keep**2), n), zi=[start])[0]


def _bursts(rng, n, rate, on, off):
    """(n,) gate, 1 in bursts of mean ``on`` seconds and 0 in the rests between, with ramps of about 0.3 s."""
    cycles = int(n / rate / (on + off) * 2) + 10
    lengths = rng.gamma(4, 1 / 4, (cycles, 2)) * (on, off) * rate
    gate = np.repeat(np.tile([1.0, 0.0], cycles), lengths.astype(int).ravel())
    ramp = max(int(0.3 * rate), 1)
    late = rng.integers(0, int((on + off) * rate))  # a bout need not open with a burst
    return np.convolve(gate[late:late + n + ramp - 1], np.full(ramp, 1 / ramp), "valid")


def _turn_to_limb(vector, roll, pitch, yaw=None):
    """Components along a limb's axes of world ``vector`` (three arrays or numbers), Z-Y-X angles [rad], (n, 3)."""
    x, y, z = vector
    if yaw is not None:
        x, y = np.cos(yaw) * x + np.sin(yaw) * y, np.cos(yaw) * y - np.sin(yaw) * x
    x, z = np.cos(pitch) * x - np.sin(pitch) * z, np.sin(pitch) * x + np.cos(pitch) * z
    y, z = np.cos(roll) * y + np.sin(roll) * z, np.cos(roll) * z - np.sin(roll) * y
    return np.stack([x, y, z], axis=1)


def _rotation(rng, degrees):
    """(3, 3) random small rotation, its vector normal with ``degrees`` per axis (Rodrigues' formula)."""
    x, y, z = rng.normal(0, degrees * RAD, 3)
    angle = np.sqrt(x * x + y * y + z * z) + 1e-12
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]) / angle
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k


def _limb(rng, motion, phase, heading, rate):
    """Signals of one limb.

    motion: (8, n) as the rows of Activity, now varying in time; phase, heading: (n,) [rad].
    Returns acceleration incl. gravity (n, 3) [m/s^2], gyroscope (n, 3) [rad/s], magnetometer (n, 3) [uT].
    """
    n = len(phase)
    lag = rng.uniform(-0.6, 0.6, 5)  # a person's own coordination of the harmonics
    phase = phase + rng.uniform(0, 2 * np.pi)
    vigour = np.exp(_wander(rng, n, rate, 2.0, 0.15))  # one cycle is not quite like the next
    pitch0, roll0, swing, twist, bounce, surge, impact, shake = motion

    one, two = np.sin(phase), np.sin(2 * phase + lag[0])
    pitch = RAD * (pitch0 + vigour * swing * (one + 0.3 * two) + _wander(rng, n, rate, 4.0, 2.0))
    roll = RAD * (roll0 + 0.4 * vigour * swing * np.sin(phase + 1.2 + lag[1]) + _wander(rng, n, rate, 4.0, 2.0))
    yaw = heading + RAD * (vigour * twist * np.sin(phase + 0.5 + lag[2]) + _wander(rng, n, rate, 4.0, 2.0))

    strike = np.exp(9 * (np.cos(2 * phase + lag[3]) - 1)) - 0.13  # about 0.1 s wide; 0.13 is its mean
    jolt = [shake * _wander(rng, n, rate, 0.04, 0.8) for _ in range(3)]
    forward = vigour * surge * (np.cos(phase + lag[4]) + 0.4 * two) - 0.4 * impact * strike + jolt[0]
    sideways = vigour * surge * 0.45 * np.sin(phase + lag[1]) + 0.2 * impact * strike + jolt[1]
    upward = vigour * bounce * (np.cos(2 * phase) + 0.25 * np.cos(4 * phase + lag[0])) + impact * strike + jolt[2]
    acc = _turn_to_limb((forward, sideways, G + upward), roll, pitch)

    d_roll, d_pitch, d_yaw = (np.gradient(angle) * rate for angle in (roll, pitch, yaw))
    gyro = np.stack([d_roll - d_yaw * np.sin(pitch),
                     d_pitch * np.cos(roll) + d_yaw * np.sin(roll) * np.cos(pitch),
                     d_yaw * np.cos(roll) * np.cos(pitch) - d_pitch * np.sin(roll)], axis=1)
    gyro += 0.06 * shake[:, None] * rng.normal(size=(n, 3))
    return acc, gyro, _turn_to_limb(EARTH_FIELD, roll, pitch, yaw)


def _bout(rng, table, number, places, mounts, person, n, rate):
    """One bout of activity ``number``: a list with (acc, gyro, mag) for each placement, each (n, 3).

    person: (2,) cadence and strength factors of the subject; mounts: one (3, 3) rotation per placement.
    """
    activity = table[number]
    gate = _bursts(rng, n, rate, activity.on, activity.off)
    stride = activity.stride * person[0] * rng.lognormal(0, 0.06)
    phase = 2 * np.pi * np.cumsum(stride * np.exp(_wander(rng, n, rate, 3.0, 0.05))) / rate
    turning = rng.choice([-1, 1]) * activity.turn * RAD
    heading = rng.uniform(0, 2 * np.pi) + turning * np.cumsum(1 - gate) / rate
    sensors = []
    for k, (place, mount) in enumerate(zip(places, mounts, strict=True)):
        burst = np.array(activity.limbs[k])
        rest = np.array(table[activity.rest].limbs[k]) if activity.rest else burst * ([1] * 2 + [QUIET] * 6)
        others = np.array([table[a].limbs[k] for a in rng.permutation(_alike(table, number))])
        lean, amount = rng.normal(0, place.posture, 2), person[1] * rng.lognormal(0, STYLE)
        rest, burst, others = ((np.atleast_2d(x) * [1, 1, *amount] + [*lean, *[0] * 6]).T for x in (rest, burst, others))
        motion = rest + (burst - rest) * gate
        astray = _bursts(rng, n, rate, *place.stray)
        episode = np.cumsum(np.diff(astray > 0, prepend=False) & (astray > 0)) % others.shape[1]
        motion += (others[:, episode] - motion) * astray
        signals = [x @ mount.T for x in _limb(rng, motion, phase, heading, rate)]
        sensors.append([x + rng.normal(0, sd, x.shape) for x, sd in zip(signals, NOISE, strict=True)])
    return sensors


def _alike(table, number):
    """The other activities of the same kind, with or without steps, as a list."""
    steps = {a: spec.limbs[-1][IMPACT] > 0.8 for a, spec in table.items()}
    return [a for a in table if a not in (0, number) and steps[a] == steps[number]]


def _person(rng, places):
    """Cadence and strength factors (2,) and the sensors' mounting rotations of one subject."""
    return rng.lognormal(0, (0.07, 0.15)), [_rotation(rng, place.mount) for place in places]


# ---------------------------------------------------------------- PAMAP2: files
def _timetable(rng, subject, scale):
    """Activities and lengths [samples] of a subject's bouts, a transient (activity 0) before each and at the end."""
    wanted = {24} if subject == 109 else set(PAMAP2_ORDER) - PAMAP2_MISSING.get(subject, set())
    length = max(PAMAP2_FLOOR, PAMAP2_BOUT * scale)
    break_length = max(2.5, PAMAP2_BOUT * scale / 2)
    plan = []
    for activity in [a for a in PAMAP2_ORDER if a in wanted]:
        plan += [(0, break_length * rng.uniform(0.8, 1.2)), (activity, length * rng.uniform(0.85, 1.15))]
    return [(activity, int(s * PAMAP2_RATE)) for activity, s in plan + [(0, break_length)]]


def _heart_rate(rng, labels):
    """(n,) heart rate [bpm], whole numbers on every HEART_EVERY-th row and NaN between."""
    n = len(labels)
    calm, most = rng.normal(68, 6), rng.normal(185, 7)
    effort = np.vectorize({number: a.effort for number, a in PAMAP2.items()}.get)(labels)
    goal = calm + (most - calm) * effort * rng.lognormal(0, 0.08)
    keep = np.exp(-1 / (HEART_LAG * PAMAP2_RATE))
    rate = lfilter([1 - keep], [1, -keep], goal, zi=[keep * (calm + 10)])[0]
    rate = np.round(rate + _wander(rng, n, PAMAP2_RATE, 8.0, 3.0))
    rate[np.arange(n) % HEART_EVERY != rng.integers(HEART_EVERY)] = np.nan
    return rate


def _orientation(rng, n):
    """(n, 4) the collection's invalid quaternions: the start value for a while, then drift without meaning."""
    q = np.stack([_wander(rng, n, PAMAP2_RATE, 20.0, 1.0) for _ in range(4)], axis=1)
    q /= np.linalg.norm(q, axis=1, keepdims=True)
    q[:n // 50] = (1, 0, 0, 0)
    return q


def _imu_columns(rng, motion, skin):
    """(n, 17) the columns of one IMU, from its (acc, gyro, mag); wireless losses are rows of NaN."""
    acc, gyro, mag = motion
    n = len(acc)
    temperature = skin + rng.normal(0, 0.8) + _wander(rng, n, PAMAP2_RATE, 300.0, 0.5)
    # the +-6 g accelerometer is a second, less well calibrated chip
    acc6 = acc * rng.normal(1, 0.01, 3) + rng.normal(0, 0.15, 3) + rng.normal(0, NOISE[0], (n, 3))
    columns = np.column_stack([temperature, np.clip(acc, -ACC16_LIMIT, ACC16_LIMIT),
                               np.clip(acc6, -ACC6_LIMIT, ACC6_LIMIT), gyro, mag, _orientation(rng, n)])
    for start in rng.integers(0, n, rng.poisson(n / PAMAP2_RATE / 60)):  # a loss a minute, half a per cent
        columns[start:start + int(rng.exponential(0.3) * PAMAP2_RATE)] = np.nan
    return columns


def _write_rows(path, rows):
    """Write (n, 54) as the collection does: six significant digits, single spaces, ``NaN``."""
    form = " ".join(["%.6g"] * rows.shape[1]) + "\n"
    with path.open("w") as out:
        for i in range(0, len(rows), 20_000):  # one format operation per block is fast; blocks bound the memory
            block = rows[i:i + 20_000]
            out.write((form * len(block) % tuple(block.ravel().tolist())).replace("nan", "NaN"))


def write_pamap2(folder: Path, scale: float, seed: int) -> None:
    """Write ``Protocol/subject101.dat`` to ``subject109.dat``, 54 columns at 100 Hz, under ``folder``.

    scale: 1 is the published size (2.9 M rows, 1.3 GB); less shortens the bouts, to 9 s at the least.
    """
    (folder / "Protocol").mkdir()
    places = list(PLACES.values())
    for subject, child in zip(range(101, 110), np.random.SeedSequence(seed).spawn(9), strict=True):
        rng = np.random.default_rng(child)
        person, mounts = _person(rng, places)
        plan = _timetable(rng, subject, scale)
        bouts = [_bout(rng, PAMAP2, number, places, mounts, person, n, PAMAP2_RATE) for number, n in plan]
        labels = np.repeat(*np.transpose(plan))
        time = rng.uniform(5, 10) + np.arange(len(labels)) / PAMAP2_RATE
        imus = [_imu_columns(rng, [np.concatenate(x) for x in zip(*pieces, strict=True)], skin)
                for pieces, skin in zip(zip(*bouts, strict=True), SKIN, strict=True)]
        rows = np.column_stack([np.round(time, 2), labels, _heart_rate(rng, labels), *imus])
        _write_rows(folder / "Protocol" / f"subject{subject}.dat", rows)


# ---------------------------------------------------------------- UCI HAR: files
def _har_bout(rng, number, person, mounts, windows):
    """One bout as {signal name: (windows, 128)}; accelerations in g, gyroscope in rad/s."""
    n = (windows + 1) * HAR_STEP
    acc, gyro, _ = _bout(rng, HAR, number, [WAIST], mounts, person, n, HAR_RATE)[0]
    total = acc / G
    gravity = sosfiltfilt(butter(3, HAR_GRAVITY_CUT, fs=HAR_RATE, output="sos"), total, axis=0)
    cut = np.arange(windows)[:, None] * HAR_STEP + np.arange(HAR_WINDOW)
    signals = {"total_acc": total, "body_acc": total - gravity, "body_gyro": gyro}
    return {f"{name}_{axis}": x[cut, i] for name, x in signals.items() for i, axis in enumerate("xyz")}


def _scientific(windows):
    """Text of (m, 128) values, one window a line, as ``  1.8085150e-004``: 16 wide, three exponent digits."""
    text = ("%15.7e" * windows.shape[1] + "\n") * len(windows) % tuple(windows.ravel().tolist())
    return text.replace("e-", "e-0").replace("e+", "e+0")  # Python prints two exponent digits


def write_uci_har(folder: Path, scale: float, seed: int) -> None:
    """Write ``UCI HAR Dataset`` with its inertial signals, labels and subjects under ``folder``.

    scale: 1 is the published size (10 thousand windows, 190 MB); at least 4 windows per subject and activity.
    """
    root = folder / "UCI HAR Dataset"
    for split in ("train", "test"):
        (root / split / "Inertial Signals").mkdir(parents=True)
    names = "".join(f"{i} {name}\n" for i, name in enumerate(HAR_LABELS, 1))
    (root / "activity_labels.txt").write_text(names)
    for subject, child in enumerate(np.random.SeedSequence(seed).spawn(30), 1):
        rng = np.random.default_rng(child)
        split = "test" if subject in HAR_TEST else "train"
        person, mounts = _person(rng, [WAIST])
        for number in (5, 4, 6, 1, 3, 2):  # the order of the experiment
            windows = max(HAR_FLOOR, round(HAR_WINDOWS * scale * rng.uniform(0.85, 1.15)))
            for name, values in _har_bout(rng, number, person, mounts, windows).items():
                _append(root / split / "Inertial Signals" / f"{name}_{split}.txt", _scientific(values))
            _append(root / split / f"y_{split}.txt", f"{number}\n" * windows)
            _append(root / split / f"subject_{split}.txt", f"{subject}\n" * windows)


def _append(path, text):
    with path.open("a") as out:
        out.write(text)
