"""Methods by name: what `noise_method` may say, and the criteria and callbacks that a name stands for."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from hf_noisy.callbacks.auto import AutoMethod
from hf_noisy.callbacks.base import NoiseCallback
from hf_noisy.callbacks.candidate_labels import CandidateLabels
from hf_noisy.callbacks.co_teaching import CoTeaching
from hf_noisy.callbacks.co_teaching_plus import CoTeachingPlus
from hf_noisy.callbacks.consistency import ConsistencyRegularization
from hf_noisy.callbacks.dividemix import DivideMix
from hf_noisy.callbacks.elr import EarlyLearningRegularization
from hf_noisy.callbacks.gold_loss_correction import GoldLossCorrection
from hf_noisy.callbacks.jocor import JoCoR
from hf_noisy.callbacks.label_channel import LabelChannel
from hf_noisy.callbacks.label_correction import LabelCorrection
from hf_noisy.callbacks.loss_correction import BackwardCorrection, ForwardCorrection, UniformNoise
from hf_noisy.callbacks.mentornet import MentorNet
from hf_noisy.callbacks.model_average import ModelAverage
from hf_noisy.callbacks.neighbours import Neighbours
from hf_noisy.callbacks.noise_adaptation import NoiseAdaptation
from hf_noisy.callbacks.pseudo_labeling import PseudoLabeling
from hf_noisy.callbacks.rule_masking import RuleMasking
from hf_noisy.callbacks.self_training import SelfTraining
from hf_noisy.callbacks.selfmix import SelfMix
from hf_noisy.callbacks.truncated_gce import TruncatedGCE
from hf_noisy.callbacks.truth_inference import TruthInference
from hf_noisy.domains import nearest
from hf_noisy.losses import (
    ActivePassive,
    Bootstrapping,
    Criterion,
    CrossEntropy,
    GeneralizedCrossEntropy,
    LabelSmoothing,
    MeanAbsoluteError,
    SymmetricCrossEntropy,
)

_LONGEST = 200  # characters of parameters that a message can show


@dataclass(frozen=True)
class Method:
    """What a name stands for."""

    build: Callable[..., Criterion | NoiseCallback]
    summary: str  # what it does to an example
    paper: str  # citation, for the model card
    reads_clean: bool = False  # whether it needs `NoisyTrainer(clean_dataset=...)`
    reads_votes: bool = False  # whether it needs the votes of the sources, a column `weak_labels`
    reads_unlabeled: bool = False  # whether rows on which every source abstained tell it something
    keeps_last: bool = (
        False  # whether the last epoch is kept: it does not believe the labels by which others are judged
    )

    @property
    def parameters(self) -> dict[str, Any]:
        """Names and defaults of what `noise_kwargs` may set."""
        fixed = self.build.keywords if isinstance(self.build, partial) else {}
        parameters = inspect.signature(self.build).parameters.values()
        return {p.name: p.default for p in parameters if p.name not in fixed}


_ZHANG = "Zhang and Sabuncu, Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels, NeurIPS 2018"
_MA = "Ma et al., Normalized Loss Functions for Deep Learning with Noisy Labels, ICML 2020"
_REED = "Reed et al., Training Deep Neural Networks on Noisy Labels with Bootstrapping, ICLR 2015 workshop"
_PATRINI = "Patrini et al., Making Deep Neural Networks Robust to Label Noise: a Loss Correction Approach, CVPR 2017"
_GOLDBERGER = "Goldberger and Ben-Reuven, Training deep neural-networks using a noise adaptation layer, ICLR 2017"
_JIANG = "Jiang et al., MentorNet: Learning Data-Driven Curriculum for Very Deep Neural Networks on Corrupted Labels, ICML 2018"

METHODS: dict[str, Method] = {
    "ce": Method(CrossEntropy, "believes every label", "the baseline"),
    "mae": Method(
        MeanAbsoluteError,
        "bounds what one label can cost, each alike",
        "Ghosh et al., Robust Loss Functions under Label Noise for Deep Neural Networks, AAAI 2017",
    ),
    "gce": Method(GeneralizedCrossEntropy, "trusts a label the less, the less the model believes it", _ZHANG),
    "gce_truncated": Method(TruncatedGCE, "leaves out labels that the model gives a low probability", _ZHANG),
    "sce": Method(
        SymmetricCrossEntropy,
        "adds a bounded term that asks the label of the prediction",
        "Wang et al., Symmetric Cross Entropy for Robust Learning with Noisy Labels, ICCV 2019",
    ),
    "label_smoothing": Method(
        LabelSmoothing,
        "gives every class a small share of each label",
        "Szegedy et al., Rethinking the Inception Architecture for Computer Vision, CVPR 2016",
    ),
    "uniform_mixture": Method(
        UniformNoise,
        "supposes that a fixed share of labels is drawn at random",
        f"{_PATRINI} (forward correction, uniform)",
    ),
    "nce_rce": Method(partial(ActivePassive, passive="rce"), "pairs a normalised active loss with reverse CE", _MA),
    "nce_mae": Method(partial(ActivePassive, passive="mae"), "pairs a normalised active loss with MAE", _MA),
    "bootstrap_soft": Method(partial(Bootstrapping, kind="soft"), "mixes the label with the prediction", _REED),
    "bootstrap_hard": Method(partial(Bootstrapping, kind="hard"), "mixes the label with the predicted class", _REED),
    "co_teaching": Method(
        CoTeaching,
        "is taught to one network if the other finds it easy",
        "Han et al., Co-teaching: Robust Training of Deep Neural Networks with Extremely Noisy Labels, NeurIPS 2018",
    ),
    "co_teaching_plus": Method(
        CoTeachingPlus,
        "is taught to one network if the other finds it easy and the two disagree on it",
        "Yu et al., How does Disagreement Help Generalization against Label Corruption?, ICML 2019",
    ),
    "jocor": Method(
        JoCoR,
        "is taught to two networks if both fit its label and each other",
        "Wei et al., Combating Noisy Labels by Agreement: A Joint Training Method with Co-Regularization, CVPR 2020",
    ),
    "mentornet_pd": Method(
        partial(MentorNet, curriculum="predefined"),
        "is weighed by its loss, as a fixed curriculum says",
        _JIANG,
    ),
    "mentornet_dd": Method(
        partial(MentorNet, curriculum="data_driven"),
        "is weighed by its loss and label, as learned from rows with trusted labels",
        _JIANG,
        reads_clean=True,
    ),
    "dividemix": Method(
        DivideMix,
        "loses its label if its loss is large, and is mixed with another",
        "Li et al., DivideMix: Learning with Noisy Labels as Semi-supervised Learning, ICLR 2020",
    ),
    "selfmix": Method(
        SelfMix,
        "loses its label if its loss is large, and its sentence vector is mixed with another's",
        "Qiao et al., SelfMix: Robust Learning Against Textual Label Noise with Self-Mixup Training, COLING 2022",
    ),
    "elr": Method(
        EarlyLearningRegularization,
        "is held to the average of its earlier predictions",
        "Liu et al., Early-Learning Regularization Prevents Memorization of Noisy Labels, NeurIPS 2020",
    ),
    "noise_adaptation": Method(
        partial(NoiseAdaptation, layer="simple"),
        "is explained by its true class and a matrix that is learned with the model",
        _GOLDBERGER,
    ),
    "noise_adaptation_complex": Method(
        partial(NoiseAdaptation, layer="complex"),
        "is explained by its true class and a matrix that depends on the sentence",
        _GOLDBERGER,
    ),
    "forward": Method(
        ForwardCorrection, "is explained by its true class and a matrix that is given or estimated", _PATRINI
    ),
    "backward": Method(
        BackwardCorrection, "is taught signed targets that are right on average over the noise", _PATRINI
    ),
    "glc": Method(
        GoldLossCorrection,
        "is explained by its true class and a matrix read off rows with trusted labels",
        "Hendrycks et al., Using Trusted Data to Train Deep Networks on Labels Corrupted by Severe Noise, NeurIPS 2018",
        reads_clean=True,
    ),
    "pseudo_labeling": Method(
        PseudoLabeling,
        "loses its label if the model doubts it, and takes the model's once that is sure",
        "Lee, Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method, ICML 2013 workshop; Sohn et al., "
        "FixMatch, NeurIPS 2020; Zhang et al., FlexMatch, NeurIPS 2021",
        reads_unlabeled=True,
    ),
    "self_training": Method(
        SelfTraining,
        "is taught what an earlier state of the model says of it, as far as that was sure",
        "Yu et al., Fine-Tuning Pre-trained Language Model with Weak Supervision: A Contrastive-Regularized Self-Training "
        "Approach, NAACL 2021",
        reads_unlabeled=True,
    ),
    "label_correction": Method(
        LabelCorrection,
        "has its label moved towards what the model predicts for it",
        "Lu and He, SELC: Self-Ensemble Label Correction Improves Learning with Noisy Labels, IJCAI 2022",
    ),
    "consistency": Method(
        ConsistencyRegularization,
        "is to be predicted alike in two views",
        "Liang et al., R-Drop: Regularized Dropout for Neural Networks, NeurIPS 2021; Sohn et al., FixMatch: Simplifying "
        "Semi-Supervised Learning with Consistency and Confidence, NeurIPS 2020",
        reads_unlabeled=True,
    ),
    "candidate_labels": Method(
        CandidateLabels,
        "is taught the classes that its sources vote for, the more of each the likelier the model finds it",
        "Lv et al., Progressive Identification of True Labels for Partial-Label Learning, ICML 2020",
        reads_votes=True,
    ),
    "model_average": Method(
        ModelAverage,
        "is judged by an average of the weights so far",
        "Polyak and Juditsky, Acceleration of Stochastic Approximation by Averaging, 1992; Tarvainen and Valpola, Mean "
        "teachers are better role models, NeurIPS 2017",
    ),
    "neighbours": Method(
        Neighbours,
        "is left out if its label disagrees with those of the most similar texts",
        "Lang et al., Training Subset Selection for Weak Supervision, NeurIPS 2022",
    ),
    "rule_masking": Method(
        RuleMasking,
        "has the words hidden now and then for which a rule labelled it",
        "after Dong et al., Debiasing Made State-of-the-art: Revisiting the Simple Seed-based Weak Supervision for Text "
        "Classification, EMNLP 2023",
        reads_votes=True,
    ),
    "truth_inference": Method(
        TruthInference,
        "is taught the class that its sources and texts like it together speak for",
        "after Raykar et al., Learning From Crowds, JMLR 2010; Lang et al., Training Subset Selection for Weak Supervision, "
        "NeurIPS 2022",
        reads_unlabeled=True,
        keeps_last=True,
    ),
    "auto": Method(
        AutoMethod,
        "is taught its label or what truth_inference makes of it, after a look at all labels that says which and why",
        "as truth_inference: after Raykar et al., Learning From Crowds, JMLR 2010",
        reads_unlabeled=True,
        keeps_last=True,
    ),
}


def split_names(noise_method: str | None) -> list[str]:
    """`"co_teaching+gce"` -> the names; an unknown one raises with the nearest, a repeated one too.

    >>> split_names("gce")
    ['gce']
    >>> split_names("gcee")
    Traceback (most recent call last):
    ValueError: noise_method='gcee': unknown method 'gcee'. Did you mean 'gce'? Known: ce, mae, gce, ...
    """
    if not isinstance(noise_method, str | None):
        raise TypeError(
            f"noise_method={noise_method!r}: expected a name, as 'gce' or 'co_teaching+gce'. Objects go to the trainer, as "
            "criterion=... or callbacks=[...]."
        )
    names = [name.strip() for name in noise_method.split("+")] if noise_method else []
    for name in names:
        if name not in METHODS:
            raise ValueError(f"noise_method={noise_method!r}: unknown method {name!r}. {nearest(name, METHODS)}")
    if len(set(names)) < len(names):
        raise ValueError(f"noise_method={noise_method!r}: names a method twice. Name each once.")
    return names


def reads_clean(names: Iterable[str]) -> bool:
    """Whether one of these methods needs `NoisyTrainer(clean_dataset=...)`; a name that is no method's needs nothing.

    >>> reads_clean(["gce", "glc"]), reads_clean(["gold"])
    (True, False)
    """
    return any(METHODS[name].reads_clean for name in names if name in METHODS)


def reads_unlabeled(names: Iterable[str]) -> bool:
    """Whether rows without a label tell one of these methods something; a name that is no method's reads none."""
    return any(METHODS[name].reads_unlabeled for name in names if name in METHODS)


