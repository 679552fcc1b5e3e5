import ctypes
import sys

import pytest

from mattingjax.process import signal_stack


@pytest.mark.skipif(sys.platform != 'linux', reason='how Linux describes the stack')
def test_the_stack_for_signals_is_put_back():
    library = ctypes.CDLL(None)

    def read():
        stack = signal_stack._SignalStack()
        library.sigaltstack(None, ctypes.byref(stack))
        return stack.start, stack.flags, stack.size

    before = read()
    other = ctypes.create_string_buffer(2**17)
    with signal_stack.keeping_signal_stack():
        new = signal_stack._SignalStack(ctypes.addressof(other), 0, len(other))
        assert library.sigaltstack(ctypes.byref(new), None) == 0
        assert read() == (ctypes.addressof(other), 0, len(other))
    assert read() == before
