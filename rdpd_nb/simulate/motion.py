"""Simulated wearable-motion recordings in the raw file formats of PAMAP2 (UCI 231) and UCI HAR (UCI 240).

Nothing here was measured. A small rigid-limb model makes the signals: every limb has a posture, swings at the
stride frequency, bounces and hits the ground at the step frequency, and its accelerometer, gyroscope and
magnetometer are computed from that one attitude and acceleration, so that they agree with one another.

An activity shows itself in bursts (strokes of the vacuum cleaner, flights of stairs, poling); between them it
looks like another (standing, level walking), so some segments of a window say more than others. Now and then
a single limb strays into another motion of the kind. Most activities have a look-alike on every limb, but not
the same one on each (the ankle hardly tells standing from ironing, the chest hardly standing from sitting).
People differ in cadence, strength, posture and how they wear the sensor. Posture, the iron around and the
sensor's temperature also change within a bout: a subject has one bout of each activity, and a network would
learn by heart what stays constant in it. With these amounts the paper's network, tested on unseen people, does
well on all channels and clearly worse on a single sensor.

The files have the published layout, so one reader serves the simulated and the real collection. Bytes depend
only on (scale, seed); one subject is in memory at a time.
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
SHAKIER = (1, 1, 1, 1, 1, 1.27)
IMPACT = 6  # place of the impact in a row of Activity.limbs
REACH = 35  # deg, a limb does not turn further than this when it strays


class Activity(NamedTuple):
    """How one activity moves; one row of eight numbers per sensor placement.

    A row holds the posture's pitch and roll [deg]; the amplitudes of swing (pitch and roll) and twist (yaw)
    at the stride frequency [deg]; and the accelerations [m/s^2] of bounce (vertical, step frequency), surge
    (fore-aft, stride frequency), impact (a pulse each step) and shake (irregular).
    """

    stride: float  # Hz; two steps, strokes or jumps a stride
    on: float  # s, mean length of a burst
    off: float  # s, mean length of the rest between bursts
    rest: int  # the activity it looks like at rest; 0: itself, QUIET
    turn: float  # deg/s of heading while at rest (stair landings, turning round)
    effort: float  # share of the heart-rate reserve it takes
    limbs: tuple[tuple[float, ...], ...]


class Placement(NamedTuple):
    """How a place on the body varies: between people, between bouts and within a bout."""

    posture: float  # deg, between bouts
    shift: float  # deg, within a bout, as one shifts about
    mount: float  # deg, rotation of the sensor on the limb, between people
    style: float  # log-spread of the amplitudes between bouts; of the shaking SHAKIER times as much
    lag: float  # rad, spread of the harmonics' phases between bouts
    beat: float  # rad, phase of its swing in the stride: arms go against legs
    stray: tuple[float, float]  # s, how long the limb does something else, and the time between


# ---------------------------------------------------------------- PAMAP2: constants
PAMAP2_RATE = 100  # Hz
PAMAP2_BOUT = 215.0  # s at scale 1; nine subjects then have about the published 1.94 M labelled rows
PAMAP2_FLOOR = 9.0  # s
PAMAP2_BREAK = 0.43  # of a bout's length; a third of the rows are then transient, as published
HEART_EVERY = 11  # rows; the monitor reports at about 9 Hz
HEART_LAG = 15.0  # s, time constant with which heart rate follows effort
ACC16_LIMIT, ACC6_LIMIT = 16 * G, 6 * G
PAMAP2_MISSING = {103: {5, 6, 7, 24}, 104: {5, 24}, 107: {24}, 109: set(range(24))}  # as in the collection
PAMAP2_ORDER = (1, 2, 3, 17, 16, 12, 13, 4, 7, 6, 5, 24)  # as the protocol has them
PLACES = {  # the arm is the freest
    "hand": Placement(5, 14, 4, 0.1, 0.4, np.pi, (2, 12)),
    "chest": Placement(3, 7, 4, 0.1, 0.4, 0.8, (2, 9)),
    "ankle": Placement(5, 10, 5, 0.12, 0.4, 0, (2, 8)),
}
PAMAP2_PEOPLE = (0.05, 0.1)  # log-spreads of cadence and strength
SKIN = (33.0, 34.5, 31.5)  # deg C at hand, chest, ankle

# fmt: off
PAMAP2 = {
    0: Activity(0.9, 2, 2, 3, 30, 0.2, (  # transient: standing about and walking off
        (20, 0, 20, 8, 1.5, 1.5, 1, 0.8),
        (5, 0, 3, 6, 2, 0.8, 0.8, 0.4),
        (5, 0, 25, 8, 2, 4, 6, 1))),
    1: Activity(0.29, 1.4, 3.6, 0, 0, 0.03, (  # lying
        (-12, 26, 8, 7, 0.2, 0.5, 0, 0.45),
        (-55, 5, 2.5, 2.5, 0.1, 0.2, 0, 0.19),
        (28, 5, 4, 4, 0.1, 0.3, 0.1, 0.3))),
    2: Activity(0.3, 1.4, 3.6, 0, 0, 0.06, (  # sitting
        (-24, 12, 8, 7, 0.2, 0.5, 0, 0.45),
        (9, 0, 2.5, 2.5, 0.1, 0.2, 0, 0.19),
        (26, 5, 4, 4, 0.1, 0.3, 0.1, 0.3))),
    3: Activity(0.32, 1.4, 3.5, 0, 0, 0.1, (  # standing
        (-1, 16, 8, 8.5, 0.3, 0.6, 0, 0.48),
        (7, 0, 2.5, 3, 0.1, 0.2, 0, 0.2),
        (4, 0, 4, 4.5, 0.1, 0.4, 0.3, 0.32))),
    4: Activity(0.94, 5, 1.2, 0, 45, 0.32, (  # walking
        (14, 6, 17, 8, 1.8, 2, 1.2, 0.8),
        (7, 0, 3, 7, 2.4, 1.1, 1, 0.5),
        (5, 0, 31, 7, 2.5, 5.2, 9, 1.2))),
    5: Activity(1.2, 8, 0.8, 0, 20, 0.78, (  # running
        (-22, 12, 29, 10, 5.3, 5.2, 3.2, 1.8),
        (8, 0, 4, 7, 7, 1.8, 4, 1.1),
        (8, 0, 31, 8, 6.5, 6.5, 17, 2.7))),
    6: Activity(0.9, 3.5, 2, 0, 8, 0.45, (  # cycling
        (-20, 16, 6, 6, 0.6, 0.5, 0, 0.8),
        (30, 0, 4, 4.5, 0.5, 0.4, 0.1, 0.36),
        (15, 0, 17, 5, 0.8, 2.2, 0.2, 0.65))),
    7: Activity(0.95, 4.5, 1.5, 4, 40, 0.42, (  # Nordic walking
        (6, 9, 26, 9, 2.5, 3.6, 4, 1.05),
        (8, 0, 3.5, 9, 2.2, 1.3, 0.9, 0.5),
        (5, 0, 31, 7, 2.5, 5.2, 9, 1.2))),
    12: Activity(0.85, 4.5, 1.5, 4, 50, 0.52, (  # ascending stairs
        (18, 6, 14, 8, 1.6, 2, 0.9, 0.7),
        (14, 0, 4, 6.5, 2.4, 1.3, 1.1, 0.5),
        (11, 0, 26, 7.5, 2.5, 4.6, 7.5, 1.1))),
    13: Activity(1.03, 4.5, 1.5, 4, 50, 0.37, (  # descending stairs
        (12, 6, 17, 8, 2.3, 2, 1.8, 0.95),
        (11, 0, 4, 7, 2.6, 1.3, 1.4, 0.53),
        (3, 0, 23, 7, 3.3, 3.8, 13, 1.5))),
    16: Activity(0.5, 2.4, 1.2, 3, 10, 0.3, (  # vacuum cleaning
        (8, 10, 17, 11, 0.9, 2.9, 0, 0.75),
        (23, 0, 5, 5.5, 0.4, 0.5, 0.1, 0.28),
        (4, 0, 4.5, 5, 0.2, 0.5, 0.4, 0.36))),
    17: Activity(0.53, 2.3, 1.2, 3, 5, 0.17, (  # ironing
        (-14, 26, 10, 21, 0.5, 1.7, 0, 0.52),
        (12, 0, 3, 3.3, 0.15, 0.25, 0, 0.21),
        (4, 0, 4, 5, 0.2, 0.5, 0.4, 0.34))),
    24: Activity(1.13, 5, 1, 3, 10, 0.76, (  # rope jumping
        (-10, 18, 15, 18, 5.8, 3.4, 2, 1.8),
        (7, 0, 4, 6, 7.1, 1.6, 4, 1.05),
        (6, 0, 22, 6, 6.8, 4.5, 16, 2.5))),
}
# fmt: on

# ---------------------------------------------------------------- UCI HAR: constants
HAR_RATE = 50  # Hz
HAR_WINDOW, HAR_STEP = 128, 64  # samples; windows overlap by half
HAR_WINDOWS = 57  # per subject and activity at scale 1: 30 * 6 * 57 is about the published 10,299
HAR_FLOOR = 4
HAR_SUBJECTS = 30
HAR_TEST = {2, 4, 9, 10, 12, 13, 18, 20, 24}  # the published split of the 30 subjects
HAR_GRAVITY_CUT = 0.3  # Hz, low-pass that the collection used to tell gravity from body acceleration
HAR_LABELS = ("WALKING", "WALKING_UPSTAIRS", "WALKING_DOWNSTAIRS", "SITTING", "STANDING", "LAYING")
HAR_PEOPLE = (0.07, 0.15)
WAIST = Placement(11, 0, 9, 0.22, 0.6, 0, (1, 25))  # the phone sits firmly in its belt

# fmt: off
HAR = {
    # numbered as HAR_LABELS; acceleration mostly tells the postures apart, rotation the gaits
    1: Activity(0.93, 3, 0.9, 0, 40, 0, ((6, 0, 3.5, 6, 2.4, 1.4, 1.2, 0.6),)),
    2: Activity(0.93, 3, 0.8, 1, 40, 0, ((8, 0, 4, 3, 2.3, 1.4, 1.1, 0.6),)),
    3: Activity(0.94, 3, 0.8, 1, 40, 0, ((5, 0, 3.5, 11, 2.7, 1.4, 1.6, 0.62),)),
    4: Activity(0.32, 1.5, 2, 0, 0, 0, ((-11, 0, 1.6, 2, 0.1, 0.15, 0, 0.15),)),
    5: Activity(0.34, 1.5, 2, 0, 0, 0, ((9, 0, 1.6, 2.2, 0.1, 0.16, 0, 0.15),)),
    6: Activity(0.31, 1.5, 2, 0, 0, 0, ((-55, 5, 1.6, 2, 0.1, 0.15, 0, 0.15),)),
}
# fmt: on


# ---------------------------------------------------------------- the limb model
def _wander(rng, n, rate, seconds, sd):
    """(n,) stationary first-order noise with correlation time ``seconds`` and standard deviation ``sd``."""
    keep = np.exp(-1 / (seconds * rate))
    start = keep * rng.normal(0, sd)
    return lfilter([1], [1, -keep], rng.normal(0, sd * np.sqrt(1 - keep**2), n), zi=[start])[0]


def _sway(rng, n, rate, sd=2.0):
    """(n,) slow smooth drift of an angle, ``sd`` in deg; smooth since the gyroscope sees its derivative."""
    rough, keep = _wander(rng, n, rate, 4.0, sd), np.exp(-1 / (0.5 * rate))
    return lfilter([1 - keep], [1, -keep], rough, zi=[keep * rough[0]])[0]


def _bursts(rng, n, rate, on, off):
    """(n,) gate, 1 in bursts of mean ``on`` seconds and 0 in the rests between, with ramps of about 0.3 s."""
    cycles = int(n / rate / (on + off) * 2) + 10
    lengths = rng.gamma(4, 1 / 4, (cycles, 2)) * (on, off) * rate
    gate = np.repeat(np.tile([1.0, 0.0], cycles), lengths.astype(int).ravel())
    ramp = max(int(0.3 * rate), 1)
    late = rng.integers(0, int((on + off) * rate))  # a bout need not open with a burst
    return np.convolve(gate[late : late + n + ramp - 1], np.full(ramp, 1 / ramp), "valid")


def _turn_to_limb(vector, roll, pitch, yaw=None):
    """(n, 3) components along a limb's axes of a world vector of three arrays or numbers; angles [rad]."""
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


