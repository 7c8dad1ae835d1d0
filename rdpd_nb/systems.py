"""The other systems beside RDPD that run in the same harness, each a module of `related` and a notebook.

Named here, apart from their modules, so that what plans and checks a run imports none of them.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class System:
    """One of them."""

    notebook: str
    # Each task with the source of its data, the default first, which needs no download: 'embedded' in the repository,
    # 'packaged' with scikit-learn, 'simulated', or 'real', from the raw folder.
    tasks: dict[str, str]
    takes: tuple[str, ...]  # parameters beside task, raw, profile and results
    figures: tuple[str, ...]  # that its notebook draws, without _<task>


_SERIES = (
    *("draws", "draws_of_choices", "imitation", "strength", "teacher_steps", "teacher_reads_now", "sampling"),
    *("pm25_rows", "pm25_hours", "temperatures", "choose"),
)
SYSTEMS: dict[str, System] = {
    "hinton": System(
        "13_hinton_distillation",
        {"digits": "packaged", "mnist": "real"},
        ("seeds", "epochs", "teacher_epochs", "temperatures", "alpha"),
        ("hinton_temperature", "hinton_bias"),
    ),
    "generalised": System(
        "14_generalised_distillation",
        {"three_series": "embedded"},
        _SERIES,
        ("generalised_differences", "generalised_grid", "generalised_choices"),
    ),
    "gdda_svm": System(
        "15_gdda_svm",
        {"digits": "packaged", "hapt": "real", "dsads": "real", "office31": "real"},
        ("seeds", "unlabelled", "shots", "sources", "temperatures", "temperature", "C"),
        ("gdda_shift", "gdda_leave_one_out", "gdda_one_source", "gdda_lambda", "gdda_sources", "gdda_cost"),
    ),
    "uni_kd": System(
        "16_uni_kd",
        {"twin": "simulated", "hapt": "real", "uci_har": "real"},
        ("scenarios", "seeds", "epochs", "alternatives"),
        ("uni_kd_schedules", "uni_kd_terms", "uni_kd_features", "uni_kd_scores", "uni_kd_alternatives"),
    ),
    "side_by_side": System(
        "17_systems_side_by_side",
        {"cinc2012": "embedded", "hapt": "real"},
        (
            *("seeds", "teacher_epochs", "epochs", "temperatures", "imitation"),
            *("scenarios", "adaptation_epochs", "shots", "temperature", "C"),
        ),
        ("side_by_side_gains", "side_by_side_labels"),
    ),
}


def of_notebook(notebook: str) -> str:
    """The name of the system whose notebook it is."""
    return next(name for name, system in SYSTEMS.items() if system.notebook == notebook)
