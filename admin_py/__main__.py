"""``python -m admin_py``: the command line."""

from admin_py.cli.entry import main

raise SystemExit(main())
