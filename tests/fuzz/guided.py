"""Fuzzing that follows the branches taken, by atheris, where it is installed.

    python -m tests.fuzz.guided pickles -max_total_time=60 -artifact_prefix=failed/

The first argument is one of `targets.TARGETS`; the others go to libFuzzer. `--list` prints the
names of the targets. The exit status is 0 if nothing failed.
"""

import sys
import tempfile

from tests.fuzz.corpus import GUIDED

_LIMITS = ('-timeout=10', '-rss_limit_mb=2048', '-max_len=4096')


def main() -> None:
    try:
        import atheris
    except ImportError:
        sys.exit('error: atheris is not installed; it is part of the extra dev on Linux')
    # JAX, NumPy and whatever else is no affair of ours: only these follow the branches.
    with atheris.instrument_imports(
        include=['mattingjax', 'exporters', 'starlette.formparsers', 'python_multipart'],
    ):
        import mattingjax.inference.serving.bodies
        import mattingjax.inference.serving.queries  # noqa: F401
        from tests.fuzz import targets
    name, *flags = sys.argv[1:] or ['']
    if name == '--list':
        print('\n'.join(targets.TARGETS))
        return
    if name not in targets.TARGETS:
        sys.exit(f'error: expected one of {", ".join(targets.TARGETS)}, got {name!r}')
    # libFuzzer adds what it finds to the first folder, so that is none of the corpus.
    with tempfile.TemporaryDirectory(prefix='guided.') as found:
        arguments = [sys.argv[0], *_LIMITS, *flags, found, str(GUIDED / name)]
        atheris.Setup(arguments, lambda content: targets.attempt(name, content))
        atheris.Fuzz()


if __name__ == '__main__':
    main()
