"""Simulated MIMIC-III: made-up intensive-care stays in the raw tables of the real set.

NOTHING HERE WAS MEASURED. The tables have the names, columns and oddities of MIMIC-III v1.4 (Johnson et al.,
Scientific Data 3, 2016): two charting systems with their own item numbers (CareVue, MetaVision), several
stays for some subjects, vital signs charted about hourly with gaps, impossible values, rows marked as errors,
rows before admission to the unit and after 48 hours. So the reader of the real set reads them too.

A stay is a slow path for each vital sign: a personal level, a course over 48 hours and a wandering strength
that depend on the diagnosis (by a severity for each stay), a daily rhythm, and at most one event of some
hours. Mean pressure follows (systolic + 2 diastolic) / 3. Directions come from textbook medicine (sepsis:
fast heart and low pressure that recover; brain haemorrhage: high pressure brought down; and so on). Levels
and spreads are near those of the open demo tables; the sizes of the effects were chosen so that the classes
overlap heavily, as the published scores say they do. What is charted, when, and by which system does not
depend on the diagnosis.
"""

from __future__ import annotations

import pathlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

SUBJECTS_AT_FULL = 9488  # in the eight classes
FIXTURE_SCALE, FIXTURE_SUBJECTS = 0.01, 48  # at or below this scale: a small set for tests
LEAST_SUBJECTS, LEAST_IN_CLASS = 96, 5
FIRST_HOUR, LAST_HOUR = -2, 54  # charted hours, counted from INTIME
STAYS_AT_ONCE = 500  # bounds memory

# What wanders. Courses are deviations at 0, 12, 24 and 48 h; units beats/min, breaths/min, %, mmHg, mmHg.
STATES = ("heart rate", "breathing", "saturation", "systolic", "pulse pressure")
LEVEL = np.array([85.0, 18.5, 97.3, 118.0, 58.0])
LEVEL_SD = np.array([14.0, 4.0, 1.5, 16.0, 8.0])  # between stays
WANDER_SD = np.array([7.0, 3.0, 1.2, 11.0, 5.0])  # within a stay
WANDER_MEMORY = 0.8  # from one hour to the next
PULSE_WITH_SYSTOLIC = 0.4  # mmHg of pulse pressure for each mmHg of systolic pressure off its level
DAILY_SWING = np.array([3.0, 0.8, 0.0, 4.0, 1.0])  # lowest at four in the morning


Columns = dict[str, np.ndarray]  # a table: equally long columns by name


@dataclass(frozen=True)
class Course:
    """How one diagnosis moves the vital signs at full severity."""

    share: float  # of subjects in the eight classes
    codes: tuple[str, ...]  # ICD-9, as text without the dot
    shift: tuple[tuple[float, ...], ...]  # state x (0, 12, 24, 48 h)
    wander: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0, 1.0)  # factor on WANDER_SD for each state
    event_share: float = 0.3  # of stays with an event
    event_hours: tuple[float, float] = (0.0, 48.0)  # when it may begin
    event: tuple[float, ...] = (10.0, 2.0, -1.0, 8.0, 0.0)  # its size for each state


