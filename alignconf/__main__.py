"""``python -m alignconf``: see :mod:`alignconf.command`."""

from alignconf.command import main

if __name__ == "__main__":
    raise SystemExit(main())
