import contextlib
import dataclasses
import json
import logging
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from mattingjax.data.mixtures import mix_datasets
from mattingjax.data.pipeline import create_pipeline
from mattingjax.data.records import RecordError
from mattingjax.errors import MattingError
from tests.conftest import ROOT
from tests.waiting import is_alive, wait_until


@dataclasses.dataclass(frozen=True)
class Numbers:
    """Records that show their number; some cannot be read."""

    count: int = 10
    unreadable: frozenset = frozenset()
    has_alpha: bool = True

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if index in self.unreadable:
            raise RecordError(f'photo{index}.jpg: damaged picture')
        record = {'image': np.full((2, 2, 3), index % 256, np.uint8), 'name': f'photo{index}'}
        return record | {'alpha': np.full((2, 2), 0.5, np.float32)} if self.has_alpha else record


def add_lot(record, rng):
    """An example whose second row is drawn by lot."""
    image = record['image'].copy()
    image[1] = rng.integers(256, size=(2, 3))
    example = {'image': image, 'name': record['name']}
    return example | {'alpha': record['alpha'][..., None]} if 'alpha' in record else example


def start(dataset=Numbers(), **options):
    options = {'batch_size': 4, 'seed': 1} | options
    return create_pipeline(dataset, add_lot, **options)


def take(pipeline, count):
    return [next(pipeline) for _ in range(count)]


def indices(batches):
    return np.concatenate([batch['index'] for batch in batches])


def assert_equal(first, second):
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def test_batches_have_the_shapes_of_training():
    batch = next(start())
    assert batch.keys() == {'image', 'alpha', 'index', 'name', 'skipped'}
    assert (batch['image'].dtype, batch['image'].shape) == (np.uint8, (4, 2, 2, 3))
    assert (batch['alpha'].dtype, batch['alpha'].shape) == (np.float32, (4, 2, 2, 1))
    np.testing.assert_array_equal(batch['image'][:, 0, 0, 0], batch['index'])
    assert batch['name'] == [f'photo{index}' for index in batch['index']]
    assert batch['skipped'] == 0


@pytest.mark.parametrize('options', [{}, {'shard_count': 2}, {'workers': 1}])
@pytest.mark.parametrize('batch_size', [1, 2, 25])
def test_batches_of_any_size_go_on_without_an_end(batch_size, options):
    """Of one photo, of two, and of more than there are."""
    shards = options.get('shard_count', 1)
    size = batch_size * shards
    expected = indices(take(start(batch_size=100), 1))
    pipeline = start(batch_size=size, **options)
    batches = take(pipeline, 2)
    firsts = [expected[:batch_size], expected[size : size + batch_size]]
    np.testing.assert_array_equal(indices(batches), np.concatenate(firsts))
    pipeline.set_state(pipeline.get_state() | {'step': 10**9})
    assert len(next(pipeline)['name']) == batch_size
    pipeline.close()


def test_depends_on_the_seed_alone():
    assert_equal(take(start(), 7), take(start(), 7))
    one, other = take(start(), 7), take(start(seed=2), 7)
    assert (indices(one) != indices(other)).any()


def test_each_epoch_has_every_record_in_another_order():
    order = indices(take(start(), 25)).reshape(10, 10)
    np.testing.assert_array_equal(np.sort(order), np.broadcast_to(np.arange(10), (10, 10)))
    assert len({tuple(epoch) for epoch in order}) == 10
    # Nor is one seed's order the next one's, an epoch later.
    later = indices(take(start(seed=2), 25)).reshape(10, 10)
    assert not {tuple(epoch) for epoch in order} & {tuple(epoch) for epoch in later}


def test_a_record_is_transformed_anew_in_each_epoch():
    batches = take(start(batch_size=10), 2)
    first, second = (batch['image'][np.argsort(batch['index']), 1] for batch in batches)
    assert (first != second).any(axis=(1, 2)).all()


@pytest.mark.parametrize('step', [0, 3, 7])
def test_resumes_in_the_middle_of_an_epoch(step):
    whole = take(start(), 10)
    pipeline = start()
    take(pipeline, step)
    state = json.loads(json.dumps(pipeline.get_state()))
    assert_equal(take(pipeline, 1), whole[step : step + 1])
    resumed = start()
    take(resumed, 2)  # what was given out before does not matter
    resumed.set_state(state)
    assert resumed.get_state() == state
    assert_equal(take(resumed, 10 - step), whole[step:])


def test_resumes_far_away():
    far = start()
    far.set_state(far.get_state() | {'step': 10**12})
    assert len(next(far)['name']) == 4


