"""Times what makes batches: the pipeline, with and without worker processes, and the device itself.

  python scripts/benchmark_data.py
  python scripts/benchmark_data.py --kind mmnet --root DATA --backgrounds PHOTOS --workers 0,4,8
  python scripts/benchmark_data.py --kind mmnet --root DATA --kind packed --root PACK/train
  python scripts/benchmark_data.py --transforms strong --network modnet --size 320 --batch_size 64

All are run in turn. Each run of the pipeline starts it anew, passes over the batches that were made
ahead, and counts images for some seconds. The device has all photos before the clock starts, as
with config.data.on_device. The column 'of the first' divides by the transform's first line,
of the first dataset if there are several.

With --network, its training step is timed too: alone, on one batch that stays on the device, and
with the batches made in it. The last column divides by the step alone: from 1 on the accelerator
never waits for data; 'it, with the step' is near to 1 where the network is the limit.
"""

import functools
import statistics
import time

from absl import flags

from mattingjax.process import command_line

_KIND = flags.DEFINE_multi_string(
    'kind', ['synthetic'], 'Kind of dataset, as config.dataset.kind; may be repeated, with --root.'
)
_ROOT = flags.DEFINE_multi_string(
    'root', [''], 'Folder of the data of each --kind; synthetic portraits need none.'
)
_COUNT = flags.DEFINE_integer('count', 64, 'Number of synthetic portraits.', lower_bound=1)
_BACKGROUNDS = flags.DEFINE_string(
    'backgrounds', None, 'Folder of photos for new compositions, or a part of a pack.'
)
_TRANSFORMS = flags.DEFINE_list('transforms', ['mmnet', 'strong'], 'Transforms to time.')
_SIZE = flags.DEFINE_integer('size', 256, 'Side of the examples in pixels.', lower_bound=16)
_SIDE = flags.DEFINE_integer('side', 384, 'As config.data.side, on the device.', lower_bound=16)
_BATCH_SIZE = flags.DEFINE_integer('batch_size', 32, 'Examples in a batch.', lower_bound=1)
_WORKERS = flags.DEFINE_list('workers', ['0', '2'], 'Numbers of worker processes.')
_ON_DEVICE = flags.DEFINE_bool('on_device', True, 'Whether batches made on the device are timed.')
_STEPS = flags.DEFINE_integer('steps_per_dispatch', 1, 'As in config.data.', lower_bound=1)
_NETWORK = flags.DEFINE_string('network', None, 'A network whose training step is timed too.')
_ROUNDS = flags.DEFINE_integer('rounds', 3, 'Runs of each; the median is printed.', lower_bound=1)
_SECONDS = flags.DEFINE_float('seconds', 5.0, 'Length of a run.', lower_bound=0.1)


def main() -> None:
    from mattingjax.config.texts import whole_number
    from mattingjax.data.datasets import open_backgrounds, open_dataset
    from mattingjax.errors import MattingError
    from mattingjax.networks import find_network

    if any(whole_number(count) is None for count in _WORKERS.value):
        raise MattingError(f'--workers: expected whole numbers, got {",".join(_WORKERS.value)}')
    if _NETWORK.value:
        find_network(_NETWORK.value)
    if len(_ROOT.value) != len(_KIND.value):
        raise MattingError(f'--root: expected one for each --kind, got {len(_ROOT.value)}')
    places = zip(_KIND.value, _ROOT.value, strict=True)
    datasets = {
        f'{number} {kind}': open_dataset(kind, root, count=_COUNT.value)
        for number, (kind, root) in enumerate(places, start=1)
    }
    backgrounds = open_backgrounds(_BACKGROUNDS.value) if _BACKGROUNDS.value else None
    # The step is timed on batches of the device.
    is_loaded = _ON_DEVICE.value or _NETWORK.value
    loaded = {
        label: _load(dataset, backgrounds) if is_loaded else None
        for label, dataset in datasets.items()
    }
    runs = {
        (name, label, source): run
        for name in _TRANSFORMS.value
        for label, dataset in datasets.items()
        for source, run in _create_runs(name, dataset, backgrounds, loaded[label]).items()
    }
    speeds: dict[tuple[str, str, str], list[float]] = {key: [] for key in runs}
    for _ in range(_ROUNDS.value):
        for key, run in runs.items():
            speeds[key].append(run())
    _print({key: statistics.median(values) for key, values in speeds.items()})