_NONE = (0.0, 0.0, 0.0, 0.0)
COURSES = {
    "410": Course(  # acute infarction: an early event
        0.17,
        ("41071", "41041", "41011", "41091"),
        ((-3, -5, -6, -6), _NONE, _NONE, (-2, -2, -2, 0), (-4, -4, -3, -3)),
        (0.9, 0.9, 1.0, 0.9, 1.0),
        0.6,
        (2, 12),
        (20, 4, -1.5, -26, -8),
    ),
    "414": Course(  # chronic ischaemia, after bypass: ventilated and cold at first, then steady
        0.22,
        ("41401", "41400"),
        ((2, 5, 3, 2), (-5, -2, 0, 0), (1.2, 0.8, 0, 0), (-8, -5, 0, 0), (-3, -2, 0, 0)),
        (0.7, 0.85, 0.9, 1.0, 0.9),
        0.25,
        (24, 44),
        (26, 3, -1, -6, 0),
    ),
    "428": Course(  # heart failure: low pressure, short of breath
        0.08,
        ("4280", "42823", "42833", "42843"),
        ((2, 2, 2, 0), (5, 4, 3, 2), (-0.8, -0.6, -0.4, 0), (-10, -12, -10, -10), (-8, -8, -7, -7)),
        (0.85, 1.0, 1.1, 0.8, 0.85),
        0.5,
        (10, 40),
        (8, 8, -3, 10, 0),
    ),
    "431": Course(  # brain haemorrhage: high pressure brought down, slow heart, uneven breathing
        0.08,
        ("431",),
        ((-7, -8, -6, -5), _NONE, (0.6, 0.6, 0.4, 0.3), (26, 14, 11, 11), (5, 4, 4, 4)),
        (0.9, 1.4, 0.9, 1.1, 1.0),
        0.5,
        (2, 20),
        (-12, -4, 0, 28, 12),
    ),
    "996": Course(  # device complication: near the common course
        0.08,
        ("99662", "99604", "99673", "99681"),
        ((0, 0, 2, 3), _NONE, (0.4, 0.4, 0.4, 0.4), (3, 5, 7, 9), (3, 3, 4, 5)),
        (1.0, 1.0, 0.8, 1.2, 1.2),
        0.65,
        (20, 44),
        (22, 5, 0, -14, -4),
    ),
    "518": Course(  # lung disease: fast breathing, low saturation
        0.09,
        ("51881", "51884", "51882"),
        ((6, 6, 5, 5), (6, 5, 4, 4), (-1.8, -1.4, -1.2, -1.2), (4, 4, 4, 4), _NONE),
        (1.0, 1.15, 1.4, 1.0, 1.0),
        0.6,
        (0, 44),
        (8, 8, -6, 8, 0),
    ),
    "424": Course(  # valve disease: wide pulse pressure, uneven heart late on
        0.12,
        ("4241", "4240", "4242"),
        ((0, 2, 2, 3), (-3, -1, 0, 0), (1.0, 0.5, 0, 0), (0, 2, 3, 3), (9, 10, 11, 11)),
        (1.25, 0.85, 0.9, 0.9, 1.15),
        0.4,
        (20, 44),
        (28, 2, -1, -10, -4),
    ),
    "038": Course(  # septicaemia: fast heart, low pressure, recovering
        0.16,
        ("0389", "03849", "03842", "03811"),
        ((18, 11, 6, 3), (5, 4, 3, 2), (-0.6, -0.4, -0.4, -0.2), (-20, -12, -5, 0), (-4, -3, -1, 0)),
        (1.1, 1.1, 1.1, 1.1, 1.0),
        0.4,
        (0, 14),
        (14, 4, -1, -16, -4),
    ),
    "other": Course(0.0, ("5789", "43411", "5770", "486", "44101", "4275"), (_NONE,) * 5),
}
OTHER_SHARE = 1 / 9  # of the number in the eight classes
FURTHER_CODES = (
    "4019",
    "42731",
    "25000",
    "5849",
    "2724",
    "5990",
    "2851",
    "4280",
    "51881",
    "41401",
    "99592",
    "2449",
)

# One charted column each: (state or kind, CareVue item, MetaVision item, label, unit).
CHARTED = (
    ("heart rate", 211, 220045, "Heart Rate", "bpm"),
    ("breathing", 618, 220210, "Respiratory Rate", "insp/min"),
    ("saturation", 646, 220277, "SpO2", "%"),
    ("cuff", 455, 220179, "Non Invasive Blood Pressure systolic", "mmHg"),
    ("cuff", 8441, 220180, "Non Invasive Blood Pressure diastolic", "mmHg"),
    ("cuff", 456, 220181, "Non Invasive Blood Pressure mean", "mmHg"),
    ("line", 51, 220050, "Arterial Blood Pressure systolic", "mmHg"),
    ("line", 8368, 220051, "Arterial Blood Pressure diastolic", "mmHg"),
    ("line", 52, 220052, "Arterial Blood Pressure mean", "mmHg"),
    ("ventilator", 615, 224690, "Respiratory Rate (Total)", "insp/min"),
    ("temperature", 678, 223761, "Temperature Fahrenheit", "?F"),
)
KIND = np.array([kind for kind, *_ in CHARTED])
READING_SD = np.array([1.5, 1.3, 0.6, 5.0, 4.0, 4.0, 3.0, 2.5, 2.5, 1.3, 0.4])
IMPOSSIBLE = np.array([0.0, 999.0, -1.0, 9_999_999.0])
SYSTEMS = ("carevue", "metavision")
UNITS_OF_CARE = ("MICU", "CCU", "CSRU", "SICU", "TSICU")

