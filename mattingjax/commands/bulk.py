"""Mattes millions of photos, on all cores of a machine or of a Ray cluster.

  mattingjax bulk --input photos --output out
  mattingjax bulk --input s3://bucket/photos --output s3://bucket/mattes --outputs alpha,cutout
  mattingjax bulk --input /mnt/photos --output /mnt/out --address auto

Each photo gets the results that mattingjax predict would give it, on one core, and a row in
out/table.parquet with its size, width, height and seconds, and with what was wrong if it could not
be matted. The same command again goes on after whatever ended the last one: it mattes photos that
are new, have changed or lack results, and leaves the others alone. The exit status is 2 if nothing
could be matted; Ctrl-C (exit status 130) and SIGTERM (143) write the table and stop.
"""

from __future__ import annotations

from absl import flags

from mattingjax.commands.network import Network
from mattingjax.commands.pictures import Pictures
from mattingjax.errors import MattingError

_NETWORK = Network()
_INPUT = flags.DEFINE_string(
    'input', None, 'A folder (searched recursively), s3://BUCKET/... or gs://BUCKET/...'
)
_OUTPUT = flags.DEFINE_string(
    'output', None, 'Where results and table go: a folder, s3://BUCKET/... or gs://BUCKET/...'
)
_PICTURES = Pictures('alpha, and composite with --background.')
_WORKERS = flags.DEFINE_integer(
    'workers', None, 'How many photos are in work at once, each on one core. Default: all cores.'
)
_ADDRESS = flags.DEFINE_string(
    'address',
    None,
    'A Ray cluster: HOST:PORT, or auto for the one of this machine. Default: Ray is started for '
    'this run, and on this machine alone.',
)
_RETRY_FAILED = flags.DEFINE_bool(
    'retry_failed', False, 'Try photos again that an earlier run could not matte.'
)


def main() -> int:
    # Imported here, so that --help and wrong flags answer at once.
    from mattingjax.inference.bulk import matte_bulk

    source, target = (_read(flag) for flag in (_INPUT, _OUTPUT))
    summary = matte_bulk(
        source,
        target,
        _PICTURES.load(_default_kinds),
        network=_NETWORK.settings(),
        workers=_WORKERS.value,
        address=_ADDRESS.value,
        retry_failed=_RETRY_FAILED.value,
        own_process=True,
    )
    print(f'{summary.describe()}, by {_NETWORK.name}; results in {target}')
    if summary.stopped_by is not None:
        return 128 + summary.stopped_by
    return 0 if summary.matted or summary.existing else 2


def _read(flag: flags.FlagHolder[str | None]) -> str:
    if not flag.value:
        raise MattingError(f'--{flag.name}: a value is required (see --help)')
    return flag.value


def _default_kinds(has_background: bool) -> list[str]:
    return ['alpha', *(['composite'] if has_background else [])]
