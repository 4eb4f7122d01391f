"""What README says works with `NoisyTrainer`, one test each; and what a new user gets wrong first."""

from __future__ import annotations

import json
import re
import socket
import warnings

import datasets
import numpy as np
import pandas as pd
import pytest
import torch
from conftest import ONE_STEP, flat_weights, gradient, make_trainer, relative_difference, tiny_model, token_dataset
from transformers import AutoModelForSequenceClassification, BertConfig, BertForSequenceClassification, BertModel

from hf_noisy import ClassWeights, CoTeaching, NoiseCallback, NoisyTrainer, compute_metrics, load_corpus
from hf_noisy.corpora.reviews import generate_reviews
from hf_noisy.corpora.small_encoder import small_encoder

REVIEWS = generate_reviews(24, seed=0)
NAMES = ["bad", "good"]


@pytest.fixture(scope="module")
def tokenizer():
    return small_encoder(REVIEWS["text"])[1]


def text_model(tokenizer, classes: int = 2) -> BertForSequenceClassification:
    torch.manual_seed(0)
    return BertForSequenceClassification(text_config(tokenizer, num_labels=classes))


def text_config(tokenizer, **config) -> BertConfig:
    return BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=128,
        pad_token_id=tokenizer.pad_token_id,
        **config,
    )


def tokenized(rows: datasets.Dataset, tokenizer, *columns: str) -> datasets.Dataset:
    return rows.map(
        lambda row: tokenizer(*(row[name] for name in columns), truncation=True, return_token_type_ids=True),
        batched=True,
    )


# ---- models


def test_an_adapter_of_peft_learns_and_its_base_does_not(tmp_path):
    pytest.importorskip("peft")
    from test_precision import lora_model

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PEFT reads a property that Transformers is to rename
        trainer = make_trainer(tmp_path, model=lora_model(), noise_method="gce")
        before = {name: weight.detach().clone() for name, weight in trainer.model.named_parameters()}
        trainer.train()
    changed = {name for name, weight in trainer.model.named_parameters() if not torch.equal(weight, before[name])}
    assert changed
    assert changed <= {name for name, weight in trainer.model.named_parameters() if weight.requires_grad}


@pytest.mark.parametrize("method", ["gce", "co_teaching", "neighbours"])
def test_a_head_learns_on_a_frozen_encoder(tmp_path, method):
    model = tiny_model()
    model.base_model.requires_grad_(False)
    body, head = flat_weights(model.base_model), flat_weights(model.classifier)
    trainer = make_trainer(tmp_path, model=model, noise_method=method)
    trainer.train()
    for network in trainer.noise.networks:
        assert torch.equal(flat_weights(network.base_model), body)
        assert not torch.equal(flat_weights(network.classifier), head)


def sentence_transformer(folder, tokenizer) -> BertModel:
    """A folder as `SentenceTransformer.save` writes it: the body in the root, the pooling in a folder of its own."""
    torch.manual_seed(1)
    body = BertModel(text_config(tokenizer))
    body.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "1_Pooling").mkdir()
    kinds = ["Transformer", "Pooling", "Normalize"]
    paths = ["", "1_Pooling", "2_Normalize"]
    modules = [
        {"idx": k, "name": str(k), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for k, (kind, path) in enumerate(zip(kinds, paths, strict=True))
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 128, "do_lower_case": false}')
    (folder / "1_Pooling" / "config.json").write_text(
        '{"word_embedding_dimension": 16, "pooling_mode_mean_tokens": true}'
    )
    return body


def test_the_body_of_a_sentence_transformer_gets_a_head_and_is_saved_as_a_classifier(tmp_path, tokenizer):
    body = sentence_transformer(tmp_path / "body", tokenizer) if not (tmp_path / "body").mkdir() else None
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "body", num_labels=2)
    assert torch.equal(flat_weights(model.base_model), flat_weights(body))
    rows = tokenized(REVIEWS.select_columns(["text", "gold"]).rename_column("gold", "label"), tokenizer, "text")
    trainer = make_trainer(tmp_path, rows, model=model, processing_class=tokenizer, noise_method="neighbours+gce")
    trainer.train()
    trainer.save_model(str(tmp_path / "out"))
    saved = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    assert torch.equal(flat_weights(saved), flat_weights(trainer.model))
    assert not torch.equal(flat_weights(saved.base_model), flat_weights(body))


# ---- data