CHART_COLUMNS = (
    "ROW_ID SUBJECT_ID HADM_ID ICUSTAY_ID ITEMID CHARTTIME STORETIME CGID VALUE VALUENUM VALUEUOM WARNING "
    "ERROR RESULTSTATUS STOPPED"
).split()


def write_mimic3(folder: pathlib.Path, scale: float, seed: int) -> None:
    """Write a simulated MIMIC-III under `folder` (exists, empty). Same bytes for the same (scale, seed)."""
    plan_seed, chart_seed = np.random.SeedSequence(seed).spawn(2)
    rng = np.random.default_rng(plan_seed)
    stays = _draw_stays(_draw_classes(scale, rng), rng)
    admissions = _admissions(stays, rng)
    _write_patients(folder, admissions, rng)
    _write_admissions(folder, admissions, rng)
    _write_stays(folder, stays, rng)
    _write_diagnoses(folder, admissions, rng)
    _write_dictionaries(folder)
    _write_chart(folder, stays, chart_seed)


def _draw_classes(scale: float, rng: np.random.Generator) -> np.ndarray:
    """Index into COURSES for each subject, in random order, (subjects,) int."""
    total = max(LEAST_SUBJECTS, round(SUBJECTS_AT_FULL * scale))
    total = FIXTURE_SUBJECTS if scale <= FIXTURE_SCALE else total
    shares = np.array([course.share for course in COURSES.values()])
    counts = np.maximum(np.rint(shares * total).astype(int), LEAST_IN_CLASS)
    counts[-1] = round(total * OTHER_SHARE)
    counts[np.argmax(shares)] += total - counts[:-1].sum()
    return rng.permutation(np.repeat(np.arange(len(counts)), counts))


def _draw_stays(classes: np.ndarray, rng: np.random.Generator) -> Columns:
    """Columns of one row a stay, a subject's stays in order of time; the first has the subject's class.

    `order`: 0 first stay, 1 second stay of the same admission, 2 stay of a later admission.
    """
    subjects = len(classes)
    subject_ids = 3 + np.sort(rng.choice(max(99_000, 2 * subjects), subjects, replace=False))
    again, back = np.flatnonzero(rng.random(subjects) < 0.06), np.flatnonzero(rng.random(subjects) < 0.12)
    rows = np.concatenate([np.arange(subjects), again, back])
    order = np.repeat([0, 1, 2], [subjects, len(again), len(back)])
    by_time = np.lexsort((order, rows))
    rows, order = rows[by_time], order[by_time]
    count = len(rows)
    short = rng.random(count) < np.where(order == 0, 0.03, 0.3)
    days = np.where(short, rng.uniform(0.4, 1.9, count), 2.05 + rng.lognormal(0.2, 0.9, count))
    # Dates are shifted into the years 2100 to 2200, as in the real set.
    minutes = rng.integers(0, 95 * 365 * 24 * 60, subjects)[rows]
    minutes += np.where(order == 2, rng.integers(150, 1500, count) * 24 * 60, 0)
    admitted = np.datetime64("2100-01-01T00:00:00") + minutes * np.timedelta64(60, "s")
    entered = admitted + rng.integers(60, 6 * 3600, count) * np.timedelta64(1, "s")
    left = entered + np.rint(days * 86400).astype("timedelta64[s]")
    for row in np.flatnonzero(order == 1):  # back in the unit a day or more after leaving it
        entered[row] = left[row - 1] + np.timedelta64(int(rng.integers(24, 120)), "h")
        left[row] = entered[row] + np.rint(days[row] * 86400).astype("timedelta64[s]")
    admission = np.cumsum(order != 1) - 1
    admission_ids = 100_000 + rng.choice(max(99_999, 2 * count), admission[-1] + 1, replace=False)
    return {
        "row": rows,
        "subject": subject_ids[rows],
        "order": order,
        "admission": admission_ids[admission],
        "stay": 200_000 + rng.choice(max(99_999, 2 * count), count, replace=False),
        "class": np.where(order == 2, rng.integers(0, len(COURSES), count), classes[rows]),
        "system": (rng.random(subjects) < 0.45).astype(int)[rows],
        "admitted": admitted,
        "entered": entered,
        "left": left,
    }