@pytest.mark.parametrize(
    ('other', 'message'),
    [
        ({'seed': 3}, 'state of the pipeline: expected seed 3, got 1'),
        ({'batch_size': 2}, 'state of the pipeline: expected batch_size 2, got 4'),
        ({'dataset': Numbers(9)}, 'state of the pipeline: expected records 9, got 10'),
    ],
)
def test_the_state_of_another_run_is_refused(other, message):
    with pytest.raises(MattingError, match=message):
        start(**other).set_state(start().get_state())


def test_workers_change_nothing():
    dataset = Numbers(10, frozenset([3]))
    alone = start(dataset)
    expected = take(alone, 9)
    assert sum(batch['skipped'] for batch in expected) >= 3
    alone.set_state(alone.get_state() | {'step': 2})
    together = start(dataset, workers=2)
    together.set_state(alone.get_state())
    batches = take(together, 4)
    state = together.get_state()
    together.close()
    alone.set_state(state)
    assert_equal(batches + take(alone, 3), expected[2:])


@pytest.mark.parametrize('count', [2, 4])
def test_shards_share_out_each_batch(count):
    whole = take(start(), 6)
    shards = [take(start(shard_index=i, shard_count=count), 6) for i in range(count)]
    for step, batch in enumerate(whole):
        for i in range(count):
            for name in ('image', 'alpha', 'index'):
                part = np.split(batch[name], count)[i]
                np.testing.assert_array_equal(shards[i][step][name], part)


def test_shards_have_equally_many_records_in_each_batch():
    shards = [take(start(Numbers(7), shard_index=i, shard_count=2), 5) for i in (0, 1)]
    sizes = [[len(batch['index']) for batch in shard] for shard in shards]
    assert sizes[0] == sizes[1]
    assert len(set(sizes[0])) == 1


def test_one_corrupt_file_in_a_thousand_is_replaced_counted_and_told_of_once(caplog):
    dataset = Numbers(1000, frozenset([345]))
    with caplog.at_level(logging.WARNING):
        batches = take(start(dataset, batch_size=50), 60)
    assert sum(batch['skipped'] for batch in batches) == 3  # in three epochs
    order = indices(batches)
    assert len(order) == 3000
    assert 345 not in order
    warnings = [record.getMessage() for record in caplog.records]
    assert warnings == ['photo345.jpg: damaged picture; others are taken in place of such records']
    assert_equal(batches, take(start(dataset, batch_size=50), 60))


def test_a_corrupt_file_is_fatal_by_flag():
    dataset = Numbers(1000, frozenset([345]))
    with pytest.raises(RecordError, match=r'photo345.jpg: damaged picture'):
        take(start(dataset, batch_size=50, on_error='raise'), 20)


def test_data_that_cannot_be_read_is_an_error():
    dataset = Numbers(10, frozenset(range(10)))
    with pytest.raises(
        MattingError, match=r'100 records in a row cannot be read, the first: photo'
    ):
        next(start(dataset))


def test_labelled_and_unlabelled_records_do_not_mix():
    mixture = mix_datasets([(Numbers(), 1), (Numbers(has_alpha=False), 1)])
    with pytest.raises(MattingError, match='expected all records with an alpha or all without'):
        next(start(mixture))
    assert 'alpha' not in next(start(Numbers(has_alpha=False)))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'dataset': Numbers(0)}, 'dataset: expected at least one record, got none'),
        ({'batch_size': 0}, 'batch_size: expected a multiple of the 1 shards, got 0'),
        ({'shard_count': 3}, 'batch_size: expected a multiple of the 3 shards, got 4'),
        ({'shard_index': 1}, 'shard_index: expected at least 0 and below 1, got 1'),
        ({'on_error': 'stop'}, "on_error: expected 'skip' or 'raise', got 'stop'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(MattingError) as caught:
        start(**options)
    assert message in str(caught.value)


TRAINER = """
import multiprocessing, time
from tests.data.test_pipeline import start
if __name__ == '__main__':
    pipeline = start(workers=1)
    next(pipeline)
    print(multiprocessing.active_children()[0].pid, flush=True)
    time.sleep(60)
"""


def test_workers_of_a_killed_trainer_end(tmp_path):
    script = tmp_path / 'trainer.py'
    script.write_text(TRAINER)
    environment = os.environ | {'PYTHONPATH': str(ROOT)}
    command = [sys.executable, str(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as trainer:
        assert trainer.stdout is not None
        worker = int(trainer.stdout.readline())
        assert is_alive(worker)
        trainer.send_signal(signal.SIGKILL)
    try:
        wait_until(lambda: not is_alive(worker), seconds=30)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)
