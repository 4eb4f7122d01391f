"""The end of a script: its exit code, and a one-line error if the call or the data were wrong."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

DONE, FAILED, WRONG_CALL = 0, 1, 2  # exit codes


def run_script(name: str, body: Callable[[], int | None]) -> int:
    """Run a script and return its exit code.

    An error raised by this package or by the script says what was expected, so it is printed without a traceback. Any
    other error keeps its traceback.

    Args:
        name: the name of the script in messages. If it is a file, it counts as the script whose errors are printed
            without a traceback.
        body: the function to run. It returns an exit code, or None for 0.

    Returns:
        0 on success, 1 if the work failed, 2 if the call was wrong.

    >>> run_script("hf-noisy methods", lambda: print("none"))
    none
    0
    """
    try:
        code = body()
        sys.stdout.flush()  # inside `try`, so that a closed pipe is caught below
        return DONE if code is None else code
    except BrokenPipeError:  # as in `hf-noisy methods | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (ValueError, TypeError, RuntimeError, OSError, ImportError) as error:
        if not _is_ours(error, Path(name)):
            raise
        code = complain(Path(name).name, str(error))
        return FAILED if isinstance(error, RuntimeError) else code


def complain(name: str, message: str) -> int:
    """Print an error of the script `name` and return the exit code of a wrong call."""
    print(f"{name}: error: {message}", file=sys.stderr)
    return WRONG_CALL


def _is_ours(error: BaseException, script: Path) -> bool:
    """Whether the error was raised by a line of this package or of the script."""
    *_, last = traceback.extract_tb(error.__traceback__)
    raised_by = Path(last.filename).resolve()
    return Path(__file__).resolve().parents[1] in raised_by.parents or raised_by == script.resolve()
