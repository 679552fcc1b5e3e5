from exporters import latency
from mattingjax.pruning import PruneOptions, cost_model, plan_pruning
from tests.conftest import require_export_tools


def test_a_network_is_exported_and_timed(mmnet, tmp_path, monkeypatch):
    require_export_tools()
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path))
    assert 0 < latency.measure_latency(mmnet.config, repeats=3) < 1e3
    assert not list(tmp_path.iterdir())


def test_a_share_of_the_latency_is_a_target(mmnet):
    # A latency that is known: microseconds in proportion to the MACs.
    cost = cost_model(mmnet.config)
    tried = []

    def measure(config):
        tried.append(config)
        return cost_model(config)({}).macs / 1e3

    options = PruneOptions(target_latency='0.5x', round_to=1, min_channels=1)
    plan = plan_pruning(mmnet.config, mmnet.variables, options, measure_latency=measure)
    assert 0.35 * cost({}).macs < plan.report.after.macs <= 0.5 * cost({}).macs
    assert tried[0].architecture == mmnet.config.architecture  # the dense one sets the scale
    assert len(tried) < 10
