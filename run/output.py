"""Standard output, where what a run is for goes there."""

from __future__ import annotations

import sys

from model.errors import OutputError
from model.visible import visible


def write_out(text: str) -> None:
    """Write what a run is for to standard output.

    A terminal gets it with control characters escaped; a file and a pipe as it is. Raises UsageError where it cannot
    be written whole, unless its reader has read enough.
    """
    try:
        print(visible(text) if sys.stdout.isatty() else text, end="", flush=True)
    except BrokenPipeError:
        return
    except UnicodeEncodeError as error:
        raise OutputError(
            f"standard output cannot be written: its encoding, {error.encoding}, has no "
            f"{error.object[error.start]!r}. With PYTHONUTF8=1 in the environment it is UTF-8"
        ) from None
    except (OSError, ValueError, AttributeError) as error:
        # Without standard output there is no `sys.stdout`.
        raise OutputError(f"standard output cannot be written: {getattr(error, 'strerror', None) or error}") from None
