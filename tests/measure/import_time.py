"""What importing `NoisyTrainer` costs over importing the Trainer: fresh processes in turn, and the median of each.

python tests/measure/import_time.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys

ROUNDS = 5
TIMER = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"
IMPORTS = {"transformers.Trainer": "from transformers import Trainer", "hf_noisy": "from hf_noisy import NoisyTrainer"}

seconds: dict[str, list[float]] = {name: [] for name in IMPORTS}
for _ in range(ROUNDS + 1):
    for name, statement in IMPORTS.items():
        done = subprocess.run(
            [sys.executable, "-c", TIMER.format(statement)], capture_output=True, text=True, check=True
        )
        seconds[name].append(float(done.stdout.split()[-1]))
medians = {name: statistics.median(values[1:]) for name, values in seconds.items()}  # the first round warms the disk
for name, median in medians.items():
    print(f"{name}: {median:.2f} s")
print(f"hf_noisy costs {medians['hf_noisy'] - medians['transformers.Trainer']:.2f} s more")