def _print(speeds: dict[tuple[str, str, str], float]) -> None:
    print(f'{_SIZE.value} pixels a side, batches of {_BATCH_SIZE.value}, {_ROUNDS.value} runs each')
    last = '  of the step' if _NETWORK.value else ''
    print(f'{"transform":12}{"dataset":14}{"made by":20}{"images/s":>10}{"of the first":>14}{last}')
    for (name, label, source), speed in speeds.items():
        first = next(value for (other, *_), value in speeds.items() if other == name)
        ratio = f'{speed / speeds[name, label, "the step alone"]:13.2f}' if _NETWORK.value else ''
        print(f'{name:12}{label:14}{source:20}{speed:10.1f}{speed / first:14.2f}{ratio}')


def _load(dataset, backgrounds):
    from mattingjax.data.on_device.store import create_store
    from mattingjax.training.memory import photos_limit

    loaded = create_store(
        dataset, backgrounds, side=_SIDE.value, size=_SIZE.value, limit=photos_limit()
    )
    print(f'{len(loaded.names)} photos on the device: {loaded.size / 2**20:,.0f} MiB')
    return loaded


def _create_runs(name: str, dataset, backgrounds, loaded):
    """What makes the batches → a function that returns images per second."""
    import jax

    from mattingjax.data.on_device.augmentation import create_augmentation
    from mattingjax.data.on_device.batches import DeviceBatches
    from mattingjax.data.pipeline import create_pipeline
    from mattingjax.data.placement import create_placement
    from mattingjax.data.transforms import create_transform

    transform = create_transform(name, _SIZE.value, backgrounds=backgrounds, trimap=True)
    runs = {}
    for workers in map(int, _WORKERS.value):
        pipeline = create_pipeline(
            dataset, transform, batch_size=_BATCH_SIZE.value, seed=0, workers=workers
        )
        run = functools.partial(_time_pipeline, pipeline, workers)
        runs[f'{workers} workers' if workers else 'this process'] = run
    if loaded is None:
        return runs
    batches = DeviceBatches(
        loaded,
        create_augmentation(transform),
        dataset,
        batch_size=_BATCH_SIZE.value,
        seed=0,
        most=_STEPS.value,
        placement=create_placement(jax.devices()[:1]),
    )
    make = jax.jit(batches.make_batch)
    runs['the device'] = functools.partial(
        _time_device, lambda: make(batches.held, batches.take(1).arrays, 0), _BATCH_SIZE.value
    )
    if _NETWORK.value:
        fixed = make(batches.held, batches.peek(), 0)
        arrays = {'the step alone': fixed, 'it, with the step': None}
        for source, batch in arrays.items():
            runs[source] = functools.partial(
                _time_device, _create_step(batches, batch), _BATCH_SIZE.value * _STEPS.value
            )
    return runs


def _create_step(batches, fixed):
    """A function that runs steps of a training, on a batch that stays or on those of the device."""
    import jax
    import numpy as np
    import optax

    from mattingjax.networks import create_model_config, init_variables
    from mattingjax.training.dispatch import create_dispatch
    from mattingjax.training.objective import Objective
    from mattingjax.training.state import create_state
    from mattingjax.training.steps import StepInputs, StepOptions, create_train_step

    config = create_model_config(_NETWORK.value)
    step = create_train_step(config, Objective(_NETWORK.value), optax.adam, StepOptions())
    make_batch = batches.make_batch if fixed is None else lambda held, arrays, i: arrays
    dispatch = jax.jit(create_dispatch(step, make_batch, _STEPS.value), donate_argnums=0)
    optimizer = optax.adam(optax.constant_schedule(1e-4))
    state = create_state(init_variables(config, seed=0), optimizer)
    inputs = StepInputs(np.full(_STEPS.value, 1e-4, np.float32), np.zeros(2, np.uint32))

    def run():
        nonlocal state
        arrays = batches.take(_STEPS.value).arrays if fixed is None else fixed
        count = np.int32(_STEPS.value)
        state, metrics = dispatch(state, batches.held, arrays, count, None, inputs)
        return metrics

    return run


def _time_device(run, images: int) -> float:
    """Images per second of a function that computes so many, once it is compiled."""
    import jax

    jax.block_until_ready(run())
    count, waiting, start = 0, None, time.perf_counter()
    while time.perf_counter() - start < _SECONDS.value:
        following = run()  # the one before is waited for while the device computes this one
        jax.block_until_ready(waiting)
        waiting = following
        count += images
    jax.block_until_ready(waiting)
    return count / (time.perf_counter() - start)


def _time_pipeline(pipeline, workers: int) -> float:
    """Images per second once the pipeline runs."""
    for _ in range(1 + 3 * workers):
        next(pipeline)
    count, start = 0, time.perf_counter()
    while (seconds := time.perf_counter() - start) < _SECONDS.value:
        count += len(next(pipeline)['index'])
    pipeline.close()
    return count / seconds


if __name__ == '__main__':
    command_line.run()
