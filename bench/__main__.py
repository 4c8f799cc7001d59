"""`make bench`: every script in turn; nothing is installed, a missing peer is named and left out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HELPERS = {"installation.py", "registry_door.py"}
SCRIPTS = sorted(path for path in Path(__file__).parent.glob("[a-z]*.py") if path.name not in HELPERS)


def main() -> int:
    """Run the scripts, or those named on the command line; return how many failed."""
    chosen = [path for path in SCRIPTS if len(sys.argv) < 2 or path.stem in sys.argv[1:]]
    failed = 0
    for path in chosen:
        print(f"== {path.stem}", flush=True)
        failed += subprocess.run([sys.executable, "-m", f"bench.{path.stem}"], check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
