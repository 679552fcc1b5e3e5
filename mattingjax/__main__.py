"""`python -m mattingjax` is the command `mattingjax`."""

from mattingjax.commands import main

if __name__ == '__main__':
    main()