def names_of(part: Criterion | NoiseCallback) -> list[str]:
    """The names that stand for such a part, as `build_methods` would make it; none of a part that has no name.

    >>> names_of(ActivePassive("mae"))
    ['nce_mae']
    """
    return [name for name, method in METHODS.items() if _makes(method.build, part)]


def _makes(build: Callable[..., Any], part: Criterion | NoiseCallback) -> bool:
    kind, fixed = (build.func, build.keywords) if isinstance(build, partial) else (build, {})
    return type(part) is kind and all(getattr(part, key) == value for key, value in fixed.items())


def method_arguments(noise_method: str | None, noise_kwargs: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Name of a method -> what is set of its parameters, in the order of the names.

    Args:
        noise_method: a name of `METHODS`, or several joined by "+"; None for none.
        noise_kwargs: parameters by name; where several methods are named, `{"gce": {"q": 0.5}}` says whose they are.

    Raises:
        ValueError: an unknown method or parameter (with the nearest name), or one that several methods take.

    >>> method_arguments("co_teaching+gce", {"q": 0.5})
    {'co_teaching': {}, 'gce': {'q': 0.5}}
    """
    names = split_names(noise_method)
    arguments: dict[str, dict[str, Any]] = {name: {} for name in names}
    for key, value in (noise_kwargs or {}).items():
        takers = [name for name in names if key in METHODS[name].parameters]
        if key in names and isinstance(value, Mapping):
            arguments[key].update(value)
        elif len(takers) == 1:
            arguments[takers[0]][key] = value
        elif takers:
            raise ValueError(
                f"noise_kwargs: {key!r} is a parameter of {' and '.join(takers)}. "
                f'Say whose it is: {{"{takers[0]}": {{"{key}": {value!r}}}}}.'
            )
        else:
            _unknown_parameter(key, names)
    for name, given in arguments.items():
        for key in given.keys() - METHODS[name].parameters.keys():
            _unknown_parameter(key, [name])
    return arguments


def build_methods(noise_method: str | None, noise_kwargs: Mapping[str, Any] | None) -> list[Criterion | NoiseCallback]:
    """The criteria and callbacks of a name, with their parameters.

    Args:
        noise_method, noise_kwargs: as `method_arguments` takes them.

    Raises:
        ValueError: as `method_arguments`, or a parameter outside its domain.

    >>> build_methods("gce", {"q": 0.5})
    [GeneralizedCrossEntropy(q=0.5)]
    """
    return [METHODS[name].build(**given) for name, given in method_arguments(noise_method, noise_kwargs).items()]


def changed_parameters(noise_method: str | None, noise_kwargs: Mapping[str, Any] | None) -> str:
    """What is set of the parameters and is not their default, as JSON; more than 200 characters of it by a hash.

    >>> changed_parameters("elr+gce", {"q": 0.7, "lam": 2})
    '{"elr": {"lam": 2.0}}'
    """
    changed: dict[str, dict[str, Any]] = {}
    for name, given in method_arguments(noise_method, noise_kwargs).items():
        for key, value in given.items():
            set_to = _comparable(value)
            if set_to != _comparable(METHODS[name].parameters[key]):
                changed.setdefault(name, {})[key] = set_to
    text = json.dumps(changed, sort_keys=True, default=repr)
    return text if len(text) <= _LONGEST else hashlib.sha256(text.encode()).hexdigest()[:16]


def _comparable(value: Any) -> Any:
    """Equal where a method takes it for equal: 2 and 2.0, arrays, tuples and lists."""
    if hasattr(value, "tolist"):
        return _comparable(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): _comparable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_comparable(inner) for inner in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def choose_criterion(explicit: Criterion | None, built: Sequence[Criterion | NoiseCallback]) -> Criterion:
    """The one criterion of a training: given, named, or declared by a callback; cross-entropy if there is none.

    Raises:
        ValueError: there are two.
    """
    found = [explicit] if explicit is not None else []
    for part in built:
        criterion = part.criterion if isinstance(part, NoiseCallback) else part
        found += [criterion] if criterion is not None else []
    if len(found) > 1:
        raise ValueError(
            f"{len(found)} criteria: {', '.join(map(repr, found))}. Expected one: pass criterion=..., or name one in "
            "noise_method, or use one callback that brings its own."
        )
    return found[0] if found else CrossEntropy()


def check_methods(noise_method: str | None, noise_kwargs: Mapping[str, Any] | None) -> None:
    """Refuse a name and parameters that cannot be trained with, before anything is set up.

    Raises:
        ValueError, TypeError: as `build_methods`, `choose_criterion` and `check_roles`.
    """
    built = build_methods(noise_method, noise_kwargs)
    choose_criterion(None, built)
    check_roles([part for part in built if isinstance(part, NoiseCallback)])


def check_roles(callbacks: Sequence[NoiseCallback]) -> None:
    """Refuse two callbacks that would each undo what the other decides.

    Raises:
        ValueError: two of one role, or a noise channel with a method whose targets would not pass it.
    """
    taken: dict[str, NoiseCallback] = {}
    for callback in callbacks:
        for role in callback.roles:
            if role in taken:
                pair = f"{type(taken[role]).__name__} and {type(callback).__name__}"
                article = "an" if role[0] in "aeiou" else "a"
                raise ValueError(f"{pair}: both are {article} {role}. Expected one: leave one of them out.")
            taken[role] = callback
    channel = next((callback for callback in callbacks if isinstance(callback, LabelChannel)), None)
    believer = next((callback for callback in callbacks if callback.skips_channel), None)
    if channel is not None and believer is not None:
        raise ValueError(
            f"{type(believer).__name__} and {type(channel).__name__}: the targets of the first speak of the true class, so no "
            "label would pass the noise channel of the second. Leave one of them out."
        )


def _unknown_parameter(key: str, names: Sequence[str]) -> None:
    known = sorted({parameter for name in names for parameter in METHODS[name].parameters})
    if not names:
        raise ValueError(f"noise_kwargs: {key!r} is given, but no noise_method that could take it. Name the method.")
    method = "+".join(names)
    listed = nearest(key, known) if known else "It takes none."
    raise ValueError(f"noise_kwargs: {key!r} is no parameter of {method}. {listed}")