def _limb(rng, motion, phase, lag, heading, rate):
    """Signals of one limb.

    motion: (8, n) as the rows of Activity, now varying in time; phase, heading: (n,) [rad]; lag: as in Placement.
    Returns acceleration incl. gravity (n, 3) [m/s^2], gyroscope (n, 3) [rad/s], magnetometer (n, 3) [uT].
    """
    n = len(phase)
    lag = lag * rng.uniform(-1, 1, 5)  # a person's own coordination of the harmonics
    vigour = np.exp(_wander(rng, n, rate, 2.0, 0.15))  # one cycle is not quite like the next
    pitch0, roll0, swing, twist, bounce, surge, impact, shake = motion

    one, two = np.sin(phase), np.sin(2 * phase + lag[0])
    pitch = RAD * (pitch0 + vigour * swing * (one + 0.3 * two) + _sway(rng, n, rate))
    roll = RAD * (roll0 + 0.4 * vigour * swing * np.sin(phase + 1.2 + lag[1]) + _sway(rng, n, rate))
    yaw = heading + RAD * (vigour * twist * np.sin(phase + 0.5 + lag[2]) + _sway(rng, n, rate))

    strike = np.exp(9 * (np.cos(2 * phase + lag[3]) - 1)) - 0.13  # about 0.1 s wide; 0.13 is its mean
    jolt = [shake * _wander(rng, n, rate, 0.04, 0.8) for _ in range(3)]
    forward = vigour * surge * (np.cos(phase + lag[4]) + 0.4 * two) - 0.4 * impact * strike + jolt[0]
    sideways = vigour * surge * 0.45 * np.sin(phase + lag[1]) + 0.2 * impact * strike + jolt[1]
    upward = vigour * bounce * (np.cos(2 * phase) + 0.25 * np.cos(4 * phase + lag[0]))
    upward += impact * strike + jolt[2]
    acc = _turn_to_limb((forward, sideways, G + upward), roll, pitch)

    d_roll, d_pitch, d_yaw = (np.gradient(angle) * rate for angle in (roll, pitch, yaw))
    gyro = np.stack(
        [
            d_roll - d_yaw * np.sin(pitch),
            d_pitch * np.cos(roll) + d_yaw * np.sin(roll) * np.cos(pitch),
            d_yaw * np.cos(roll) * np.cos(pitch) - d_pitch * np.sin(roll),
        ],
        axis=1,
    )
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
    phase += rng.uniform(0, 2 * np.pi)
    heading = rng.normal(0, 0.6) + turning * np.cumsum(1 - gate) / rate
    sensors = []
    for k, (place, mount) in enumerate(zip(places, mounts, strict=True)):
        burst = np.array(activity.limbs[k])
        rest = np.array(table[activity.rest].limbs[k]) if activity.rest else burst * ([1] * 2 + [QUIET] * 6)
        others = rng.permutation(_alike(table, number, k))
        lean, amount = rng.normal(0, place.posture, 2), person[1] * rng.lognormal(0, np.multiply(place.style, SHAKIER))
        rest, burst, others = (
            (np.atleast_2d(x) * [1, 1, *amount] + [*lean, *[0] * 6]).T for x in (rest, burst, others)
        )
        motion = rest + (burst - rest) * gate
        astray = _bursts(rng, n, rate, *place.stray)
        # each time astray the limb takes up the next of the other motions
        episode = np.cumsum(np.diff(astray > 0, prepend=False) & (astray > 0)) % others.shape[1]
        motion += (others[:, episode] - motion) * astray
        motion[:2] += [_sway(rng, n, rate, place.shift) for _ in range(2)]
        beat = phase + place.beat + rng.normal(0, 0.3)
        signals = [x @ mount.T for x in _limb(rng, motion, beat, place.lag, heading, rate)]
        sensors.append([x + rng.normal(0, sd, x.shape) for x, sd in zip(signals, NOISE, strict=True)])
    return sensors


