import ctypes
import faulthandler
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from mattingjax.process import native_signals
from mattingjax.process.interrupts import handling


@pytest.mark.skipif(sys.platform != 'linux', reason='how Linux describes the stack')
def test_the_stack_for_signals_is_put_back():
    library = ctypes.CDLL(None)

    def read():
        stack = native_signals._SignalStack()
        library.sigaltstack(None, ctypes.byref(stack))
        return stack.start, stack.flags, stack.size

    before = read()
    other = ctypes.create_string_buffer(2**17)
    with native_signals.keeping_signal_stack():
        new = native_signals._SignalStack(ctypes.addressof(other), 0, len(other))
        assert library.sigaltstack(ctypes.byref(new), None) == 0
        assert read() == (ctypes.addressof(other), 0, len(other))
    assert read() == before


@pytest.mark.skipif(sys.platform == 'win32', reason='has no sigaction')
@pytest.mark.parametrize('in_thread', [False, True])
@pytest.mark.parametrize('at_once', [False, True])
def test_handlers_are_put_back(tmp_path, in_thread, at_once):
    heard, said = [], tmp_path / 'said'

    def take():
        with native_signals.keeping_handlers() as put_back:
            faulthandler.register(signal.SIGTERM, file)  # in C, so that Python does not see it
            signal.raise_signal(signal.SIGTERM)
            sizes.append(said.stat().st_size)
            if at_once:
                put_back()
                signal.raise_signal(signal.SIGTERM)

    sizes = []
    with handling(lambda number, _: heard.append(number)), open(said, 'w') as file:
        try:
            if in_thread:
                with ThreadPoolExecutor() as pool:
                    pool.submit(take).result()
            else:
                take()
            signal.raise_signal(signal.SIGTERM)
        finally:
            faulthandler.unregister(signal.SIGTERM)
    assert heard == [signal.SIGTERM] * (2 if at_once else 1)
    assert sizes == [said.stat().st_size]
    assert sizes[0] > 0


@pytest.mark.skipif(sys.platform == 'win32', reason='has no sigaction')
def test_what_is_ignored_stays_ignored():
    library = ctypes.CDLL(None)
    default, ignored = int(signal.SIG_DFL), int(signal.SIG_IGN)
    earlier = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with native_signals.keeping_handlers():
            assert library.signal(int(signal.SIGTERM), default) == ignored  # as Ray at its end
        assert library.signal(int(signal.SIGTERM), ignored) == ignored  # what it was until now
    finally:
        signal.signal(signal.SIGTERM, earlier)
