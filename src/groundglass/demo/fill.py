"""Fills a running installation: made-up centres send phantom CTs to the DICOM door, as hospitals would."""

from __future__ import annotations

import argparse
import subprocess
import sys

from groundglass.core.processes import tied_to_parent
from groundglass.demo import phantom, sender
from groundglass.demo.elements import Part10
from groundglass.demo.sender import Outgoing, Peer

CENTRES = ("CENTRE_A", "CENTRE_B", "CENTRE_C")
_SERIES_PER_CENTRE = 2
_SLICES = 40


def start(address: tuple[str, int], aet: str) -> subprocess.Popen[bytes]:
    """Start filling beside the caller; it ends with the caller or when all is sent."""
    command = [sys.executable, "-m", "groundglass.demo.fill", address[0], str(address[1]), aet]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=tied_to_parent())


def fill(peer: Peer, centre: str, *, seeds: range, slices: int = _SLICES) -> int:
    """Send one series per seed as `centre`; return how many instances were answered with success."""
    taken = 0
    for seed in seeds:
        objects = [_outgoing(part) for part in phantom.objects(seed, slices=slices)]
        mine = Peer(peer.host, peer.port, calling=centre, called=peer.called)
        taken += sender.send(mine, objects).count(0)
    return taken


def _outgoing(part: Part10) -> Outgoing:
    return sender.parse(part.to_bytes())


def main() -> None:
    """Send as every centre in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("aet")
    given = parser.parse_args()
    peer = Peer(given.host, given.port, called=given.aet)
    for n, centre in enumerate(CENTRES):
        first = 1 + n * _SERIES_PER_CENTRE
        fill(peer, centre, seeds=range(first, first + _SERIES_PER_CENTRE))


if __name__ == "__main__":
    main()
