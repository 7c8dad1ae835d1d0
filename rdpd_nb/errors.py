"""The one exception for what a user can put right: a bad file, a missing data set, a mistyped parameter."""


class UserError(Exception):
    """Says in one sentence what is wrong, where, and what to do.

    A notebook shows the sentence alone: IPython calls `_render_traceback_` in place of its own traceback.
    """

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]
