"""How a script ends: with 0, or with an error in one line where the call or the data were wrong."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

DONE, FAILED, WRONG_CALL = 0, 1, 2  # exit codes


def run_script(name: str, body: Callable[[], int | None]) -> int:
    """What a script does, with an exit code.

    An error that this package or the script raised says what was expected, so it is printed alone; any other keeps its
    traceback.

    Args:
        name: of the script in its messages; where it is a file, errors that its lines raise are printed alone too.
        body: what to run; its own exit code, or None for 0.

    Returns:
        0 where all went well, 1 where the work failed, 2 where the call was wrong.

    >>> run_script("hf-noisy methods", lambda: print("none"))
    none
    0
    """
    try:
        code = body()
        sys.stdout.flush()  # here, where a reader that went away can be told from a failure
        return DONE if code is None else code
    except BrokenPipeError:  # of `hf-noisy methods | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (ValueError, TypeError, RuntimeError, OSError, ImportError) as error:
        if not _is_ours(error, Path(name)):
            raise
        code = complain(Path(name).name, str(error))
        return FAILED if isinstance(error, RuntimeError) else code


def complain(name: str, message: str) -> int:
    """Print an error of `name`; the exit code of a wrong call."""
    print(f"{name}: error: {message}", file=sys.stderr)
    return WRONG_CALL


def _is_ours(error: BaseException, script: Path) -> bool:
    """Whether it was raised by a line of this package or of the script."""
    *_, last = traceback.extract_tb(error.__traceback__)
    raised_by = Path(last.filename).resolve()
    return Path(__file__).resolve().parents[1] in raised_by.parents or raised_by == script.resolve()
