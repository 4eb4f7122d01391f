"""The runs of each file of the benchmark in recipes/results, and its report.

    python tests/measure/benchmark_files.py h100 --model MODEL
    python tests/measure/benchmark_files.py --reports

The first calls `recipes/benchmark.py` with the arguments that `RUNS` has for h100.jsonl. Runs that the file holds are left out.
`SPEED` has the tables of step times, which are always measured again. The second writes the report and the figures of every file. `--check` only checks the arguments.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from pathlib import Path

from hf_noisy.benchmark import read_results
from hf_noisy.benchmark.report import write_report
from hf_noisy.benchmark.settings import parse_method
from hf_noisy.commands.arguments import BenchmarkArguments
from hf_noisy.common.launching import parse_arguments

ROOT = Path(__file__).resolve().parents[2]
RESULTS = "recipes/results"
CORPORA = ("trec", "hausa", "youtube", "imdb", "agnews_human")
FEW_ROWS = "--epochs 3 --max_train_rows 1000 --max_test_rows 1000 --max_length 48 --learning_rate 3e-4"
SMALL = f"{FEW_ROWS} --bf16 True"
FROZEN = "--frozen --max_train_rows 1000 --max_test_rows 1000 --max_length 48"
LOSSES = "mae gce gce_truncated sce label_smoothing uniform_mixture nce_rce nce_mae bootstrap_soft bootstrap_hard"
CHOOSING = "elr co_teaching co_teaching_plus jocor mentornet_pd mentornet_dd dividemix selfmix"
OTHERS = (
    "noise_adaptation noise_adaptation_complex forward backward glc gce neighbours label_correction pseudo_labeling "
    "self_training candidate_labels rule_masking consistency"
)
ON_VECTORS = f"{CHOOSING} {OTHERS} model_average truth_inference auto".replace("rule_masking ", "")  # it hides words
ONE = "truth_inference:models=one"  # the inference of 0.2.0
ENCODER, EARLIER = f"{ONE},vectors=encoder", f"{ONE},vectors=encoder,share=0.6"
FIFTEEN = (
    *CORPORA, "massive18", "slurp_asr", "ledgar_gpt", "claude9", "spouse", "norec", "mr_chatgpt", "fpb_llms", "abtbuy_crowd", "movie_crowd",
)  # fmt: skip
RUNS: dict[str, tuple[str, ...]] = {
    "fifteen": (f"--methods auto --baselines gold --seeds 0 1 2 {SMALL}",),
    "h100": (
        f"--methods sce truth_inference auto --seeds 0 1 2 3 4 {SMALL}",
        f"--methods {CHOOSING} {OTHERS} --seeds 0 1 {SMALL}",
        *(
            f"--methods truth_inference auto --seeds 0 1 --noise {noise} {SMALL}"
            for noise in ("symmetric:0.2", "symmetric:0.4", "pair:0.4")
        ),
    ),
    "h100_full": (
        "--methods truth_inference auto --seeds 0 --epochs 4 --max_length 128 --learning_rate 1e-4 --bf16 True",
    ),
    "h100_ablation": (
        f"--methods {ONE} {ENCODER} {ONE},refine=false {ONE},sharpen=false {ONE},sources=null {ONE},rounds=1 "
        f"{ONE},vectors=words --seeds 0 1 {SMALL}",
    ),
    "results": (
        f"--methods {LOSSES} {ENCODER} --seeds 0 1 {SMALL}",
        *(
            f"--methods {LOSSES} {ENCODER} --seeds 0 1 --noise {noise} {SMALL}"
            for noise in ("symmetric:0.4", "symmetric:0.2")
        ),
    ),
    "doubted": (
        "--methods pseudo_labeling self_training label_correction consistency candidate_labels model_average neighbours "
        f"rule_masking --seeds 0 1 {SMALL}",
    ),
    "peers": (f"--methods {CHOOSING} --seeds 0 1 {SMALL}",),
    "frozen": (
        f"--methods {LOSSES} {ON_VECTORS} {ENCODER} --seeds 0 1 {FROZEN}",
        f"--methods {LOSSES} {ENCODER} --seeds 0 1 --noise symmetric:0.4 {FROZEN}",
    ),
    "float32": (f"--methods truth_inference --seeds 2 {FEW_ROWS}",),
    "variants": (
        f"--methods {ENCODER} {EARLIER} {EARLIER},refine=false {EARLIER},sharpen=false {EARLIER},sources=null "
        f"{EARLIER},rounds=1 --seeds 0 1 {SMALL}",
        *(
            f"--methods {ENCODER} {EARLIER},refine=false --seeds 0 1 --noise {noise} {SMALL}"
            for noise in ("symmetric:0.4", "symmetric:0.2")
        ),
    ),
}
SPEED = {
    "speed_losses": f"--speed_rounds 30 --methods ce {LOSSES}",
    "speed_methods": "--speed_rounds 16 --methods elr noise_adaptation noise_adaptation_complex:rate=0.2 co_teaching "
    "selfmix:warmup_epochs=1 dividemix",
    "speed_relabeling": "--speed_rounds 16 --methods model_average label_correction consistency pseudo_labeling:start=0.3",
    "speed_others": "--speed_rounds 8 --methods co_teaching_plus jocor mentornet_pd mentornet_dd forward backward glc "
    "self_training candidate_labels neighbours rule_masking truth_inference auto",
}
ON = {"peers": ("trec", "agnews_human"), "fifteen": FIFTEEN}  # all others: `CORPORA`


def commands(name: str, model: str = "MODEL", data: str = "../shared/data") -> list[str]:
    """The commands that make a file of results.

    Args:
        name: of the file, without its suffix.
        model: folder or name of the encoder.
        data: the folder of the corpora.
    """
    if name in SPEED:
        return [f"python recipes/benchmark.py --speed --model {model} {SPEED[name]} --report {RESULTS}/{name}.md"]
    corpora = " ".join(f"{data}/{corpus}" for corpus in ON.get(name, CORPORA))
    fixed = f"python recipes/benchmark.py --data {corpora} --model {model}"
    return [f"{fixed} {options} --output {RESULTS}/{name}.jsonl" for options in RUNS[name]]


def check(command: str) -> None:
    """
    Raises:
        SystemExit, ValueError: an argument, a method or a parameter that does not exist.
    """
    (given,) = parse_arguments([BenchmarkArguments], arguments=shlex.split(command)[2:])
    for spec in given.methods:
        parse_method(spec)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "names", nargs="*", choices=[*RUNS, *SPEED, []], metavar="NAME", help=", ".join([*RUNS, *SPEED])
    )
    parser.add_argument("--model", default="MODEL", help="the encoder: a folder or a name")
    parser.add_argument("--data", default="../shared/data", help="the folder of the corpora")
    parser.add_argument("--processes", type=int, default=1, help="runs at the same time")
    parser.add_argument("--reports", action="store_true", help="write the reports of all files that are there")
    parser.add_argument("--check", action="store_true", help="only check the arguments")
    given = parser.parse_args()
    failed = False
    for name in given.names:
        for command in commands(name, given.model, given.data):
            check(command)
            if not given.check:
                words = [sys.executable, *shlex.split(command)[1:], "--processes", str(given.processes)]
                failed |= subprocess.run(words, cwd=ROOT, check=False).returncode != 0  # a method may refuse a corpus
    if given.reports and not given.check:
        for name in RUNS:
            path = ROOT / RESULTS / f"{name}.jsonl"
            if path.is_file():
                write_report(read_results(path), path.with_suffix(".md"))
                print(f"{name}.md", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
