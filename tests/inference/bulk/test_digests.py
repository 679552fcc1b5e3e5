import numpy as np

from mattingjax.inference.bulk.digests import Digests, digest


def test_a_set_of_many_texts():
    digests, texts = Digests(), [f'photo {i}' for i in range(1000)]
    for start in range(0, 1000, 30):
        assert digests.add(digest(texts[start : start + 30])).all()
    assert len(digests) == 1000
    assert digests.holds(digest(texts)).all()
    assert not digests.holds(digest(f'other {i}' for i in range(1000))).any()


def test_what_is_there_already_is_not_new():
    digests = Digests()
    assert list(digests.add(digest(['a', 'b', 'a']))) == [True, True, False]
    assert list(digests.add(digest(['c', 'b', 'c', 'd']))) == [True, False, False, True]
    assert len(digests) == 4


def test_nothing():
    digests = Digests()
    assert len(digests.add(digest([]))) == len(digests) == 0
    assert list(digests.holds(digest(['a']))) == [False]
    assert digest(['', 'é\n']).dtype == np.dtype('S16')