def _alike(table, number, k):
    """(m, 8) rows of limb k in activities like this one: steps or none in both, and postures in reach."""

    def same(a):
        steps = [table[x].limbs[-1][IMPACT] > 0.8 for x in (a, number)]
        return steps[0] == steps[1] and abs(table[a].limbs[k][0] - table[number].limbs[k][0]) < REACH

    return np.array([spec.limbs[k] for a, spec in table.items() if a != 0 and same(a) or a == number])


def _person(rng, places, spread):
    """Cadence and strength factors (2,), of log-spread (2,), and the sensors' mounting rotations of one subject."""
    return rng.lognormal(0, spread), [_rotation(rng, place.mount) for place in places]


# ---------------------------------------------------------------- PAMAP2: files
def _timetable(rng, subject, scale):
    """A subject's bouts as [(activity, samples)], a transient (activity 0) before each and at the end."""
    length = max(PAMAP2_FLOOR, PAMAP2_BOUT * scale)
    break_length = max(2.5, PAMAP2_BREAK * PAMAP2_BOUT * scale)
    plan = []
    for activity in [a for a in PAMAP2_ORDER if a not in PAMAP2_MISSING.get(subject, ())]:
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
    """(n, 4) the collection's invalid quaternions: a start value for a while, then meaningless drift."""
    q = np.stack([_wander(rng, n, PAMAP2_RATE, 2.0, 1.0) for _ in range(4)], axis=1)
    q /= np.linalg.norm(q, axis=1, keepdims=True)
    q[: n // 50] = (1, 0, 0, 0)
    return q


def _imu_columns(rng, motion, skin):
    """(n, 17) the columns of one IMU, from its (acc, gyro, mag); wireless losses are rows of NaN."""
    acc, gyro, mag = motion
    n = len(acc)
    temperature = skin + rng.normal(0, 0.2) + _wander(rng, n, PAMAP2_RATE, 5.0, 0.6)
    iron = np.stack([_wander(rng, n, PAMAP2_RATE, 2.0, 15.0) for _ in range(3)], axis=1)  # of the building, passed by
    # the +-6 g accelerometer is a second, less well calibrated chip
    acc6 = acc * rng.normal(1, 0.01, 3) + rng.normal(0, 0.15, 3) + rng.normal(0, NOISE[0], (n, 3))
    columns = np.column_stack(
        [
            temperature,
            np.clip(acc, -ACC16_LIMIT, ACC16_LIMIT),
            np.clip(acc6, -ACC6_LIMIT, ACC6_LIMIT),
            gyro,
            mag + iron,
            _orientation(rng, n),
        ]
    )
    for start in rng.integers(0, n, rng.poisson(n / PAMAP2_RATE / 60)):  # a loss a minute, half a per cent
        columns[start : start + int(rng.exponential(0.3) * PAMAP2_RATE)] = np.nan
    return columns


def _write_rows(path, rows):
    """Write (n, 54) as the collection does: six significant digits, single spaces, ``NaN``."""
    form = " ".join(["%.6g"] * rows.shape[1]) + "\n"
    with path.open("w") as out:
        for i in range(0, len(rows), 20_000):  # one format operation a block: fast, in bounded memory
            block = rows[i : i + 20_000]
            out.write((form * len(block) % tuple(block.ravel().tolist())).replace("nan", "NaN"))


def write_pamap2(folder: Path, scale: float, seed: int) -> None:
    """Write ``Protocol/subject101.dat`` to ``subject109.dat``, 54 columns at 100 Hz, under ``folder``.

    scale: 1 is the published size (2.9 M rows, 1.3 GB); less shortens the bouts, to 9 s at the least.
    """
    (folder / "Protocol").mkdir()
    places = list(PLACES.values())
    for subject, child in zip(range(101, 110), np.random.SeedSequence(seed).spawn(9), strict=True):
        rng = np.random.default_rng(child)
        person, mounts = _person(rng, places, PAMAP2_PEOPLE)
        plan = _timetable(rng, subject, scale)
        bouts = [_bout(rng, PAMAP2, number, places, mounts, person, n, PAMAP2_RATE) for number, n in plan]
        labels = np.repeat(*np.transpose(plan))
        time = rng.uniform(5, 10) + np.arange(len(labels)) / PAMAP2_RATE
        imus = [
            _imu_columns(rng, [np.concatenate(x) for x in zip(*pieces, strict=True)], skin)
            for pieces, skin in zip(zip(*bouts, strict=True), SKIN, strict=True)
        ]
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


def har_person(subject: int, scale: float, seed: int):
    """The bouts of one subject of `write_uci_har`, in the order of the experiment: numbers as in HAR, with
    {signal name: (windows, 128)}. A subject is the same whoever else is asked for."""
    rng = np.random.default_rng(np.random.SeedSequence(seed).spawn(HAR_SUBJECTS)[subject - 1])
    person, mounts = _person(rng, [WAIST], HAR_PEOPLE)
    for number in (5, 4, 6, 1, 3, 2):
        windows = max(HAR_FLOOR, round(HAR_WINDOWS * scale * rng.uniform(0.85, 1.15)))
        yield number, _har_bout(rng, number, person, mounts, windows)


def write_uci_har(folder: Path, scale: float, seed: int) -> None:
    """Write ``UCI HAR Dataset`` with its inertial signals, labels and subjects under ``folder``.

    scale: 1 is the published size (10 thousand windows, 190 MB); at least 4 windows per subject and activity.
    """
    root = folder / "UCI HAR Dataset"
    for split in ("train", "test"):
        (root / split / "Inertial Signals").mkdir(parents=True)
    names = "".join(f"{i} {name}\n" for i, name in enumerate(HAR_LABELS, 1))
    (root / "activity_labels.txt").write_text(names)
    for subject in range(1, HAR_SUBJECTS + 1):
        split = "test" if subject in HAR_TEST else "train"
        for number, signals in har_person(subject, scale, seed):
            windows = len(signals["total_acc_x"])
            for name, values in signals.items():
                _append(root / split / "Inertial Signals" / f"{name}_{split}.txt", _scientific(values))
            _append(root / split / f"y_{split}.txt", f"{number}\n" * windows)
            _append(root / split / f"subject_{split}.txt", f"{subject}\n" * windows)


def _append(path, text):
    with path.open("a") as out:
        out.write(text)
