"""Simulated PTB Diagnostic ECG Database: made-up heart signals in the raw files of the real set.

NOTHING HERE WAS MEASURED. The files have the layout of PhysioNet `ptbdb` 1.0.0 (patientNNN/sMMMMlre.hea,
.dat, .xyz and RECORDS: 15 signals, 1000 Hz, 16 bit, 2000 units per mV), so the reader of the real set reads
them too.

Facts used:
* a beat is a sum of Gaussian bumps for P, Q, R, S and T, one amplitude an axis (the idea of McSharry,
  Clifford, Tarassenko and Smith, IEEE Trans Biomed Eng 50(3), 2003), here placed in seconds after the R
  peak;
* the bumps form a heart vector in the Frank axes (x left, y down, z back, mV); the leads are its projection
  with the coefficients of Dower, Machado and Osborne, Clin Cardiol 3(2), 1980;
* Einthoven and Goldberger: III = II - I, aVR = -(I + II)/2, aVL = I - II/2, aVF = II - I/2, kept here in
  whole units after rounding I and II;
* what each diagnosis does to the vector follows textbook electrocardiography, with a severity for each
  subject that makes the groups overlap;
* at scale 1 the subjects for each group and the record lengths follow the published set; below, the small
  groups have more subjects than their share, so that a network can tell the disease from the person, but the
  order of the groups by size is the published one at every scale.
"""

from __future__ import annotations

import pathlib
from dataclasses import dataclass

import numpy as np

RATE = 1000  # samples/s
UNITS_PER_MV = 2000
LEADS = ("i", "ii", "iii", "avr", "avl", "avf", "v1", "v2", "v3", "v4", "v5", "v6")
AXES = ("vx", "vy", "vz")
MAINS_HZ = 50.0

# Dower 1980: rows I, II, V1 to V6; columns x, y, z.
DOWER = np.array(
    [
        [0.632, -0.235, 0.059],
        [0.235, 1.066, -0.132],
        [-0.515, 0.157, -0.917],
        [0.044, 0.164, -1.387],
        [0.882, 0.098, -1.277],
        [1.213, 0.127, -0.601],
        [1.125, 0.127, -0.086],
        [0.831, 0.076, 0.230],
    ]
)
# Noise arises in nine electrodes. Rows as in DOWER; columns RA, LA, LL, C1 to C6 (against Wilson's terminal).
ELECTRODES = np.zeros((8, 9))
ELECTRODES[0, :2] = -1, 1
ELECTRODES[1, [0, 2]] = -1, 1
ELECTRODES[2:, :3] = -1 / 3
ELECTRODES[2:, 3:] = np.eye(6)

# One healthy beat: seconds after the R peak, width (s), amplitude on x, y, z (mV).
P, Q, R, S, LATE, ST, T_UP, T_DOWN = range(8)
HEALTHY_BEAT = np.array(
    [
        [-0.160, 0.022, 0.05, 0.10, -0.02],
        [-0.024, 0.008, -0.10, -0.05, -0.25],
        [0.000, 0.011, 1.10, 0.85, 0.35],
        [0.024, 0.010, -0.15, -0.10, 0.55],
        [0.060, 0.020, 0.00, 0.00, 0.00],
        [0.120, 0.040, 0.02, 0.02, -0.03],
        [0.250, 0.045, 0.17, 0.13, -0.11],
        [0.290, 0.030, 0.10, 0.08, -0.06],
    ]
)
QRS = slice(Q, LATE + 1)
REPOLARISATION = slice(ST, T_DOWN + 1)
BEAT_WINDOW = np.arange(-300, 700) / RATE  # s around the R peak in which a beat is drawn

# Towards the infarct, on x, y, z.
INFARCT_SITES = {
    "anterior": (0.1, 0.0, -1.0),
    "antero-septal": (-0.3, 0.0, -0.95),
    "antero-lateral": (0.6, -0.1, -0.8),
    "inferior": (0.0, 1.0, 0.1),
    "infero-lateral": (0.6, 0.8, 0.1),
    "infero-postero-lateral": (0.4, 0.6, 0.7),
}
SITE_SHARES = (0.22, 0.25, 0.13, 0.25, 0.10, 0.05)

