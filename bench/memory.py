"""Peak resident memory of every process of `serve` while a series of 1,000 slices of 0.5 MB goes through it.

`python -m bench.memory [--slices 1000]`; the floor for a worker is 300 MB, the aim 150 MB. No peer: a bound.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bench import cstore, end_to_end, installation


def descendants(pid: int) -> list[int]:
    """Return the processes below `pid`."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def role(pid: int) -> str:
    """Return the role of a process of `serve`; its helpers carry the name of their parent."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    if b"role" in words:
        return words[words.index(b"role") + 1].decode()
    return Path(f"/proc/{pid}/comm").read_text().strip()


def main() -> None:
    """Print the peak of each process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=1000)
    given = parser.parse_args()
    with installation.running() as place:
        token = place.command("admin", "token", "--role", "curator")
        end_to_end.ours(end_to_end.objects(1, given.slices, 1), place, token, 0)
        for pid in descendants(place.pid):
            name = role(pid)
            if name != "postgres":
                print(f"{name:20s} {cstore.peak_mb(pid):6.0f} MB")


if __name__ == "__main__":
    main()
