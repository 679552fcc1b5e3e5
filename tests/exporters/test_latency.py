import contextlib

import pytest

from exporters import latency
from mattingjax.pruning import cost_model, with_widths
from tests.conftest import require_export_tools


def test_networks_are_exported_and_timed_beside_the_dense_one(toy, tmp_path, monkeypatch):
    require_export_tools()
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path))
    with latency.latency_beside(toy.config, rounds=3) as measure:
        assert 0 < measure(toy.config) < 1e3
    assert not list(tmp_path.iterdir())


def test_networks_are_timed_in_the_runtime_asked_for(toy):
    require_export_tools()
    timer = latency.ExportTimer('onnxruntime')
    assert str(timer) == 'onnxruntime in f32'
    times = timer({'toy': toy.config})
    assert [len(seconds) for seconds in times.values()] == [20]


def test_a_machine_that_gets_busier_changes_nothing(toy, monkeypatch):
    """Milliseconds in proportion to the MACs, and twice as many at every measurement."""
    measurements = []

    @contextlib.contextmanager
    def open_exported(config):
        yield cost_model(config)({}).macs

    def time_in_turn(runs, rounds):
        measurements.append(sorted(runs))
        return {name: macs * 2 ** len(measurements) / 2e3 for name, macs in runs.items()}

    monkeypatch.setattr(latency, 'open_exported', open_exported)
    monkeypatch.setattr(latency, 'time_in_turn', time_in_turn)
    macs = cost_model(toy.config)({}).macs
    with latency.latency_beside(toy.config) as measure:
        assert measure(toy.config) == pytest.approx(macs)
        for name in ('stem', 'body'):
            narrow = with_widths(toy.config, {name: 4})
            assert measure(narrow) == pytest.approx(cost_model(narrow)({}).macs)
    assert measurements == [['dense'], ['dense', 'trial'], ['dense', 'trial']]
