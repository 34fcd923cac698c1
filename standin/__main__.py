"""Serve a declared database: `python -m standin --database module:callable`."""

import sys

from standin.process import main

sys.exit(main())
