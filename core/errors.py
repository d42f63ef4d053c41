"""The errors a user may see. Everything else that is raised is a bug.

A message says in one sentence what was wrong and where; the hint says what to do about it.
Standard library only, Python 3.9.
"""

from __future__ import annotations


class MinicuberError(Exception):
    """Base of all errors that are meant for a user.

    `message`: one sentence, what is wrong and where. `hint`: what to do about it, may be empty. `details`:
    what belongs into the log alone, a traceback or a program's last lines.
    """

    def __init__(self, message: str, hint: str = "", details: str = "") -> None:
        super().__init__(message)
        self.message = " ".join(message.split())  # whatever a catalog wrote into a name, it is one line
        self.hint = hint
        self.details = details

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class InputError(MinicuberError):
    """A parameter or a file that the user gave cannot be used."""


class SourceError(MinicuberError):
    """A catalog or a remote file could not be read, or holds something unusable.

    `lasting`: it stays so however often one asks. `refused`: a signature or key may have been the reason.
    """

    def __init__(
        self, message: str, hint: str = "", details: str = "", lasting: bool = False, refused: bool = False
    ) -> None:
        super().__init__(message, hint, details)
        self.lasting = lasting
        self.refused = refused


class AbsentError(SourceError):
    """What was asked for is not there."""


class StorageError(MinicuberError):
    """A result could not be written or an existing one not be read."""


class EnvironmentProblem(MinicuberError):
    """The Python environment of the core is missing, incomplete or cannot be made."""


class WorkerCrash(MinicuberError):
    """The child process ended without a result; `details` holds its last lines."""


class Cancelled(MinicuberError):
    """The user cancelled the job."""

    def __init__(self, message: str = "Cancelled.", hint: str = "", details: str = "") -> None:
        super().__init__(message, hint, details)


BY_NAME = {
    cls.__name__: cls for cls in (InputError, SourceError, StorageError, EnvironmentProblem, Cancelled)
}
