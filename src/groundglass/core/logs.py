"""JSON lines on stderr that cannot carry a patient value.

What passes is decided by type, not by care: an event's name and keys stand in the code, and its values are numbers,
booleans, words that the code declared (`allow`, members of an Enum) or ids that we made (`Opaque`). All else is dropped
and counted. Lines of other libraries keep level, logger, exception class and SQLSTATE; never message or arguments.
"""

from __future__ import annotations

import json
import logging
import math
import re
import sys
import threading
import warnings
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TextIO

Value = bool | int | float | str | Enum | None

_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,59}", re.ASCII)
_KEY = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
_SLUG = re.compile(r"[a-z0-9_.-]{1,40}", re.ASCII)
_OPAQUE = re.compile(r"[0-9a-f]{8,64}", re.ASCII)
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,79}", re.ASCII)
_SQLSTATE = re.compile(r"[0-9A-Z]{5}", re.ASCII)
_LARGEST: Final = 10**12  # exclusive: a social security number has 13 digits
_OURS = Path(__file__).resolve().parents[1]
_FRAMES = 12
_ATTRIBUTE = "groundglass_event"

_allowed: set[str] = set()
_names: set[str] = set()


class Opaque(str):
    """An id that groundglass made (a key, a hash of de-identified bytes): 8 to 64 lower-case hexadecimal digits."""

    __slots__ = ()

    def __new__(cls, value: str) -> Opaque:
        """Raise ValueError for anything else, without repeating it."""
        if not _OPAQUE.fullmatch(value):
            raise ValueError("not an opaque id")
        return super().__new__(cls, value)


class Logger:
    """Writes the events of one part of the program; `name` is a dotted word of the code."""

    def __init__(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError("not the name of a part of the program")
        _names.add(f"groundglass.{name}")
        self._logger = logging.getLogger(f"groundglass.{name}")

    def event(self, name: str, /, **values: Value) -> None:
        """Write one line; a value that may not be shown is dropped and counted in `dropped`."""
        self._write(logging.INFO, name, values, None)

    def failure(self, name: str, error: BaseException, /, **values: Value) -> None:
        """Write one line of level error with the class of the exception and where in our code it passed."""
        self._write(logging.ERROR, name, values, error)

    def _write(self, level: int, name: str, values: dict[str, Value], error: BaseException | None) -> None:
        if not self._logger.isEnabledFor(level):
            return
        fields = {"event": name if _NAME.fullmatch(name) else "unnamed", **_shown(values)}
        if error is not None:
            fields.update(describe(error))
        self._logger.log(level, "", extra={_ATTRIBUTE: _Fields(fields)})


class _Fields(dict[str, Any]):
    """Only this module makes one: what it holds has been judged."""


def logger(name: str) -> Logger:
    """Return the logger of a part of the program."""
    return Logger(name)


def allow(*words: str) -> None:
    """Declare words of the code ([a-z0-9_.-], 40 at most) that may be shown as values. Raises ValueError for others."""
    for word in words:
        if not _SLUG.fullmatch(word):
            raise ValueError("not a slug")
        _allowed.add(word)


def describe(error: BaseException) -> dict[str, Any]:
    """Return what may be told of an exception: classes of its chain, our frames, SQLSTATE and constraint."""
    told: dict[str, Any] = {"error": _class_name(error)}
    chain = _chain(error)
    if len(chain) > 1:
        told["causes"] = [_class_name(cause) for cause in chain[1:]]
    if frames := _frames(error.__traceback__):
        told["frames"] = frames
    for link in chain:
        state = getattr(link, "sqlstate", None)
        if isinstance(state, str) and _SQLSTATE.fullmatch(state):
            told["sqlstate"] = state
        constraint = getattr(getattr(link, "diag", None), "constraint_name", None)
        if isinstance(constraint, str) and _IDENTIFIER.fullmatch(constraint):
            told["constraint"] = constraint
    return told


def configure(role: str, *, stream: TextIO | None = None) -> None:
    """Make this process write JSON lines only, on `stream` (default: stderr), naming itself `role`.

    Takes the handlers off every logger that exists, and replaces the hooks that print uncaught exceptions and warnings.
    """
    handler = _Handler(stream or sys.stderr)
    handler.setFormatter(_Formatter(role if _NAME.fullmatch(role) else "unnamed"))
    logging.raiseExceptions = False  # its report of a failing handler prints message and arguments
    for name in list(logging.root.manager.loggerDict):
        found = logging.getLogger(name)
        found.handlers.clear()
        found.propagate = True
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(logging.WARNING)
    logging.getLogger("groundglass").setLevel(logging.INFO)
    sys.excepthook = _uncaught
    sys.unraisablehook = lambda unraisable: _report(unraisable.exc_value)
    threading.excepthook = lambda failed: _report(failed.exc_value)
    warnings.showwarning = _warned  # type: ignore[assignment]


class _Handler(logging.StreamHandler[TextIO]):
    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.stream.write(self.format(record) + "\n")
            self.flush()
        except Exception:  # noqa: BLE001 - a log that cannot be written must not stop the work, nor print the record
            return


class _Formatter(logging.Formatter):
    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        """Return one line of ASCII: JSON escapes every line end."""
        fields = getattr(record, _ATTRIBUTE, None)
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": {10: "debug", 20: "info", 30: "warning", 40: "error", 50: "critical"}.get(record.levelno, "other"),
            "role": self._role,
            "logger": _source(record.name),
        }
        if isinstance(fields, _Fields):
            line.update(fields)
        elif record.exc_info and isinstance(record.exc_info, tuple) and record.exc_info[1] is not None:
            line.update(describe(record.exc_info[1]))
        return json.dumps(line)


