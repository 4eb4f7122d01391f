"""The picture of the audit's page that README shows: the embedded reviews, audited by the words of their texts.

    python tests/measure/report_picture.py --output docs/images/report.png

The page itself is what `hf-noisy audit --output audit` writes. Needs Chromium on the path.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from hf_noisy import cli

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=3000")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("report.png"))
    parser.add_argument("--max_rows", default="6000", help="reviews to audit")
    parser.add_argument("--size", default="1100,1150", help="of the window, in pixels")
    given = parser.parse_args()
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        raise FileNotFoundError(f"none of {', '.join(BROWSERS)} is on the path: expected one to draw the page with.")
    with tempfile.TemporaryDirectory() as folder:
        if cli.main(["audit", "--output", folder, "--max_rows", given.max_rows]):
            return 1
        page = Path(folder, "report.html").as_uri()
        picture = f"--screenshot={given.output.resolve()}"
        subprocess.run([browser, *FLAGS, f"--window-size={given.size}", picture, page], check=True, capture_output=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
