"""One exception per error code, each also what Python users would expect to catch."""

from __future__ import annotations


class Error(Exception):
    """A failure of aipack.

    Attributes:
        code: what can be done about it, for example ``"not_found"``.
        context: where it happened, innermost first.
        hint: one thing to do; empty when there is none.
    """

    code: str = "internal"

    def __init__(self, message: str, context: list[str] | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.context = context or []
        self.hint = hint


class InvalidInputError(Error, ValueError):
    code = "invalid_input"


class NotFoundError(Error, LookupError):
    code = "not_found"


class AlreadyExistsError(Error, FileExistsError):
    code = "already_exists"


class UnsupportedError(Error):
    code = "unsupported"


class CorruptError(Error):
    code = "corrupt"


class UnsatisfiableError(Error):
    code = "unsatisfiable"


class UnauthenticatedError(Error, PermissionError):
    code = "unauthenticated"


class DeniedError(Error, PermissionError):
    code = "denied"


class UnavailableError(Error, ConnectionError):
    code = "unavailable"


class LocalIOError(Error, OSError):
    code = "io"


class CancelledError(Error):
    code = "cancelled"


class InternalError(Error):
    code = "internal"


_BY_CODE = {
    kind.code: kind
    for kind in (
        InvalidInputError,
        NotFoundError,
        AlreadyExistsError,
        UnsupportedError,
        CorruptError,
        UnsatisfiableError,
        UnauthenticatedError,
        DeniedError,
        UnavailableError,
        LocalIOError,
        CancelledError,
        InternalError,
    )
}


def from_code(code: str, message: str, context: list[str], hint: str) -> Error:
    """The exception of an error code; the extension module calls it for every error of the library."""
    return _BY_CODE[code](message, context, hint)
