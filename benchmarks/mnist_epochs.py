"""Are epochs what notebook 13's nets lack? MNIST's nets trained for longer, as the notebook trains them otherwise.

`python benchmarks/mnist_epochs.py RAW` trains a teacher and students (alone, and with soft labels at T = 20) for each
line of LENGTHS and writes mnist_epochs.csv: errors of 10,000 test images, a line a length and seed. Some four hours on
one core; what is done is kept under results/mnist_epochs and taken over. --only 135,25 prints one line of LENGTHS.

The first line may differ from notebook 13 by a few errors, since more nets train at once there, which rounds otherwise.
"""

import argparse
from pathlib import Path

import pandas as pd

from rdpd_nb.errors import UserError
from rdpd_nb.files import replace_file, root
from rdpd_nb.related import hinton

LENGTHS = ((45, 25), (45, 100), (135, 25))  # epochs of the teacher and of its students; the first are the notebook's
SEEDS, TEMPERATURE, ALPHA = (0, 1, 2), 20.0, 0.9


def study(images: hinton.Images, of_teacher: int, of_students: int, folder: Path) -> list[dict]:
    """Errors on the test images of each seed's three nets. Trainings are taken up from the folder, where checkpoints of
    their last step stay; those of other code or images are not."""
    setting, counts = hinton.TASKS["mnist"], {}
    parts = [hinton.split("mnist", images, seed)[0] for seed in SEEDS]
    teachers = hinton.fit(
        [hinton.Member(*own) for own in zip(SEEDS, parts, strict=True)],
        *(setting.teacher, images, setting.regularised, of_teacher, folder / f"teacher_{of_teacher}"),
    )
    counts["teacher"] = hinton.errors(hinton.predict(teachers, images.x_test), images.y_test)
    said = hinton.predict(teachers, images.x)
    of = {"alone": (1.0, 0.0), "soft": (TEMPERATURE, ALPHA)}
    members = [hinton.Member(s, parts[i], said[i], *how) for how in of.values() for i, s in enumerate(SEEDS)]
    students = hinton.fit(
        members, setting.student, images, setting.plain, of_students, folder / f"students_{of_teacher}_{of_students}"
    )
    by_member = hinton.errors(hinton.predict(students, images.x_test), images.y_test)
    counts |= zip(of, by_member.split(len(SEEDS)), strict=True)
    lengths = {"teacher_epochs": of_teacher, "epochs": of_students}
    return [lengths | {"seed": s} | {net: int(c[i]) for net, c in counts.items()} for i, s in enumerate(SEEDS)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", help="folder that holds mnist/")
    parser.add_argument("--only", type=lambda text: tuple(map(int, text.split(","))), choices=LENGTHS)
    given = parser.parse_args()
    try:
        images, rows = hinton.read("mnist", given.raw), []
    except UserError as error:
        parser.error(str(error))
    for lengths in [given.only] if given.only else LENGTHS:
        rows += study(images, *lengths, root() / "results/mnist_epochs")
    frame = pd.DataFrame(rows)
    print(frame.to_string(index=False))
    if not given.only:
        with replace_file(root() / "benchmarks/mnist_epochs.csv") as path:
            frame.to_csv(path, index=False)


if __name__ == "__main__":
    main()