# Group -> (subjects at scale 1, reasons for admission with their shares, weight for a further record).
GROUPS = {
    "mi": (148, {"Myocardial infarction": 1.0}, 1.5),
    "healthy": (52, {"Healthy control": 1.0}, 0.6),
    "failure": (
        18,
        {
            "Cardiomyopathy": 0.76,
            "Heart failure (NYHA 2)": 0.08,
            "Heart failure (NYHA 3)": 0.08,
            "Heart failure (NYHA 4)": 0.08,
        },
        0.2,
    ),
    "bbb": (15, {"Bundle branch block": 1.0}, 0.2),
    "dysrhythmia": (14, {"Dysrhythmia": 1.0}, 0.2),
    "hypertrophy": (7, {"Hypertrophy": 1.0}, 0.1),
    "other": (
        36,
        {
            "n/a": 22 / 36,
            "Valvular heart disease": 6 / 36,
            "Myocarditis": 4 / 36,
            "Stable angina": 2 / 36,
            "Palpitation": 1 / 36,
            "Unstable angina": 1 / 36,
        },
        0.3,
    ),
}
RECORDS_AT_FULL = 549
FIXTURE_SCALE = 0.01  # at or below: a small set for tests
FIXTURE_SUBJECTS, FIXTURE_SECONDS = 3, 25.0
LENGTHS = ((38.4, 0.1), (115.2, 0.8), (120.0, 0.1))  # (s, share) at scale 1: mean 108 s
MEAN_LENGTH, SHORTEST = 108.0, 38.0  # s
# Below full size a group keeps enough people to learn from, and some in proportion so that infarction is the largest by
# far, as published; far below it records are short (s).
LEAST_SUBJECTS, LEAST_SCALE, LEAST_OTHERS = 12, 0.28, 3
SHORT_SCALE, SHORT_SECONDS = 0.3, 25.0


@dataclass
class Subject:
    """One simulated person: the beat, the rhythm and the words of the header."""

    beat: np.ndarray  # (8, 5): seconds, width (s), x, y, z (mV)
    ectopic: np.ndarray  # the same for a premature ventricular beat
    heart_rate: float  # beats/min
    rate_sd: float  # standard deviation of the RR interval as a share of its mean
    ectopic_share: float  # share of beats that are premature
    fibrillation: float  # share of the time in atrial fibrillation
    lead_gain: np.ndarray  # (8,) electrode placement: a factor for I, II, V1 to V6
    noise: float  # factor on all disturbances
    reason: str
    site: str  # of an infarct, or "no"
    age: int
    sex: str


def write_ptbdb(folder: pathlib.Path, scale: float, seed: int) -> None:
    """Write a simulated PTBDB under `folder` (exists, empty). Same bytes for the same (scale, seed)."""
    root = np.random.SeedSequence(seed)
    plan_seed, *subject_seeds = root.spawn(1 + sum(_subjects_per_group(scale).values()))
    plan = _plan(scale, np.random.default_rng(plan_seed))
    paths, number = [], 0
    for patient, ((group, records), child) in enumerate(zip(plan, subject_seeds, strict=True), start=1):
        rng = np.random.default_rng(child)
        subject = draw_subject(group, rng)
        (folder / f"patient{patient:03d}").mkdir()
        for _ in range(records):
            number += 1
            path = f"patient{patient:03d}/s{number:04d}lre"
            _write_record(folder / path, simulate_record(subject, _seconds(scale, rng), rng), subject, rng)
            paths.append(path)
    (folder / "RECORDS").write_text("\n".join(paths) + "\n", encoding="utf-8")


def _subjects_per_group(scale: float) -> dict[str, int]:
    counts = {}
    for group, (full, _, _) in GROUPS.items():
        least = LEAST_OTHERS if group == "other" else LEAST_SUBJECTS + round(LEAST_SCALE * full)
        fixture = 2 if group == "other" else FIXTURE_SUBJECTS
        # Seven hypertrophy subjects are the published number: at full size nothing is added to any group.
        least = min(least, full) if scale >= 1 else least
        counts[group] = fixture if scale <= FIXTURE_SCALE else max(least, round(full * scale))
    return counts


def _plan(scale: float, rng: np.random.Generator) -> list[tuple[str, int]]:
    """(group, number of records) for each patient number, in an order that says nothing about the group."""
    groups = [group for group, count in _subjects_per_group(scale).items() for _ in range(count)]
    groups = [groups[i] for i in rng.permutation(len(groups))]
    further = RECORDS_AT_FULL / sum(full for full, _, _ in GROUPS.values()) - 1  # a subject, at full size
    extra = 0 if scale <= FIXTURE_SCALE else round(further * min(scale, 1) * len(groups))
    weights = np.array([GROUPS[group][2] for group in groups])
    records = 1 + rng.multinomial(extra, weights / weights.sum())
    return list(zip(groups, records.tolist(), strict=True))


