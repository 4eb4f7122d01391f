"""Options that make the measuring scripts of the evidence pages take seconds, by the name of the script."""

CORPUS = "--data {shared}/data/youtube"
ELSEWHERE = "--output {here}/lines-of-NAME.jsonl"  # not into recipes/results
SCRIPTS = {
    "known_noise": "--seeds 0 --epochs 1 --methods co_teaching",
    "pseudo_labels": "--seeds 5 --epochs 1 --rows 100",
    "noise_channels": "--seeds 0 --epochs 1 --methods noise_adaptation",
    "known_matrices": "--seeds 0 --rows 200 --classes 2",
    "kinds_of_noise": f"{CORPUS} --seeds 0 --noise given --max_train_rows 200 --resamples 2",
    "inferred_classes": f"{CORPUS} --seeds 0 --noise given --max_train_rows 64",
    "estimates": f"{CORPUS} --max_rows 200 --resamples 2",
    "labeling_speed": "--rows 500 --rounds 1",
    "reading_speed": "--rows 500 --rounds 1",
    "loss_scaling": "",
    "frozen_agreement": "",
    "frozen_head": f"{CORPUS} --seeds 0 --max_train_rows 64",
    "situations": "--data {shared}/data --corpora youtube --situations given --methods neighbours --seeds 0 --max_length 8",
    "nested_thresholds": f"{CORPUS} --situations given --seeds 0 --max_train_rows 64 --max_length 8",
    "inference_ceiling": f"{CORPUS} --seeds 0 --max_train_rows 64 --max_length 8",
    "stock_clients": "--only few",
    "large_dataset": "--rows 400",
    "reliability": "--checks fuzz --short",
}
SCRIPTS = {name: f"{options} {ELSEWHERE.replace('NAME', name)}".strip() for name, options in SCRIPTS.items()} | {
    "finding_wrong_labels": f"{CORPUS} --noise given --epochs 1 --max_train_rows 40 --max_test_rows 30 --max_length 16 "
    "--output {here}/audit.jsonl --report {here}/audit.md",
    "report_picture": "--max_rows 200 --output {here}/report.png",
    "large_memory": "--rows 1000 --classes 3 --names elr --report {here}/memory.md",
    "benchmark_files": "--check",
}