def _shown(values: dict[str, Value]) -> dict[str, Any]:
    shown = {key: plain for key, value in values.items() if (plain := _plain(key, value)) is not None}
    if dropped := len(values) - len(shown):
        shown["dropped"] = dropped
    return shown


def _plain(key: str, value: object) -> bool | int | float | str | None:
    """Return the value if it may be shown, else None."""
    if not _KEY.fullmatch(key):
        return None
    if isinstance(value, Enum):  # its members stand in the code
        value = value.value
        return value if isinstance(value, str) and _SLUG.fullmatch(value) else None
    if type(value) in (bool, Opaque):
        return value  # type: ignore[return-value]
    if type(value) is int:
        return value if abs(value) < _LARGEST else None
    if type(value) is float:
        return round(value, 6) if math.isfinite(value) and abs(value) < _LARGEST else None
    return value if type(value) is str and value in _allowed else None


def _class_name(error: BaseException) -> str:
    name = type(error).__name__
    return name if _IDENTIFIER.fullmatch(name) else "Exception"


def _chain(error: BaseException) -> list[BaseException]:
    """Return the exception and what it came from."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain and len(chain) < _FRAMES:
        chain.append(link)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return chain


def _frames(traceback: TracebackType | None) -> list[str]:
    frames: list[str] = []
    while traceback is not None:
        path = Path(traceback.tb_frame.f_code.co_filename)
        if path.is_relative_to(_OURS):
            frames.append(f"{path.relative_to(_OURS).as_posix()}:{traceback.tb_lineno}")
        traceback = traceback.tb_next
    return frames[-_FRAMES:]


def _source(name: str) -> str:
    """Return the longest beginning of a logger's name that is a module, or `other`: a name may be made from a value."""
    if name in _names:
        return name.removeprefix("groundglass.")
    while name:
        if name in sys.modules:
            return name
        name = name.rpartition(".")[0]
    return "other"


def _report(error: BaseException | None) -> None:
    if error is not None and not isinstance(error, SystemExit):
        Logger("uncaught").failure("uncaught", error)


def _uncaught(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    _report(error.with_traceback(traceback))


def _warned(_message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    allowed = category.__name__ if _IDENTIFIER.fullmatch(category.__name__) else "Warning"
    fields = _Fields({"event": "warning", "category": allowed})
    logging.getLogger("groundglass.warnings").warning("", extra={_ATTRIBUTE: fields})
