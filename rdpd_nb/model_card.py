"""The model card of a student: README.md in its folder, under the usual headings (Mitchell et al., 2019)."""

from typing import TYPE_CHECKING

from .paper import METHODS, METRICS

if TYPE_CHECKING:  # `student` imports this module
    from .student import Student

PERSON = "person_"  # begins the names of scores that count people, not windows


def card(student: "Student") -> str:
    """Intended use, how to use it, data, scores, the model, limits."""
    spec, about, size = student.spec, student.about, student.spec.size(student.view)
    method = METHODS[about["method"]].title if about["method"] in METHODS else about["method"]
    units = zip(student.channels, student.units, strict=True)
    columns = ", ".join(f"{name} ({unit or 'unit unknown'})" for name, unit in units)
    d, rate = len(student.channels), student.rate
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    return f"""# {spec.title}: {spec.view_titles[student.view]}

A small recurrent convolutional network with attention, trained by {method}, of the methods that the paper of RDPD
compares (Hong et al., IJCAI 2019, <https://doi.org/10.24963/ijcai.2019/817>). It reads {d} channel{"s" * (d > 1)} at
{rate:g} Hz and gives a probability for each of: {", ".join(spec.classes)}.

## Intended use

{about["use"] or "Research. Nobody has said of another use that it is fit for it."}

## How to use it

```python
from rdpd_nb.student import load_student

student = load_student(".")  # this folder
found = student.predict(signal, rate={rate:g})  # (rows, {d}), NaN where nothing was measured
found.mean  # a probability for each class; and for each window: start in seconds, probability, attention
```

The columns of the signal, in this order: {columns}. Windows of {spec.length / rate:g} s ({spec.length} samples) begin
every {spec.hop / rate:g} s. A signal at another rate is resampled, behind a low-pass filter.

## Data

{spec.title}, view `{student.view}`; {"**simulated**" if about["source"] == "simulated" else about["source"]} data.
Fingerprint of the windows: `{about["fingerprint"]}`.

{_list({what: _counted(counts) for what, counts in about["counts"].items()})}

## Scores

{_scores(student)}

## The model

- filters of each convolution: {", ".join(map(str, size.filters))}; kernel {spec.kernel}, stride {spec.stride}
- BiLSTM: {size.hidden} hidden units a direction, over {spec.segments} segments of {spec.segment} samples
- parameters: {student.model.count()["live"]:,}
- training: method `{about["method"]}`, seed {about["seed"]}, best epoch {about["best_epoch"]}, T = {spec.temperature:g}
- made with: {versions}

## Limits

- It has seen the people counted above and no others, and has had no clinical validation.
- The probabilities are the network's own; whether they are calibrated is not said here.
""" + "".join(f"- {note}\n" for note in about["notes"])


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {part}" for part, count in counts.items())


def _list(entries: dict[str, str]) -> str:
    return "\n".join(f"- {name}: {words}" for name, words in entries.items())


def _scores(student: "Student") -> str:
    about, classes = student.about, student.spec.classes
    if not about["scores"]:
        return "None were recorded."
    lines = ["| score | value | 95 % interval |", "|---|---|---|"]
    for name, entry in about["scores"].items():
        value, low, high = ("none" if entry[key] is None else f"{entry[key]:.3f}" for key in ("score", "low", "high"))
        between = "none" if "none" in (low, high) else f"{low} to {high}"
        lines.append(f"| {_name_of(name, len(classes))} | {value} | {between} |")
    tested = {what: counts["test"] for what, counts in about["counts"].items() if "test" in counts}
    size = " of ".join(f"{count:,} {what}" for what, count in tested.items()) or "windows"
    data = "simulated data, " if about["source"] == "simulated" else ""
    whose = f"PR-AUC and F1 are those of '{classes[1]}'." if len(classes) == 2 else "All are means over the classes."
    if any(name.startswith(PERSON) for name in about["scores"]):
        whose += " By person: of the mean of each person's probabilities."
    on = f"On the test part of its own split (seed {about['seed']}): {data}{size} that it was not trained on."
    return f"{on} {whose}\n\n" + "\n".join(lines)


def _name_of(score: str, classes: int) -> str:
    """What a score is called in words; of two classes the macro-F1 is the positive one's F1."""
    metric = score.removeprefix(PERSON)
    name = "F1" if metric == "macro_f1" and classes == 2 else METRICS.get(metric, metric)
    return f"{name} by person" if metric != score else name