def _seconds(scale: float, rng: np.random.Generator) -> float:
    if scale <= FIXTURE_SCALE:
        return FIXTURE_SECONDS
    if scale < SHORT_SCALE:
        return SHORT_SECONDS
    lengths, shares = zip(*LENGTHS, strict=True)
    mean = 40 + (MEAN_LENGTH - 40) * min(scale, 1) ** 0.5
    return max(SHORTEST, rng.choice(lengths, p=shares) * mean / MEAN_LENGTH)


def draw_subject(group: str, rng: np.random.Generator) -> Subject:
    """Draw a person of `group`. All groups share the ordinary variation; the disease is laid on top."""
    beat = HEALTHY_BEAT.copy()
    beat[:, 1] *= rng.lognormal(0, 0.06, len(beat))
    beat[:, 2:] *= rng.lognormal(0, 0.12, (len(beat), 1))
    beat[:, 2:] += rng.normal(0, 0.10, beat[:, 2:].shape) * np.abs(beat[:, 2:])
    beat[P, 0] += rng.normal(0, 0.015)
    beat[ST, 2:] += rng.normal(0, 0.015, 3)
    beat[REPOLARISATION, 2:] *= rng.lognormal(0, 0.12)  # unspecific changes of the T wave
    subject = Subject(
        beat=beat,
        ectopic=_ectopic_beat(rng),
        heart_rate=rng.normal(72, 8),
        rate_sd=rng.lognormal(np.log(0.035), 0.5),
        ectopic_share=rng.uniform(0, 0.05) * (rng.random() < 0.12),
        fibrillation=0.0,
        lead_gain=rng.lognormal(0, 0.06, 8),
        noise=rng.lognormal(0, 0.3),
        reason="",
        site="no",
        age=int(np.clip(rng.normal(57, 13), 17, 87)),
        sex="male" if rng.random() < 0.7 else "female",
    )
    _add_disease(subject, group, rng)
    subject.heart_rate = float(np.clip(subject.heart_rate, 45, 130))
    subject.beat[:, 2:] = subject.beat[:, 2:] @ _rotation(rng.normal(0, np.radians((7, 7, 7)))).T
    subject.beat[:, 2:] *= rng.lognormal(0, 0.13)  # build of the chest
    reasons, shares = zip(*GROUPS[group][1].items(), strict=True)
    subject.reason = str(rng.choice(reasons, p=shares))
    return subject


def _ectopic_beat(rng: np.random.Generator) -> np.ndarray:
    """(8, 5) premature ventricular beat: wide, from a random site, no P, T opposite to the QRS."""
    direction = rng.normal(size=3)
    beat = np.zeros_like(HEALTHY_BEAT)
    beat[:, 1] = 0.02  # a width without an amplitude draws nothing
    beat[R, :2] = 0.02, rng.uniform(0.03, 0.045)
    beat[R, 2:] = direction / np.linalg.norm(direction) * rng.uniform(0.8, 1.6)
    beat[T_UP, :2] = 0.27, 0.06
    beat[T_UP, 2:] = -0.4 * beat[R, 2:]
    return beat


def _add_disease(subject: Subject, group: str, rng: np.random.Generator) -> None:
    severity = rng.beta(3.0, 1.1)
    beat = subject.beat
    if group == "mi":
        subject.site = str(rng.choice(list(INFARCT_SITES), p=SITE_SHARES))
        toward = np.array(INFARCT_SITES[subject.site]) / np.linalg.norm(INFARCT_SITES[subject.site])
        stage = rng.random()  # 0: fresh (ST raised), 1: old (Q waves, T turned over)
        beat[ST, 2:] += toward * 0.30 * severity * (1 - stage)
        beat[Q, 2:] -= toward * 0.50 * severity * (0.4 + 0.6 * stage)
        beat[R, 2:] -= toward * max(0.0, toward @ beat[R, 2:]) * 0.4 * severity
        beat[[T_UP, T_DOWN], 2:] -= toward * np.array([[0.24], [0.18]]) * severity * (0.35 + stage)
        subject.heart_rate += 4
    elif group == "failure":
        beat[QRS, 2:] *= 1 - 0.45 * severity
        beat[QRS, 1] *= 1 + 0.25 * severity
        beat[REPOLARISATION, 2:] *= 1 - 1.45 * severity
        beat[P, 1] *= 1 + 0.3 * severity
        subject.heart_rate += 14 * severity
        subject.rate_sd *= 1 - 0.5 * severity
    elif group == "bbb":
        beat[QRS, 1] *= 1 + 0.4 * severity
        beat[LATE, 0] += 0.015 * severity
        if rng.random() < 0.6:  # left bundle: late forces to the left and back, M shape in V6
            beat[Q, 2:] *= 1 - severity
            beat[LATE, 2:] += severity * np.array([0.65, 0.15, 0.80])
            beat[REPOLARISATION, 2:] -= severity * np.array([0.20, 0.05, 0.14])
        else:  # right bundle: late forces to the right and front, M shape in V1
            beat[LATE, 2:] += severity * np.array([-0.50, -0.05, -0.65])
            beat[REPOLARISATION, 2:] += severity * np.array([0.04, 0.02, 0.16])
    elif group == "dysrhythmia":
        if rng.random() < 0.5:
            subject.fibrillation = 0.25 + 0.65 * severity
        else:
            subject.ectopic_share = 0.10 + 0.25 * severity
    elif group == "hypertrophy":
        beat[QRS, 2:] *= 1 + severity * np.array([0.45, 0.15, 0.95])
        beat[:, 2:] = beat[:, 2:] @ _rotation(np.array([0.0, 0.0, -np.radians(15 * severity)])).T
        beat[REPOLARISATION, 2:] -= severity * np.array([0.20, 0.06, -0.10])
    elif group == "other":  # a mixture, so that the reader's filter matters
        _add_disease(subject, str(rng.choice(["mi", "failure", "healthy"])), rng)
        subject.site = "no"


