"""The measured results on the page of a method: by corpus on labels as given, and on noise of a known kind."""

from __future__ import annotations

import method_results as results

from hf_noisy.methods.registry import METHODS


def measured(name: str) -> str:
    if name == "ce":
        return "Gains of all other methods are measured against `ce`. [Benchmark](../../evidence/benchmark.md)."
    given = results.measured(name)
    noises = dict.fromkeys(noise for file in results.ACCURACY for noise in results.noises(file))
    noisy = {noise: found for noise in noises if (found := results.measured(name, noise)) is not None}
    parts = ["### Labels as given", "Not measured." if given is None else labels_as_given(given)]
    parts += ["### The same corpora with known noise", known_noise_by_corpus(noisy)] if noisy else []
    parts += ["### Known noise, a small model from scratch", on_known_noise(name)]
    return "\n\n".join(part for part in (results.former_inference(name), *parts) if part)


def labels_as_given(found: results.Measured) -> str:
    """Accuracy of the method and of `ce`, and the gain, for each corpus."""
    section, variant = found.section, found.variant
    rows = []
    for corpus in found.corpora:
        ours, base = section.accuracy(corpus, variant, section.ce), section.accuracy(corpus, section.ce, variant)
        if ours is not None and base is not None:
            wrong, gain = section.over_seeds(corpus, variant, "noise_rate"), section.gain(corpus, variant)
            share = "" if wrong is None else f"{100 * wrong:.0f} %"
            rows.append([corpus, share, f"{base.value:.3f}", f"{ours.value:.3f}", results.points_with_interval(gain)])
    average = results.points_with_interval(found.mean_gain) or "not measured on all"
    rows.append(["**mean**", "", "", "", f"**{average}**"])
    gap, reads = found.gap, " The method reads true labels of some rows." if variant in section.reads_gold else ""
    lines = [
        f"Test accuracy, mean of seeds {_listed(found.seeds)}; gain over `ce` with the same seeds, with its 95 % interval.{reads}",
        markdown_table(["corpus", "wrong labels", "`ce`", f"`{variant}`", "gain, points"], rows),
    ]
    if gap is not None and gap.interval is not None:
        low, high = (100 * value for value in gap.interval)
        lines.append(
            f"Share of the gap between `ce` and gold labels that is recovered, mean of the corpora: {100 * gap.value:.0f} % "
            f"[{low:.0f}, {high:.0f}]. [How we measure](../../concepts/measuring.md)."
        )
    return "\n\n".join([*lines, settings_of(found), f"```bash\n{benchmark_command(found)}\n```"])


def known_noise_by_corpus(found: dict[str, results.Measured]) -> str:
    """The gain for each corpus and each kind of noise that was added to its gold labels."""
    first = next(iter(found.values()))
    rows = [
        [corpus, *(results.points_with_interval(one.section.gain(corpus, one.variant)) for one in found.values())]
        for corpus in first.corpora
    ]
    average = [results.points_with_interval(one.mean_gain) for one in found.values()]
    rows.append(["**mean**", *(f"**{cell}**" if cell else "" for cell in average)])
    commands = "\n".join(benchmark_command(one) for one in found.values())
    return "\n\n".join(
        [
            f"Gain over `ce` in points, with its 95 % interval, mean of seeds {_listed(first.seeds)}. The noise is added to gold labels.",
            markdown_table(["corpus", *(f"{noise.replace(':', ' ')}" for noise in found)], rows),
            settings_of(first),
            f"```bash\n{commands}\n```",
        ]
    )


def settings_of(found: results.Measured) -> str:
    settings = found.section.settings
    epoch = "last" if METHODS[found.section.methods[found.variant]].keeps_last else "chosen by noisy validation labels"
    return (
        f"Encoder `{settings['model']}`, at most {settings['max_train_rows']:,} training rows, {settings['epochs']} epochs, on "
        f"{'a CPU' if found.device == 'cpu' else found.device}; epoch: {epoch}. From `recipes/results/{found.file}`, made by:"
    )


def benchmark_command(found: results.Measured) -> str:
    settings = found.section.settings
    words = ["python recipes/benchmark.py --data", *(f"../shared/data/{corpus}" for corpus in found.corpora)]
    words += ["--model MODEL --methods", found.section.methods[found.variant], "--seeds", *map(str, found.seeds)]
    words += ["--noise", settings["noise"]] if settings.get("noise") else []
    for option in ("epochs", "max_train_rows", "max_test_rows", "max_length"):
        words += [f"--{option}", str(settings[option])]
    words += ["--learning_rate", *(f"{rate:g}" for rate in settings["learning_rates"])]
    words += ["--bf16"] if settings["bf16"] else []
    return " ".join([*words, "--output results.jsonl"])


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [header, ["---"] * len(header), *rows])


def _listed(seeds: list[int]) -> str:
    return ", ".join(map(str, seeds))


def on_known_noise(name: str) -> str:
    found = {noise: results.known_noise(name, noise) for noise in ("symmetric", "pair")}
    if METHODS[name].reads_votes:
        return "Not measured: there are no votes on these labels."
    if not any(found.values()):
        return "Not measured."
    rows, changed = [], {}
    for noise, known in found.items():
        if known is not None:
            accuracy, base = (sum(values) / len(values) for values in (known.accuracy, known.ce))
            deviation = "" if known.deviation is None else f" ± {known.deviation:.1f}"
            rows.append([noise, f"{base:.3f}", f"{accuracy:.3f}", f"{results.points(known.gain)}{deviation}"])
            changed = dict(known.parameters)
    seeds = max(len(known.ce) for known in found.values() if known is not None)
    mean, spread = (
        (f"mean of {seeds} seeds", ", ± its standard deviation over seeds") if seeds > 1 else ("one seed", "")
    )
    settings = ", ".join(f"`{key}={value!r}`" for key, value in changed.items())
    return "\n\n".join(
        [
            f"Test accuracy after the last epoch, {mean}; gain over `ce`{spread}. Parameters: "
            f"{settings or 'the defaults'}. [The data and the model](../../evidence/known_noise.md).",
            markdown_table(["noise", "`ce`", f"`{name}`", "gain, points"], rows),
            f"```bash\npython tests/measure/known_noise.py --methods ce {name} --output known_noise.jsonl\n```",
        ]
    )
