"""Inputs that are tried each day: a few whole ones of each kind, and each that failed once.

KIND/NAME/ is the folder of an input, as `python -m tests.fuzz --keep` leaves those that failed; one
whose name begins with 'works' must work. guided/TARGET/NAME is what a target of `guided.py` gets,
as libFuzzer leaves it.
"""

import shutil
from pathlib import Path

from tests.fuzz.harness import Bench, run_case
from tests.fuzz.verdicts import Verdict

ROOT = Path(__file__).with_name('corpus')
GUIDED = ROOT / 'guided'


def entries() -> list[str]:
    """KIND/NAME of every input of a kind."""
    folders = (path for path in ROOT.glob('*/*') if path.parent != GUIDED)
    return sorted(str(path.relative_to(ROOT)) for path in folders)


def guided_entries() -> list[str]:
    """TARGET/NAME of every input of a target."""
    return sorted(str(path.relative_to(GUIDED)) for path in GUIDED.glob('*/*'))


def replay(bench: Bench, entry: str) -> Verdict:
    """Runs one input of a kind."""
    kind, name = entry.split('/')

    def write_input(folder: Path) -> None:
        shutil.copytree(ROOT / entry, folder, dirs_exist_ok=True)

    return run_case(bench, kind, name, write_input)
