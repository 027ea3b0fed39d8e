"""``python -m admin_py.cli``."""

from admin_py.cli.entry import main

raise SystemExit(main())