def simulate_vitals(classes: np.ndarray, entered: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Underlying vital signs, (stays, hours, STATES), hours FIRST_HOUR to LAST_HOUR - 1 after INTIME."""
    courses = list(COURSES.values())
    hours = np.arange(FIRST_HOUR, LAST_HOUR)
    stays = len(classes)
    severity = rng.beta(1.8, 1.3, (stays, 1, 1))
    shift = np.array([[np.interp(hours, (0, 12, 24, 48), state) for state in c.shift] for c in courses])
    restlessness = rng.lognormal(0, 0.25, (stays, 5))
    wander_sd = WANDER_SD * restlessness * np.array([c.wander for c in courses])[classes]
    paths = LEVEL + LEVEL_SD * rng.normal(size=(stays, 1, 5)) + severity * shift.transpose(0, 2, 1)[classes]
    wander = rng.normal(size=(stays, 5))
    for column in range(len(hours)):
        kick = np.sqrt(1 - WANDER_MEMORY**2) * rng.normal(size=(stays, 5))
        wander = WANDER_MEMORY * wander + kick
        paths[:, column] += wander_sd * wander
    clock = (entered - entered.astype("datetime64[D]")) / np.timedelta64(1, "h")
    paths -= DAILY_SWING * np.cos(2 * np.pi * (clock[:, None, None] + hours[:, None] - 4) / 24)
    window = np.array([c.event_hours for c in courses])[classes]
    since = hours - rng.uniform(window[:, 0], window[:, 1])[:, None]
    hit = rng.random(stays) < np.array([c.event_share for c in courses])[classes]
    fade = np.where(since >= 0, np.exp(-np.maximum(since, 0) / rng.uniform(2, 6, (stays, 1))), 0)
    paths += (hit[:, None] * fade)[..., None] * np.array([c.event for c in courses])[classes][:, None, :]
    paths[..., 4] += PULSE_WITH_SYSTOLIC * (paths[..., 3] - LEVEL[3])
    low, high = np.array([35, 6, 70, 55, 15]), np.array([180, 50, 100, 230, 120])
    return np.clip(paths, low, high)


def _readings(paths: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What the devices show, (stays, hours, len(CHARTED)): paths plus reading noise, in whole units."""
    heart, breathing, saturation, systolic, pulse = np.moveaxis(paths, -1, 0)
    diastolic = np.maximum(systolic - pulse, 25)
    mean = (systolic + 2 * diastolic) / 3
    temperature = 98.4 + 0.4 * np.sin(np.arange(paths.shape[1]) / 4) + 0 * heart
    pressures = [systolic, diastolic, mean]  # by cuff and by arterial line
    values = [heart, breathing, saturation, *pressures, *pressures, breathing, temperature]
    values = np.stack(values, axis=-1)
    values += READING_SD * rng.normal(size=values.shape)
    values[..., :-1] = np.rint(values[..., :-1])
    values[..., 2] = np.minimum(values[..., 2], 100)
    return np.round(values, 1)


def _charted(stays: Columns, rng: np.random.Generator) -> np.ndarray:
    """Which readings someone wrote down, (stays, hours, len(CHARTED)) bool. Takes no notice of the class."""
    hours = np.arange(FIRST_HOUR, LAST_HOUR)
    count = len(stays["stay"])
    charted = rng.random((count, len(hours), len(CHARTED))) < 0.97
    charted &= (rng.random((count, len(hours))) < 0.95)[..., None]  # an hour without a visit
    start = rng.integers(0, len(hours), (count, 1))  # off the ward for some hours
    away = (hours - FIRST_HOUR >= start) & (hours - FIRST_HOUR < start + rng.integers(0, 6, (count, 1)))
    charted &= ~away[..., None]
    charted &= (hours < 0)[:, None] <= (rng.random((count, 1, 1)) < 0.25)  # few have rows before INTIME
    length = (stays["left"] - stays["entered"]) / np.timedelta64(1, "h")
    charted &= (hours < length[:, None])[..., None]
    charted &= (hours % 4 == 0)[:, None] | (KIND != "temperature")
    has_line = rng.random((count, 1)) < 0.5
    with_line = has_line & (hours < rng.uniform(10, 80, (count, 1)))  # taken out at some time
    charted &= with_line[..., None] | (KIND != "line")
    charted &= (~with_line | (hours % 4 == 0))[..., None] | (KIND != "cuff")
    ventilated = (rng.random((count, 1)) < 0.3) & (hours < rng.uniform(4, 60, (count, 1)))
    charted &= ventilated[..., None] | (KIND != "ventilator")
    never = rng.random((count, 1, len(CHARTED))) < 0.02  # a sign nobody charted in this stay
    return charted & ~never


def _chart_block(stays: Columns, first_row: int, rng: np.random.Generator) -> pa.Table:
    """CHARTEVENTS rows of some stays."""
    values = _readings(simulate_vitals(stays["class"], stays["entered"], rng), rng)
    charted = _charted(stays, rng)
    minutes = (rng.integers(0, 60, (len(charted), 1)) + rng.integers(-8, 9, charted.shape[:2])) % 60
    stay, hour, column = np.nonzero(charted)
    count = len(stay)
    modern = stays["system"][stay] == 1
    reading = values[stay, hour, column]
    impossible = rng.random(count) < 0.002
    reading[impossible] = rng.choice(IMPOSSIBLE, impossible.sum())
    wrong = modern & (rng.random(count) < np.where(impossible, 0.3, 0.001))  # marked so in MetaVision
    reading[wrong & ~impossible] *= 0.4
    stopped = ~modern & (rng.random(count) < 0.001)  # CareVue: charted as discontinued, without a value
    time = stays["entered"].astype("datetime64[h]")[stay] + (hour + FIRST_HOUR) * np.timedelta64(1, "h")
    time = time.astype("datetime64[s]") + minutes[stay, hour] * np.timedelta64(60, "s")
    stored = time + rng.integers(1, 90, count) * np.timedelta64(60, "s")
    items = np.array([[carevue, metavision] for _, carevue, metavision, _, _ in CHARTED])
    number = pa.array(np.round(reading, 1), mask=stopped)
    no_stay = rng.random(count) < 0.003  # as in the real table, now and then the stay is not filled in
    columns = [
        np.arange(first_row, first_row + count),
        stays["subject"][stay],
        stays["admission"][stay],
        pa.array(stays["stay"][stay], mask=no_stay),
        items[column, stays["system"][stay]],
        time,
        stored,
        rng.integers(14_000, 22_000, count),
        pc.cast(number, pa.string()),
        number,
        pa.array([unit for *_, unit in CHARTED]).take(pa.array(column)),
        pa.array((rng.random(count) < 0.01).astype(np.int8), mask=~modern),
        pa.array(wrong.astype(np.int8), mask=~modern),
        pa.nulls(count, pa.string()),
        pa.array(["NotStopd", "D/C'd"]).take(pa.array(stopped.astype(int), mask=modern)),
    ]
    return pa.table(columns, names=CHART_COLUMNS)


def _write_chart(folder: pathlib.Path, stays: Columns, seed: np.random.SeedSequence) -> None:
    starts = range(0, len(stays["stay"]), STAYS_AT_ONCE)
    writer, rows = None, 0
    options = pyarrow.csv.WriteOptions(quoting_style="none")  # nothing in this table needs quotes
    for start, child in zip(starts, seed.spawn(len(starts)), strict=True):
        block = {name: column[start : start + STAYS_AT_ONCE] for name, column in stays.items()}
        table = _chart_block(block, rows + 1, np.random.default_rng(child))
        path = folder / "CHARTEVENTS.csv"
        writer = writer or pyarrow.csv.CSVWriter(path, table.schema, write_options=options)
        writer.write_table(table)
        rows += len(table)
    writer.close()


def _write_table(folder: pathlib.Path, name: str, columns: dict) -> None:
    """Write NAME.csv with a ROW_ID in front; strings quoted, missing values empty, as in the real files."""
    count = len(next(iter(columns.values())))
    pyarrow.csv.write_csv(pa.table({"ROW_ID": np.arange(1, count + 1), **columns}), folder / f"{name}.csv")


def _admissions(stays: Columns, rng: np.random.Generator) -> Columns:
    """Columns of one row an admission; some of the last ones end in death, whatever the class."""
    first = np.flatnonzero(stays["order"] != 1)
    last = np.append(first[1:], len(stays["stay"])) - 1
    discharged = stays["left"][last] + rng.integers(1, 24 * 9, len(first)) * np.timedelta64(3600, "s")
    final = np.append(stays["subject"][first][1:] != stays["subject"][first][:-1], True)
    return {
        "subject": stays["subject"][first],
        "admission": stays["admission"][first],
        "class": stays["class"][first],
        "admitted": stays["admitted"][first],
        "discharged": discharged,
        "died": final & (rng.random(len(first)) < 0.1),
        "final": final,
        "opening": stays["order"][first] == 0,
    }


def _write_patients(folder: pathlib.Path, admissions: Columns, rng: np.random.Generator) -> None:
    opening, final = admissions["opening"], admissions["final"]
    count = opening.sum()
    age = np.clip(rng.normal(65, 15, count), 18, 88)
    age = np.where(rng.random(count) < 0.05, 300, age)  # over 89: births are shifted by 300 years
    born = admissions["admitted"][opening] - np.rint(age * 365.25 * 86400).astype("timedelta64[s]")
    born = born.astype("datetime64[D]").astype("datetime64[s]")
    died = admissions["died"][final]
    death = admissions["discharged"][final].astype("datetime64[D]").astype("datetime64[s]")
    _write_table(
        folder,
        "PATIENTS",
        {
            "SUBJECT_ID": admissions["subject"][opening],
            "GENDER": rng.choice(["F", "M"], count, p=[0.44, 0.56]),
            "DOB": born,
            "DOD": pa.array(death, mask=~died),
            "DOD_HOSP": pa.array(death, mask=~died),
            "DOD_SSN": pa.nulls(count, pa.timestamp("s")),
            "EXPIRE_FLAG": died.astype(int),
        },
    )


def _write_admissions(folder: pathlib.Path, admissions: Columns, rng: np.random.Generator) -> None:
    count, died = len(admissions["died"]), admissions["died"]

    def words(*choices: str) -> np.ndarray:
        return rng.choice(choices, count)

    _write_table(
        folder,
        "ADMISSIONS",
        {
            "SUBJECT_ID": admissions["subject"],
            "HADM_ID": admissions["admission"],
            "ADMITTIME": admissions["admitted"],
            "DISCHTIME": admissions["discharged"],
            "DEATHTIME": pa.array(admissions["discharged"], mask=~died),
            "ADMISSION_TYPE": words("EMERGENCY", "ELECTIVE", "URGENT"),
            "ADMISSION_LOCATION": words("EMERGENCY ROOM ADMIT", "CLINIC REFERRAL/PREMATURE"),
            "DISCHARGE_LOCATION": np.where(died, "DEAD/EXPIRED", words("HOME", "SNF", "HOME HEALTH CARE")),
            "INSURANCE": words("Medicare", "Private", "Medicaid"),
            "LANGUAGE": words("ENGL", "SPAN"),
            "RELIGION": words("NOT SPECIFIED", "UNOBTAINABLE"),
            "MARITAL_STATUS": words("MARRIED", "SINGLE"),
            "ETHNICITY": words("UNKNOWN/NOT SPECIFIED", "WHITE", "BLACK/AFRICAN AMERICAN"),
            "EDREGTIME": pa.nulls(count, pa.timestamp("s")),
            "EDOUTTIME": pa.nulls(count, pa.timestamp("s")),
            "DIAGNOSIS": words("CHEST PAIN", "SHORTNESS OF BREATH", "ALTERED MENTAL STATUS", "FEVER;WEAKNESS"),
            "HOSPITAL_EXPIRE_FLAG": died.astype(int),
            "HAS_CHARTEVENTS_DATA": np.ones(count, int),
        },
    )


def _write_stays(folder: pathlib.Path, stays: Columns, rng: np.random.Generator) -> None:
    by_number = np.argsort(stays["stay"])  # not the order of time: a reader has to look at INTIME
    stays = {name: column[by_number] for name, column in stays.items()}
    count = len(stays["stay"])
    unit, ward = rng.choice(UNITS_OF_CARE, count), rng.integers(7, 58, count)
    _write_table(
        folder,
        "ICUSTAYS",
        {
            "SUBJECT_ID": stays["subject"],
            "HADM_ID": stays["admission"],
            "ICUSTAY_ID": stays["stay"],
            "DBSOURCE": np.array(SYSTEMS)[stays["system"]],
            "FIRST_CAREUNIT": unit,
            "LAST_CAREUNIT": unit,
            "FIRST_WARDID": ward,
            "LAST_WARDID": ward,
            "INTIME": stays["entered"],
            "OUTTIME": stays["left"],
            "LOS": np.round((stays["left"] - stays["entered"]) / np.timedelta64(86400, "s"), 4),
        },
    )


def _write_diagnoses(folder: pathlib.Path, admissions: Columns, rng: np.random.Generator) -> None:
    """One primary diagnosis (SEQ_NUM 1) and some further ones, drawn alike for all classes."""
    courses, rows = list(COURSES.values()), []
    owners = zip(admissions["subject"].tolist(), admissions["admission"].tolist(), strict=True)
    for (subject, admission), number in zip(owners, admissions["class"], strict=True):
        further = rng.choice(FURTHER_CODES, rng.integers(2, 9), replace=False)
        codes = list(dict.fromkeys([rng.choice(courses[number].codes), *further]))  # each code once
        rows += [(subject, admission, place, str(code)) for place, code in enumerate(codes, start=1)]
    names = ("SUBJECT_ID", "HADM_ID", "SEQ_NUM", "ICD9_CODE")
    _write_table(folder, "DIAGNOSES_ICD", dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))


