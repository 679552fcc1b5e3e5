import re

import numpy as np
import pytest

from mattingjax.checkpoints import Checkpoint, hash_checkpoint, load_checkpoint, save_checkpoint
from mattingjax.errors import MattingError
from mattingjax.evaluation.pruning import compare_pruning, format_comparison, square_pair
from mattingjax.pruning import (
    PruneOptions,
    channel_groups,
    choose_photos,
    draw_widths,
    format_report,
    plan_pruning,
    prune_checkpoint,
)
from tests.pruning.conftest import photos, run, short_graphs


def plan(checkpoint, **options):
    smallest = {'round_to': 1, 'min_channels': 1}
    options = PruneOptions(**{**smallest, **options})
    return plan_pruning(checkpoint.config, checkpoint.variables, options)


def test_a_pruned_checkpoint_is_a_checkpoint(toy, tmp_path):
    pruned = prune_checkpoint(toy, plan(toy, ratio=0.5), provenance={'why': 'a test'})
    save_checkpoint(tmp_path / 'pruned', pruned)
    loaded = load_checkpoint(tmp_path / 'pruned')
    assert loaded.config == pruned.config
    alpha = run(loaded.config, loaded.variables, photos())['alpha']
    assert alpha.shape == (2, 64, 64, 1)
    history = loaded.config.provenance
    assert history['dense'] == toy.config.provenance
    assert history['pruned']['sha256'] == hash_checkpoint(toy)
    assert history['pruned']['why'] == 'a test'
    assert history['pruned']['widths']['stem'] == [8, 4]
    assert history['pruned']['recalibrated_on'] == 0


def test_recalibrates(toy):
    with short_graphs():
        pruned = prune_checkpoint(toy, plan(toy, ratio=0.25), [photos()])
        again = prune_checkpoint(toy, plan(toy, ratio=0.25))
    assert pruned.config.provenance['pruned']['recalibrated_on'] == 2
    before = again.variables['batch_stats']['body']['bn']['mean']
    after = pruned.variables['batch_stats']['body']['bn']['mean']
    assert not np.allclose(before, after)


def test_a_ratio_that_is_cut_short_is_told(mmnet):
    groups = channel_groups(mmnet.config)
    narrow = sum(group.width < 16 for group in groups)
    assert plan(mmnet, ratio=0.5).notes == ()
    (note,) = plan(mmnet, ratio=0.5, min_channels=8).notes
    assert note.startswith(
        f'{narrow} of {len(groups)} groups lose less than the ratio asks for '
        f'(min_channels=8 holds {narrow}); '
    )
    (note,) = plan(mmnet, ratio=0.5, max_ratio=0.25, selection='global').notes
    assert re.search(r'\(max_ratio=0.25 holds \d+\); \d+% of all channels go', note)
    # What was not asked to go is not missed.
    assert plan(mmnet, ratio=0.5, min_channels=8, ignore=('*',)).notes == ()


def test_meets_targets(modnet):
    dense = plan(modnet, ratio=0.0).report.before
    found = plan(modnet, target_params='0.6x', target_macs=str(dense.macs // 2))
    assert found.report.after.parameters <= 0.6 * dense.parameters
    assert found.report.after.macs <= dense.macs // 2
    assert 'the least ratio that meets the targets is 0.' in found.notes[0]
    found = plan(modnet, target_params='2x')
    assert found.report.after == dense
    assert found.notes == ('the network meets the targets as it is, so nothing goes',)


def test_folded_normalisation_is_told(mmnet):
    from exporters.tensorflow_graph.folding import fold_batch_norm

    folded = Checkpoint(mmnet.config, fold_batch_norm(mmnet.config, mmnet.variables))
    (note,) = plan(folded, ratio=0.5).notes
    assert 'batch normalisations are folded into their kernels' in note
    assert plan(folded, ratio=0.5, method='random').notes == ()
    assert plan(mmnet, ratio=0.5).notes == ()


def test_meets_a_latency_that_is_measured(mmnet):
    measured = []

    def measure(config):
        measured.append(config)
        return config.architecture.init + config.architecture.final

    options = PruneOptions(target_latency='0.5x', round_to=1, min_channels=1)
    found = plan_pruning(mmnet.config, mmnet.variables, options, measure_latency=measure)
    after = found.report.widths['init'][1] + found.report.widths['final'][1]
    assert after <= 8
    assert measured[0].architecture == mmnet.config.architecture  # which sets the scale
    assert 3 <= len(measured) == len(set(measured)) <= 8
    assert found.notes[1] == f'latency: 16.00 ms → {after:.2f} ms'
    with pytest.raises(MattingError, match='target_latency: needs a way to measure'):
        plan_pruning(mmnet.config, mmnet.variables, options)


def test_equal_checkpoints_have_equal_hashes(mmnet, modnet):
    copy = Checkpoint(mmnet.config, dict(mmnet.variables))
    assert hash_checkpoint(copy) == hash_checkpoint(mmnet)
    other = Checkpoint(mmnet.config, prune_checkpoint(mmnet, plan(mmnet, ratio=0.0)).variables)
    assert hash_checkpoint(other) == hash_checkpoint(mmnet)
    assert len({hash_checkpoint(modnet), hash_checkpoint(mmnet)}) == 2


def test_a_short_description(mmnet):
    assert re.fullmatch(
        r'PrunePlan\(mmnet, [\d,]+ to [\d,]+ parameters\)', repr(plan(mmnet, ratio=0.5))
    )


def test_table_and_picture(modnet):
    report = plan(modnet, ratio=0.5).report
    table = format_report(report)
    for group in channel_groups(modnet.config):
        assert any(line.split()[0] == group.name for line in table.splitlines()[2:-5])
    assert 'G MACs at 64x64, all heads' in table
    assert len({len(line) for line in table.splitlines()}) == 1
    picture = draw_widths(report)
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) >= 4


@pytest.mark.parametrize(('there', 'wanted'), [(33, 32), (33, 1), (5, 32), (100, 7)])
def test_photos_are_chosen_evenly(there, wanted, tmp_path):
    for i in range(there):
        (tmp_path / f'{i:03}.jpg').touch()
    chosen = [int(path.stem) for path in choose_photos(tmp_path, wanted)]
    assert len(chosen) == min(there, wanted)
    assert chosen[0] == 0
    gaps = np.diff(chosen)
    assert len(gaps) == 0 or 0 < gaps.min() >= gaps.max() - 1


def test_ways_to_prune_are_compared(toy):
    pair = square_pair(photos(1, 70)[0].astype(np.uint8), np.full((70, 70), 0.5, np.float32), 64)
    ways = {
        'L1': PruneOptions(ratio=0.5, round_to=1, min_channels=1),
        'Taylor': PruneOptions(ratio=0.5, round_to=1, min_channels=1, method='taylor'),
    }
    with short_graphs():
        outcomes = compare_pruning(
            toy, ways, {'grey': [pair]}, [photos()], [toy.variables['params']]
        )
    dense, first, second = outcomes.values()
    assert list(outcomes) == ['dense', *ways]
    assert dense.macs > first.macs == second.macs
    assert dense.recalibrated == {}
    for outcome in (first, second):
        assert outcome.errors['grey'] != outcome.recalibrated['grey']
        assert outcome.alphas['grey'].shape == (64, 64)
    table = format_comparison(outcomes).splitlines()
    assert table[0] == '|  | parameters | G MACs | grey | grey, recalibrated |'
    assert table[3].startswith(f'| L1 | {first.parameters:,} | {first.macs / 1e9:.2f} | ')
    assert len({line.count('|') for line in table}) == 1
