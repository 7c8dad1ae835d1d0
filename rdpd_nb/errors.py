"""The one exception for what a user can put right: a bad file, a missing data set, a mistyped parameter."""

import reprlib

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_SHORT.maxlist = _SHORT.maxdict = 10
_SHORT.maxlevel = 3
_LONGEST = 200  # characters


def short(value: object) -> str:
    """A value as a message shows it: quoted if text, on one line, and cut where it is long, or deep, or in itself."""
    try:
        text = _SHORT.repr(value)
    except ValueError:  # Python writes no number of more than 4,300 digits
        return "a number of thousands of digits"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 4]} ..."


class UserError(Exception):
    """Says in one sentence what is wrong, where, and what to do.

    A notebook shows the sentence alone: IPython calls `_render_traceback_` in place of its own traceback.
    """

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]
