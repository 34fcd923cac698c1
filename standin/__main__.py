"""Serve a declared database: `python -m standin --database module:callable`."""

import sys

from standin.server import main

sys.exit(main())
