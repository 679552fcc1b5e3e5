"""The fuzz harness as a command; see `python -m tests.fuzz --help`."""

import argparse
import sys
from pathlib import Path

from tests.fuzz.harness import MAX_BYTES, MAX_SECONDS, run_cases, usable
from tests.fuzz.kinds import KINDS
from tests.fuzz.verdicts import summarise


def main() -> int:
    parser = argparse.ArgumentParser(
        prog='python -m tests.fuzz',
        description='Gives the library damaged and hostile inputs. Case i has the seed SEED + i '
        'and the next of the kinds, so that a failure, told with its kind and seed, comes again '
        'with --kinds KIND --seed SEED --cases 1. The exit status is 1 if anything failed.',
    )
    parser.add_argument('--cases', type=int, default=300, help='how many (default: 300)')
    parser.add_argument('--seed', type=int, default=0, help='of the first (default: 0)')
    parser.add_argument(
        '--kinds',
        type=lambda text: text.split(','),
        default=list(KINDS),
        help=f'some of {",".join(KINDS)} (default: all whose packages are installed)',
    )
    parser.add_argument(
        '--seconds',
        type=float,
        default=MAX_SECONDS,
        help=f'the most that a case may take of a processor (default: {MAX_SECONDS:g})',
    )
    parser.add_argument(
        '--megabytes',
        type=int,
        default=MAX_BYTES >> 20,
        help=f'the most memory that a case may take (default: {MAX_BYTES >> 20})',
    )
    parser.add_argument(
        '--processes', type=int, default=1, help='how many cases run at once (default: 1)'
    )
    parser.add_argument(
        '--keep', type=Path, help='folder that gets the inputs that failed, as KIND/SEED'
    )
    arguments = parser.parse_args()
    if unknown := set(arguments.kinds) - set(KINDS):
        parser.error(
            f'--kinds: expected some of {",".join(KINDS)}, got {",".join(sorted(unknown))}'
        )
    kinds = usable({name: KINDS[name] for name in arguments.kinds})
    if not kinds:
        parser.error(f'--kinds: the packages that {",".join(arguments.kinds)} need are missing')
    verdicts = []
    try:
        for verdict in run_cases(
            kinds,
            range(arguments.seed, arguments.seed + arguments.cases),
            processes=arguments.processes,
            max_seconds=arguments.seconds,
            max_bytes=arguments.megabytes << 20,
            keep=arguments.keep,
        ):
            verdicts.append(verdict)
            if verdict.is_failure:
                print(verdict, flush=True)
    except KeyboardInterrupt:
        print('stopped')
    print(summarise(verdicts))
    return int(any(verdict.is_failure for verdict in verdicts))


if __name__ == '__main__':
    sys.exit(main())
