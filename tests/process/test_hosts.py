import socket

import numpy as np
import pytest

from mattingjax.errors import MattingError
from mattingjax.process import hosts


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ((None, 2, 0), 'coordinator: needed with processes and process_id'),
        (('auto', 0, 0), 'processes: expected at least 1, got 0'),
        (
            ('h:1', 2, 2),
            'process_id: expected at least 0 and below 2, the number of processes, got',
        ),
        (('h:1', None, -1), 'process_id: expected at least 0, got -1'),
        (('localhost:1', None, 1), 'processes: needed with process_id'),
        (
            ('localhost', 2, 0),
            "coordinator: expected HOST:PORT of the first process, or auto, got 'l",
        ),
        (('localhost:0', 2, 0), 'coordinator: expected HOST:PORT'),
        (('localhost:70000', 2, 0), 'coordinator: expected HOST:PORT'),
        (('', 2, 0), "coordinator: expected HOST:PORT of the first process, or auto, got ''"),
        (('nobody.invalid:80', 2, 0), 'coordinator: nobody.invalid:80: '),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(MattingError) as caught:
        hosts.join(*arguments)
    assert str(caught.value).startswith(message)


def test_a_port_that_is_taken():
    with socket.socket() as taken:
        taken.bind(('', 0))
        taken.listen()
        address = f'127.0.0.1:{taken.getsockname()[1]}'
        with pytest.raises(MattingError, match='the first, cannot listen there'):
            hosts.join(address, 2, 0)


def test_a_first_process_that_does_not_come(monkeypatch, capsys):
    monkeypatch.setattr(hosts, '_LONGEST_WAIT', 0.3)
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        address = f'127.0.0.1:{probe.getsockname()[1]}'
    with pytest.raises(MattingError, match=r'the first process does not answer within 0\.3 s'):
        hosts.join(address, 2, 1)
    assert f'waiting for the first process at {address} ...' in capsys.readouterr().err


def test_nothing_to_join():
    hosts.join(None)
    with pytest.raises(MattingError, match='coordinator: auto: expected processes and process_id'):
        hosts.join('auto')


def test_alone_nobody_is_asked():
    assert (hosts.count(), hosts.index(), hosts.is_first()) == (1, 0, True)
    with hosts.together():
        hosts.check_same('what', 'a')
    with pytest.raises(KeyError), hosts.together():
        raise KeyError


def test_what_one_of_several_makes_of_others(monkeypatch):
    """Of two processes, where the other one is played."""
    lost = ValueError('UNKNOWN: Gloo all-reduce failed: Connection reset by peer')
    assert hosts.explain_lost(lost) is None  # of one process
    monkeypatch.setattr(hosts, 'count', lambda: 2)
    assert hosts.explain_lost(lost).startswith('another process of this job has ended')
    assert hosts.explain_lost(ValueError('shapes differ')) is None
    assert hosts.explain_lost(MattingError('connection')) is None
    own = MattingError('states: cannot be written')
    own.__cause__ = FileNotFoundError(2, 'No such file or directory', '/runs/nccl/states')
    assert hosts.explain_lost(own) is None
    own.__cause__ = lost
    assert hosts.explain_lost(own).startswith('another process of this job has ended')
    monkeypatch.setattr(hosts, '_gather', lambda own: np.stack([own, own]))
    with hosts.together():
        hosts.check_same('data', 'a')
    monkeypatch.setattr(hosts, '_gather', lambda own: np.stack([own, own + 1]))
    with (
        pytest.raises(MattingError, match='process 1: failed, as its own output says'),
        hosts.together(),
    ):
        pass
    with pytest.raises(MattingError, match='data: expected the same in all processes, got'):
        hosts.check_same('data', 'a')
