"""SHA256SUMS of hostile folders: lists that lead outside, files that are links, pipes or gone."""

import shutil
from pathlib import Path

import numpy as np

from mattingjax.errors import MattingError
from mattingjax.process.checksums import SUMS_FILE, find_damage, write_checksums
from tests.fuzz import traps
from tests.fuzz.harness import MalformedError
from tests.fuzz.mutations import TEXTS, mutate_bytes, replace_file

_FILES = {'a': b'first', 'b/c': b'some', 'with space': b'x' * 100}
_LEADING_OUT = (f'../../{traps.FOLDER}/{traps.TEXT}', '/etc/passwd', 'b/../../x', './a', 'b//c')


def write_samples(folder: Path) -> None:
    for name, content in _FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    write_checksums(folder)


def make_sums(rng: np.random.Generator, folder: Path, samples: Path) -> None:
    place = folder / 'place'
    shutil.copytree(samples, place)
    sums = place / SUMS_FILE
    choice = rng.integers(4)
    if choice == 0:
        whole = content = sums.read_bytes()
        while content == whole:
            content = mutate_bytes(rng, whole)
        sums.write_bytes(content)
    elif choice == 1:
        names = np.array([*_LEADING_OUT, *TEXTS], object)
        line = f'{"0" * 64}  {rng.choice(names)}\n'.encode('utf-8', 'surrogatepass')
        sums.write_bytes(sums.read_bytes() + line * int(rng.choice([1, 2])))
    elif choice == 2:
        path = place / str(rng.choice(list(_FILES)))
        if rng.integers(3) == 0:
            path.write_bytes(rng.bytes(10))
        else:
            replace_file(rng, path)
    else:
        (place / 'b' / 'more').write_bytes(rng.bytes(3))


def use_sums(folder: Path) -> None:
    damage = find_damage(folder / 'place')
    if damage is None:
        raise MalformedError('nothing is said of what was damaged')
    raise MattingError(damage)
