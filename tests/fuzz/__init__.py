"""Damaged and hostile inputs, drawn by seed, given to the library and watched.

    python -m tests.fuzz --cases 20000 --seed 7 --kinds pickles,bins

`kinds.py` says what is tried: for each kind of input a function that makes one and one that uses it
as a script would. `mutations.py` has what is done to bytes and to JSON. `harness.py` runs a case in
a process of its own and judges it: allowed are a result that is finite and of the right form, or
one of the library's errors with a line of at most 300 characters, within the time and the memory
given. Nothing may be written outside of the case's folder, and nothing started, called or connected
to: `observer.py` hears of it from Python, and `traps.py`, which inputs name, from the system.

`guided.py` follows the branches that bytes take in `targets.py`. `corpus.py` has the inputs that
are tried each day.
"""