def test_batches_of_like_length_have_less_padding(tmp_path, tokenizer):
    class Padding(NoiseCallback):
        def setup(self, context):
            self.padding = 0

        def views(self, inputs, batch):
            self.padding += int((inputs["attention_mask"] == 0).sum())
            return [inputs]

    rows = generate_reviews(60, seed=1).select_columns(["text", "gold"]).rename_column("gold", "label")
    found = {}
    for strategy in ("random", "group_by_length"):
        watch = Padding()
        make_trainer(
            tmp_path,
            tokenized(rows, tokenizer, "text"),
            model=text_model(tokenizer),
            processing_class=tokenizer,
            callbacks=[watch],
            train_sampling_strategy=strategy,
        ).train()
        found[strategy] = watch.padding
    assert 0 < found["group_by_length"] < found["random"] / 2


def frame() -> pd.DataFrame:
    table = pd.DataFrame({"text": REVIEWS["text"][:], "label": [NAMES[k] for k in REVIEWS["gold"]]})
    return table[table.index % 5 > 0]  # its index has holes, so `from_pandas` adds a column


@pytest.mark.parametrize("source", ["frame", "csv", "corpus"])
def test_a_data_frame_and_a_csv_file_train_and_name_the_classes(tmp_path, tokenizer, source):
    frame().to_csv(tmp_path / "reviews.csv", index=False)
    if source == "frame":
        rows = datasets.Dataset.from_pandas(frame())
        assert "__index_level_0__" in rows.column_names
    elif source == "csv":
        rows = datasets.Dataset.from_csv(str(tmp_path / "reviews.csv"), cache_dir=str(tmp_path / "cache"))
    else:
        corpus = load_corpus(tmp_path / "reviews.csv", label_column="label")
        assert corpus.class_names == ("bad", "good")
        names = [corpus.class_names[votes[0]] for votes in corpus.train["weak_labels"]]
        rows = corpus.train.add_column("label", names)
    model = text_model(tokenizer)
    trainer = make_trainer(tmp_path, tokenized(rows, tokenizer, "text"), model=model, processing_class=tokenizer)
    trainer.train()
    assert trainer.model.config.id2label == {0: "bad", 1: "good"}
    assert trainer.noise.labels.tolist() == [NAMES.index(name) for name in frame()["label"]]


@pytest.mark.parametrize("method", ["gce", "dividemix", "selfmix", "consistency", "neighbours"])
def test_pairs_of_sentences_train(tmp_path, tokenizer, method):
    premises, hypotheses = REVIEWS["text"][:12], REVIEWS["text"][12:24]
    rows = datasets.Dataset.from_dict({"premise": premises, "hypothesis": hypotheses, "label": [0, 1, -1, 1] * 3})
    rows = tokenized(rows, tokenizer, "premise", "hypothesis")
    assert {0, 1} == set(rows[0]["token_type_ids"])
    settings = {"noise_kwargs": {"warmup_epochs": 1}} if method in ("dividemix", "selfmix") else {}
    torch.manual_seed(0)
    trainer = make_trainer(
        tmp_path,
        rows,
        model=BertForSequenceClassification(text_config(tokenizer, hidden_dropout_prob=0.1)),
        processing_class=tokenizer,
        noise_method=method,
        **settings,
    )
    before = trainer.noise.networks[0].base_model.embeddings.token_type_embeddings.weight.detach().clone()
    assert np.isfinite(trainer.train().training_loss)
    after = trainer.noise.networks[0].base_model.embeddings.token_type_embeddings.weight
    assert (after != before).any(-1).all()  # both types were seen


@pytest.mark.parametrize("form", ["names", "ClassLabel", "ids"])
def test_labels_as_names_as_a_class_label_and_as_ids_are_the_same_labels(tmp_path, form):
    ids = [0, 1, 1, 0, 1, 0]
    rows = token_dataset(6, ids)
    if form == "names":
        rows = token_dataset(6, [NAMES[k] for k in ids])
    elif form == "ClassLabel":
        rows = rows.cast_column("labels", datasets.ClassLabel(names=NAMES))
    trainer = make_trainer(tmp_path, rows, model=tiny_model(2), eval_dataset=rows, compute_metrics=compute_metrics)
    trainer.train()
    assert trainer.noise.labels.tolist() == ids
    assert 0 <= trainer.evaluate()["eval_accuracy"] <= 1
    assert trainer.model.config.id2label[0] == ("LABEL_0" if form == "ids" else "bad")


# ---- classes of unequal size


def test_class_weights_give_the_gradient_of_weighted_cross_entropy(tmp_path):
    dataset, weights = token_dataset(12, [0, 0, 0, 0, 0, 1, 1, -1, 2, 0, 0, 1]), [0.5, 2.0, 4.0]
    model = tiny_model()
    logits = model(**{k: torch.tensor(v) for k, v in dataset.to_dict().items() if k != "labels"}).logits
    labels = torch.tensor(dataset["labels"][:]).where(torch.tensor(dataset["labels"][:]) >= 0, -100)
    total = torch.nn.functional.cross_entropy(logits, labels, torch.tensor(weights), reduction="sum")
    (total / 12).backward()
    expected = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    found = gradient(
        tmp_path,
        dataset,
        callbacks=[ClassWeights(weights)],
        per_device_train_batch_size=4,
        gradient_accumulation_steps=3,
    )
    assert relative_difference(found, expected) < 1e-6


