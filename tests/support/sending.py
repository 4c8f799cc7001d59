"""Send phantoms and files to a stack, as a modality would."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from groundglass.demo import sender
from groundglass.demo.elements import Part10
from support.stack import Stack


def outgoing(file: Part10) -> sender.Outgoing:
    """Return what a C-STORE of this file carries; what stands outside its data set stays behind."""
    return sender.Outgoing(file[0x00080016], file[0x00080018], file.writing.syntax, file.dataset())


def peer(stack: Stack, *, calling: str = "SENDER") -> sender.Peer:
    """Return the stack's DICOM door."""
    assert stack.doors is not None
    return sender.Peer(stack.doors.host, stack.doors.port, calling=calling, called=stack.doors.aet)


def send(stack: Stack, files: Iterable[Part10], *, calling: str = "SENDER", associations: int = 1) -> list[int]:
    """Send all files and return their statuses."""
    return sender.send(peer(stack, calling=calling), [outgoing(file) for file in files], associations=associations)


def storescu(
    stack: Stack, files: Iterable[Path], *, options: tuple[str, ...] = ("-xe",), calling: str = "DCMTK"
) -> int:
    """Send files by DCMTK's storescu and return its exit code. Skips when Debian's dcmtk is not installed.

    The environment's own storescu (pynetdicom) hides it, hence the full name. Without TCP_NODELAY it stalls.
    """
    program = "/usr/bin/storescu"
    if not shutil.which(program):
        pytest.skip("NOT TESTED WITH DCMTK: /usr/bin/storescu is not installed (Debian package dcmtk)")
    assert stack.doors is not None
    done = subprocess.run(
        [program, *options, "-aet", calling, "-aec", stack.doors.aet, stack.doors.host, str(stack.doors.port)]
        + [str(file) for file in files],
        env={**os.environ, "TCP_NODELAY": "1"},
        capture_output=True,
        timeout=300,
        check=False,
    )
    return done.returncode
