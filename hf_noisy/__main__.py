"""`python -m hf_noisy`, for `accelerate launch -m hf_noisy` and where the script is not on the path."""

import sys

from hf_noisy.cli import main

if __name__ == "__main__":
    sys.exit(main(prog="python -m hf_noisy"))