def _write_dictionaries(folder: pathlib.Path) -> None:
    """D_ITEMS with the items that are charted, and D_ICD_DIAGNOSES with the codes that are used."""
    labels = [label for *_, label, _ in CHARTED]
    units = [unit for *_, unit in CHARTED]
    items = [carevue for _, carevue, *_ in CHARTED] + [modern for _, _, modern, *_ in CHARTED]
    nothing, half = pa.nulls(len(items), pa.string()), len(CHARTED)
    _write_table(
        folder,
        "D_ITEMS",
        {
            "ITEMID": items,
            "LABEL": labels * 2,
            "ABBREVIATION": nothing,
            "DBSOURCE": [system for system in SYSTEMS for _ in CHARTED],
            "LINKSTO": ["chartevents"] * len(items),
            "CATEGORY": [None] * half + ["Routine Vital Signs"] * half,
            "UNITNAME": [None] * half + units,
            "PARAM_TYPE": [None] * half + ["Numeric"] * half,
            "CONCEPTID": nothing,
        },
    )
    codes = sorted({code for course in COURSES.values() for code in course.codes} | set(FURTHER_CODES))
    titles = [f"Simulated title of {code}" for code in codes]
    _write_table(folder, "D_ICD_DIAGNOSES", {"ICD9_CODE": codes, "SHORT_TITLE": titles, "LONG_TITLE": titles})
