"""How a run ends when it does not end well; each has its exit code."""

from ..checkpoints.refusal import Refused

WRONG_USE, BAD_DATA, DIVERGED, INTERRUPTED = 2, 3, 4, 130


class BadData(Refused):
    """The data cannot be trained on."""


class Diverged(Refused):
    """Loss or gradient is not finite; the last checkpoint is as it was."""


class Interrupted(Exception):
    """A signal asked the run to stop; its state is on the disk."""
