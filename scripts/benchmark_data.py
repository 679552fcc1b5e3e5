"""Times the data pipeline: images per second with and without worker processes, in turn.

  python scripts/benchmark_data.py
  python scripts/benchmark_data.py --kind mmnet --root DATA --backgrounds PHOTOS --workers 0,4,8
  python scripts/benchmark_data.py --kind mmnet --root DATA --kind packed --root PACK/train
  python scripts/benchmark_data.py --step_images_per_second 900

Each run starts the pipeline anew, passes over the batches that were made ahead, and counts images
for some seconds. The last column, if --step_images_per_second is given, divides them by what the
training step takes: from 1 on the accelerator never waits for data.
"""

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
_BACKGROUNDS = flags.DEFINE_string(
    'backgrounds', None, 'Folder of photos for new compositions, or a part of a pack.'
)
_TRANSFORMS = flags.DEFINE_list('transforms', ['mmnet', 'strong'], 'Transforms to time.')
_SIZE = flags.DEFINE_integer('size', 256, 'Side of the examples in pixels.', lower_bound=16)
_BATCH_SIZE = flags.DEFINE_integer('batch_size', 32, 'Examples in a batch.', lower_bound=1)
_WORKERS = flags.DEFINE_list('workers', ['0', '2'], 'Numbers of worker processes.')
_ROUNDS = flags.DEFINE_integer('rounds', 3, 'Runs of each; the median is printed.', lower_bound=1)
_SECONDS = flags.DEFINE_float('seconds', 5.0, 'Length of a run.', lower_bound=0.1)
_STEP = flags.DEFINE_float(
    'step_images_per_second', None, 'Images that the training step takes a second.', lower_bound=0
)


def main() -> None:
    from mattingjax.data.datasets import open_backgrounds, open_dataset
    from mattingjax.data.pipeline import create_pipeline
    from mattingjax.data.transforms import create_transform
    from mattingjax.errors import MattingError

    if not all(count.isdecimal() for count in _WORKERS.value):
        raise MattingError(f'--workers: expected whole numbers, got {",".join(_WORKERS.value)}')
    if len(_ROOT.value) != len(_KIND.value):
        raise MattingError(f'--root: expected one for each --kind, got {len(_ROOT.value)}')
    datasets = [open_dataset(*where) for where in zip(_KIND.value, _ROOT.value, strict=True)]
    backgrounds = open_backgrounds(_BACKGROUNDS.value) if _BACKGROUNDS.value else None
    pipelines = {}
    for name in _TRANSFORMS.value:
        transform = create_transform(name, _SIZE.value, backgrounds=backgrounds, trimap=True)
        for workers in map(int, _WORKERS.value):
            for number, dataset in enumerate(datasets):
                pipelines[name, workers, number] = create_pipeline(
                    dataset, transform, batch_size=_BATCH_SIZE.value, seed=0, workers=workers
                )
    speeds: dict[tuple[str, int, int], list[float]] = {key: [] for key in pipelines}
    for _ in range(_ROUNDS.value):
        for key, pipeline in pipelines.items():
            speeds[key].append(_measure(pipeline, key[1]))

    print(f'{_SIZE.value} pixels a side, batches of {_BATCH_SIZE.value}, {_ROUNDS.value} runs each')
    titles = f'{"transform":12}{"dataset":14}{"workers":>8}{"images/s":>10}'
    print(titles + ' of the step' * bool(_STEP.value))
    for (name, workers, number), values in speeds.items():
        speed = statistics.median(values)
        ratio = f'{speed / _STEP.value:12.2f}' if _STEP.value else ''
        dataset_name = f'{number + 1} {_KIND.value[number]}'
        print(f'{name:12}{dataset_name:14}{workers:8}{speed:10.1f}{ratio}')


def _measure(pipeline, workers: int) -> float:
    """Images per second once the pipeline runs."""
    for _ in range(1 + 3 * workers):
        next(pipeline)
    count, start = 0, time.perf_counter()
    while (seconds := time.perf_counter() - start) < _SECONDS.value:
        count += len(next(pipeline)['index'])
    pipeline.close()
    return count / seconds


if __name__ == '__main__':
    command_line.run(main)
