"""Old name of `records`; goes in phase 2."""

from .records import *  # noqa: F403
from .records import NEEDED, SAME, belongs, common, environment, write_json  # noqa: F401
from .records import save as _save


def save(run, method, fitted, probabilities, windows, splits, seconds):
    return _save(run, method, fitted, windows, splits, probabilities, seconds)
