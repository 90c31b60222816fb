"""The ways in which a run can fail, and their exit codes."""

from ..input_error import InputError

WRONG_USE, BAD_DATA, DIVERGED, INTERRUPTED = 2, 3, 4, 130


class BadData(InputError):
    """The data cannot be trained on."""


class Diverged(InputError):
    """The loss or the gradient is not finite. The last checkpoint is unchanged."""


class Interrupted(Exception):
    """A signal stopped the run. Its state is on the disk."""