def test_balanced_weights_are_those_of_scikit_learn_and_their_mean_is_one(tmp_path):
    from sklearn.utils.class_weight import compute_class_weight

    labels = [0] * 14 + [1] * 5 + [-1]
    weights = ClassWeights()
    make_trainer(tmp_path, token_dataset(20, labels), callbacks=[weights], num_train_epochs=1).train()
    expected = compute_class_weight("balanced", classes=np.array([0, 1]), y=np.array(labels[:-1])) * 2 / 3
    assert weights.of_class.tolist() == pytest.approx([*expected, 1.0])  # of three classes one has no row
    soft = ClassWeights()
    rows = [[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    trainer = make_trainer(tmp_path, token_dataset(3, rows), callbacks=[soft], num_train_epochs=1)
    trainer.train()
    assert soft.of_class.tolist() == pytest.approx([2 / (3 * 1.5), 2 / (3 * 0.5), 1.0])
    found = trainer.example_report()["weight"][:2]
    assert found == pytest.approx([2 / 3 * (1 / 1.5 + 1 / 0.5) / 2, 2 / (3 * 1.5)])


def test_a_rare_class_is_heard_beside_a_method_that_chooses(tmp_path):
    trainer = make_trainer(
        tmp_path,
        token_dataset(40, ([0] * 9 + [1]) * 4),
        model=tiny_model(2),
        callbacks=[ClassWeights(), CoTeaching(forget_rate=[0.2, 0.0])],
    )
    trainer.train()
    report = trainer.example_report().to_pandas()
    weight = report["weight"].apply(max)
    assert weight[report["label"] == 1].min() > weight[report["label"] == 0].max()


def test_a_row_without_a_label_weighs_as_the_class_that_it_is_taught():
    from types import SimpleNamespace

    weights = ClassWeights([1.0, 3.0])
    weights.setup(SimpleNamespace(classes=2, device="cpu", labels=torch.tensor([0, -1])))
    taught = torch.tensor([[[0.0, 1.0], [0.25, 0.75]]])  # another class than the given one; a guess
    seen = SimpleNamespace(covered=torch.tensor([True, False]), given=torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    supervision = SimpleNamespace(targets=taught, weighted=lambda factor: factor)
    assert weights.supervise(supervision, None, seen).tolist() == [[1.0, 2.5]]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("balance", "weights='balance': expected 'balanced'"),
        ([1, -1], "at least 0"),
        ([0, 0], "not all 0"),
        (None, "weights=None: expected 'balanced'"),
        ([float("nan"), 1], "finite"),
    ],
)
def test_wrong_class_weights_are_refused(weights, message):
    with pytest.raises((ValueError, TypeError), match=message):
        ClassWeights(weights)


def test_class_weights_of_another_number_of_classes_are_refused_before_the_first_step(tmp_path):
    with pytest.raises(ValueError, match=r"weights=\[1.0, 2.0\]: expected 3 numbers"):
        make_trainer(tmp_path, callbacks=[ClassWeights([1, 2])]).train()


# ---- tools


def test_the_metrics_of_evaluate_are_counted_without_the_network(tmp_path, monkeypatch):
    def offline(*args, **kwargs):
        raise AssertionError("something looks for the network")

    monkeypatch.setattr(socket.socket, "connect", offline)
    trainer = make_trainer(tmp_path, eval_dataset=token_dataset(12), compute_metrics=compute_metrics)
    found = trainer.evaluate()
    assert found["eval_accuracy"] == pytest.approx(found["eval_label_accuracy"])


@pytest.mark.slow
def test_optuna_searches_over_methods_their_parameters_and_the_number_of_networks(tmp_path):
    trained = []

    class Watch(NoiseCallback):
        def setup(self, context):
            trained.append((trainer.args.noise_method, context.networks, repr(context.criterion)))

    trainer = make_trainer(
        tmp_path,
        model_init=lambda: tiny_model(),
        eval_dataset=token_dataset(9),
        compute_metrics=compute_metrics,
        num_train_epochs=1,
        callbacks=[Watch()],
    )
    space = iter([("gce", {"q": 0.5}), ("co_teaching", {"forget_rate": 0.2})])

    def suggest(trial):
        method, parameters = next(space)
        rate = trial.suggest_float("learning_rate", 1e-3, 1e-2)
        return {"noise_method": method, "noise_kwargs": parameters, "learning_rate": rate}

    best = trainer.hyperparameter_search(suggest, n_trials=2, direction="maximize", backend="optuna")
    assert trained == [("gce", 1, "GeneralizedCrossEntropy(q=0.5)"), ("co_teaching", 2, "CrossEntropy()")]
    assert 0 <= best.objective <= 2  # accuracy and F1; `eval_label_accuracy` is no metric of the user's


def test_a_search_without_metrics_of_the_users_goes_by_the_evaluation_loss(tmp_path):
    trainer = make_trainer(tmp_path, model_init=lambda: tiny_model(), eval_dataset=token_dataset(9), num_train_epochs=1)
    best = trainer.hyperparameter_search(lambda trial: {}, n_trials=1, backend="optuna")
    assert best.objective == next(entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry)


# ---- what a new user gets wrong first


MISTAKES = {
    "a label column of another name": (
        lambda: (token_dataset(6).rename_column("labels", "sentiment"), tiny_model()),
        "train_dataset has no label column: expected one of labels, label, label_ids, found input_ids, attention_mask, "
        "sentiment. Rename yours with dataset.rename_column(..., 'labels')",
    ),
    "labels that start at 1": (
        lambda: (token_dataset(6, [1, 2, 3] * 2), tiny_model()),
        "train_dataset, row 2: label 3: expected a class in [0, 3), or -1 or -100 to abstain (your labels start at 1: "
        "subtract 1).",
    ),
    "no num_labels": (
        lambda: (token_dataset(6, [0, 1, 2] * 2), tiny_model(2)),
        "train_dataset, row 2: label 2: expected a class in [0, 2), or -1 or -100 to abstain (load the model with "
        "num_labels=3).",
    ),
    "no num_labels, and labels that are names": (
        lambda: (token_dataset(6, ["bad", "fair", "good"] * 2), tiny_model(2)),
        "The labels have 3 names, the model num_labels=2: load it with num_labels=3 and label2id={name: id}.",
    ),
    "no num_labels, and a ClassLabel": (
        lambda: (token_dataset(6, [0, 1, 2] * 2).cast_column("labels", datasets.ClassLabel(names=list("abc"))), tiny_model(2)),
        "train_dataset, row 2: label 2: expected a class in [0, 2), or -1 or -100 to abstain (load the model with "
        "num_labels=3).",
    ),
    "text that is not tokenized": (
        lambda: (datasets.Dataset.from_dict({"text": ["a", "b"], "label": [0, 1]}), tiny_model(2)),
        "train_dataset has columns text, label: expected tokenized text in 'input_ids'. Tokenize first",
    ),
    "a data frame": (
        lambda: (token_dataset(6).to_pandas(), tiny_model()),
        "train_dataset is a DataFrame: expected rows that have a number and a length. Pass datasets.Dataset.from_pandas(...)",
    ),
    "all splits at once": (
        lambda: (datasets.DatasetDict(train=token_dataset(6), test=token_dataset(6)), tiny_model()),
        "train_dataset is a DatasetDict of train, test: expected rows that have a number and a length. Pass one split",
    ),
    "an encoder without a head": (
        lambda: (token_dataset(6), tiny_model().base_model),
        "model is a BertModel, which has no classification head: expected one. Load it with",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_first_mistake_is_met_with_what_to_do(tmp_path, mistake):
    make, message = MISTAKES[mistake]
    rows, model = make()
    with pytest.raises((ValueError, TypeError), match=re.escape(message)):
        make_trainer(tmp_path, rows, model=model)


def test_the_tokenizer_by_its_former_name_is_told_the_new_one(tmp_path, tokenizer):
    args = make_trainer(tmp_path).args
    with pytest.raises(TypeError, match="expected processing_class=..., as for the Trainer of Transformers 5"):
        NoisyTrainer(text_model(tokenizer), args, train_dataset=token_dataset(6, [0, 1] * 3), tokenizer=tokenizer)


def test_texts_of_unequal_length_without_a_tokenizer_are_told_to_pass_it(tmp_path, tokenizer):
    rows = tokenized(REVIEWS.select_columns(["text", "gold"]).rename_column("gold", "label"), tokenizer, "text")
    with pytest.raises(ValueError, match="Pass the tokenizer: processing_class=tokenizer"):
        make_trainer(tmp_path, rows, model=text_model(tokenizer))


def test_a_wrong_eval_column_is_told_too(tmp_path):
    with pytest.raises(ValueError, match=r"eval_dataset.*label 3: expected a class in \[0, 3\)"):
        make_trainer(tmp_path, eval_dataset=token_dataset(3, [1, 2, 3]), **ONE_STEP)
