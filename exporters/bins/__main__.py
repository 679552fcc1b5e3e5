"""`python -m exporters.bins` is `mattingjax bins`."""

if __name__ == '__main__':
    import sys

    from mattingjax.commands import bins
    from mattingjax.commands.dispatch import dispatch

    sys.argv[0] = 'exporters.bins'
    dispatch(bins)
