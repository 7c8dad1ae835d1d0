"""Helpers of the RDPD notebooks: what they would otherwise repeat, and nothing more. Its grammar:

Windows    of one view of a data set: series, labels, subjects; `load` reads them, `split` parts them by subject
Member     one model to train: a seed, a method, its windows, and for a student the teacher's knowledge
Fitted     a trained member: `fit_one` says what training is, `fit` does it for many at once, `predict` uses it
Knowledge  all that crosses from rich to poor: one row of soft labels and one of attention for each training window
record     one JSON a run, from which alone tables and figures are made
Study      your own sensors: `fit_students` goes the whole way in memory; Student: one model of it, a folder to ship

One way: raw files -> Windows -> teacher -> Knowledge -> student -> record -> tables and figures.
"""

from importlib import import_module

__version__ = "0.1.0"

# Names come from their modules when first used: importing PyTorch takes seconds that a table does not need.
_HOMES = {
    "data": ("Windows", "load", "split"),
    "models": ("RCNN",),
    "knowledge": ("Knowledge", "extract_knowledge"),
    "training": ("Fitted", "Member", "fit", "fit_one", "make_member", "predict"),
    "study": ("Study", "fit_students"),
    "student": ("Student", "load_student"),
    "errors": ("UserError",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}
__all__ = sorted(_HOME_OF)


def __getattr__(name: str):
    if name not in _HOME_OF:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