def simulate_record(subject: Subject, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """One record as stored: (seconds * RATE, 15) int16 in units of 1/2000 mV, columns LEADS + AXES."""
    count = round(seconds * RATE)
    vector = _heart_vector(subject, count, rng)
    eight = vector @ (DOWER * subject.lead_gain[:, None]).T.astype(np.float32)
    noise = subject.noise * rng.lognormal(0, 0.3) * _disturbance(count, 12, rng)
    eight += noise[:, :9] @ ELECTRODES.T.astype(np.float32)
    units = np.rint(UNITS_PER_MV * np.concatenate([eight, vector + noise[:, 9:]], axis=1))
    units = np.clip(units, -16000, 16000).astype(np.int32)  # III then still fits 16 bits
    first, second = units[:, 0], units[:, 1]
    derived = (second - first, -(first + second) // 2, first - second // 2, second - first // 2)
    columns = [first, second, *derived, *units.T[2:]]
    return np.stack(columns, axis=1).astype(np.int16)


def _heart_vector(subject: Subject, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count, 3) float32 heart vector in mV: beats, one after the other, and fibrillation waves."""
    times, intervals, ectopic, fibrillating = _rhythm(subject, count / RATE, rng)
    beat = subject.beat.copy()  # the axis and the voltages differ a little from day to day
    beat[:, 2:] = rng.lognormal(0, 0.05) * beat[:, 2:] @ _rotation(rng.normal(0, np.radians(4), 3)).T
    breath = rng.uniform(0.2, 0.32)  # Hz
    margin = len(BEAT_WINDOW)
    vector = np.zeros((count + 2 * margin, 3), np.float32)
    for time, interval, early, no_p in zip(times, intervals, ectopic, fibrillating, strict=True):
        waves = (subject.ectopic if early else beat).copy()
        if no_p:
            waves[P, 2:] = 0
        waves[REPOLARISATION, :2] *= np.clip(interval, 0.45, 1.4) ** 0.5  # QT follows the root of RR (Bazett)
        amplitudes = waves[:, 2:] * (1 + 0.05 * np.sin(2 * np.pi * breath * time)) * rng.normal(1, 0.02)
        shape = np.exp(-0.5 * ((BEAT_WINDOW[:, None] - waves[:, 0]) / waves[:, 1]) ** 2)
        start = margin + round((time + BEAT_WINDOW[0]) * RATE)
        if 0 <= start <= len(vector) - margin:
            vector[start : start + margin] += shape @ amplitudes
    vector = vector[margin:-margin]
    if fibrillating.any():
        seconds = np.arange(count) / RATE
        during = np.interp(seconds, times, fibrillating)[:, None]
        phase = 2 * np.pi * (rng.uniform(5, 7) * seconds + 0.4 * np.sin(2 * np.pi * 0.3 * seconds))
        waves = (np.sin(phase) + 0.5 * np.sin(2 * phase + 1))[:, None] * np.array([0.4, 0.4, -0.9])
        vector += (rng.uniform(0.03, 0.08) * during * waves).astype(np.float32)  # largest in V1
    return vector


def _rhythm(subject: Subject, seconds: float, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """R-peak times (s), RR intervals before them (s), flags for premature beats and for fibrillation."""
    mean = 60 / (subject.heart_rate * rng.lognormal(0, 0.05))
    breath, phase = rng.uniform(0.2, 0.32), rng.uniform(0, 2 * np.pi)
    beats = []
    time, pause, in_episode = -mean * rng.random(), 1.0, rng.random() < subject.fibrillation
    episode_end = rng.exponential(6.0)
    while time < seconds + 1:
        if time > episode_end:  # episodes of seconds: some segments of a window show the disease, some do not
            in_episode = rng.random() < subject.fibrillation
            episode_end = time + rng.uniform(3, 9)
        if in_episode:
            interval = mean * 0.85 * max(0.5, rng.gamma(22, 1 / 22))
        else:
            swing = 0.8 * np.sin(2 * np.pi * breath * time + phase) + 0.8 * rng.normal()
            interval = mean * (1 + subject.rate_sd * swing) * pause
        early = not in_episode and pause == 1.0 and rng.random() < subject.ectopic_share
        interval = max(0.33, interval * (rng.uniform(0.55, 0.75) if early else 1.0))
        pause = 1.35 if early else 1.0  # the pause after a premature beat
        time += interval
        beats.append((time, interval, early, in_episode))
    times, intervals, ectopic, fibrillating = zip(*beats, strict=True)
    return np.array(times), np.array(intervals), np.array(ectopic), np.array(fibrillating)


def _disturbance(count: int, electrodes: int, rng: np.random.Generator) -> np.ndarray:
    """(count, electrodes) float32 mV: offset, baseline wander, mains hum, sensor noise, bursts of muscle."""
    seconds = np.arange(count, dtype=np.float32) / RATE
    slow = rng.uniform(0.03, 0.45, 6).astype(np.float32)  # Hz
    starts = rng.uniform(0, 2 * np.pi, 6).astype(np.float32)
    shares = rng.normal(0, 0.025, (6, electrodes)).astype(np.float32)  # mV
    noise = np.sin(2 * np.pi * slow * seconds[:, None] + starts) @ shares
    noise += rng.normal(0, 0.02, electrodes).astype(np.float32)
    hum = np.sin(2 * np.pi * MAINS_HZ * seconds + rng.uniform(0, 2 * np.pi))
    noise += hum[:, None] * rng.exponential(0.006, electrodes).astype(np.float32)
    envelope = np.full(count, 0.006, np.float32)
    for start in rng.uniform(0, count / RATE, rng.poisson(count / RATE / 20)):
        height, width = rng.uniform(0.005, 0.03), rng.uniform(0.3, 1.2)  # mV, s
        envelope += np.float32(height) * np.exp(-0.5 * ((seconds - start) / width) ** 2)
    return noise + envelope[:, None] * rng.standard_normal((count, electrodes), dtype=np.float32)


def _rotation(angles: np.ndarray) -> np.ndarray:
    """(3, 3) rotation about x, y, z by `angles` in radians."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def _write_record(stem: pathlib.Path, units: np.ndarray, subject: Subject, rng: np.random.Generator) -> None:
    """Write STEM.dat (12 leads), STEM.xyz (3 axes), both interleaved little-endian int16, and STEM.hea."""
    for suffix, columns in ((".dat", slice(0, 12)), (".xyz", slice(12, 15))):
        stem.with_suffix(suffix).write_bytes(units[:, columns].astype("<i2").tobytes())
    checksums = units.sum(axis=0, dtype=np.int64).astype(np.int16)  # the low 16 bits, signed
    lines = [f"{stem.name} {units.shape[1]} {RATE} {len(units)}"]
    for column, (name, first, checksum) in enumerate(zip(LEADS + AXES, units[0], checksums, strict=True)):
        suffix = ".dat" if column < len(LEADS) else ".xyz"
        lines.append(f"{stem.name}{suffix} 16 {UNITS_PER_MV} 16 0 {first} {checksum} 0 {name}")
    date = f"{rng.integers(1, 29):02d}/{rng.integers(1, 13):02d}/{rng.integers(1990, 1998)}"
    smoker = rng.choice(["no", "yes", "unknown"])
    lines += [
        "",
        f"# age: {subject.age}",
        f"# sex: {subject.sex}",
        f"# ECG date: {date}",
        "",
        "# Diagnose:",
        f"# Reason for admission: {subject.reason}",
        f"# Acute infarction (localization): {subject.site}",
        "# Former infarction (localization): no",
        "# Additional diagnoses: n/a",
        f"# Smoker: {smoker}",
        "# Number of coronary vessels involved: n/a",
        "# Infarction date (acute): n/a",
        "",
        "# Hemodynamics:",
        "# Catheterization date: n/a",
        "# Echocardiography: n/a",
        "",
        "# Therapy:",
        "# Medication pre admission: n/a",
    ]
    stem.with_suffix(".hea").write_text("\n".join(lines) + "\n", encoding="utf-8")
