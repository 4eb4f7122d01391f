"""Vectors of the texts of a corpus, by a frozen encoder or from words, stored on disk so that each is computed once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from hf_noisy.data.pairs import Text, all_texts
from hf_noisy.evidence.features.frozen import latent_semantic_vectors, mean_vectors
from hf_noisy.evidence.features.words import word_splitter

_DIGEST = 16  # bytes of the hash of a text
_CONTENT = (".safetensors", ".bin", ".json", ".txt", ".model", ".vocab")  # files that decide what an encoder computes


class VectorStore:
    """Computes vectors of texts, and keeps them in files of one folder, which several processes may share.

    With an encoder, each text is encoded once, whatever the corpus, seed or run. Without one, vectors are word features
    (`latent_semantic_vectors`) of the texts that are asked for together.

    Args:
        folder: where the files are; None keeps nothing.
        model: name or folder of a pretrained encoder; None for word features.
        max_length: maximum number of tokens of a text; longer texts are truncated. It does not apply to words.
    """

    def __init__(self, folder: str | Path | None, model: str | None, max_length: int) -> None:
        self.model, self.max_length = model, max_length
        key = "words" if model is None else f"{_short(model_fingerprint(model))}-{max_length}"
        self.folder = None if folder is None else Path(folder) / key

    def vectors(self, texts: Sequence[Text]) -> np.ndarray:
        """Returns (texts, width) float32. `texts` are distinct; those that no file holds are computed and stored."""
        return self._of_words(texts) if self.model is None else self._of_encoder(texts)

    def _of_words(self, texts: Sequence[Text]) -> np.ndarray:
        splitter = word_splitter(all_texts(texts))
        ways = "" if splitter is None else f"-{_short(splitter.said)}"  # another segmenter finds other words
        path = None if self.folder is None else self.folder / f"{_short(*texts)}{ways}.safetensors"
        if path is not None and path.is_file():
            return load_file(path)["vectors"]
        vectors = latent_semantic_vectors(texts).astype(np.float32)
        if path is not None:
            _write(path, {"vectors": vectors})
        return vectors

    def _of_encoder(self, texts: Sequence[Text]) -> np.ndarray:
        digests = [_digest(text) for text in texts]
        found = self._stored(set(digests))
        missing = [row for row, digest in enumerate(digests) if digest not in found]
        if missing:
            assert self.model is not None
            computed = encode([texts[row] for row in missing], self.model, self.max_length)
            new = dict(zip((digests[row] for row in missing), computed, strict=True))
            if self.folder is not None:
                keys = np.frombuffer(b"".join(new), np.uint8).reshape(-1, _DIGEST)
                path = self.folder / f"{hashlib.sha256(keys.tobytes()).hexdigest()[:16]}.safetensors"
                _write(path, {"texts": keys, "vectors": computed})
            found |= new
        return np.stack([found[digest] for digest in digests])

    def _stored(self, wanted: set[bytes]) -> dict[bytes, np.ndarray]:
        """Returns the vectors of the `wanted` texts that are stored."""
        found: dict[bytes, np.ndarray] = {}
        for path in sorted(self.folder.glob("*.safetensors")) if self.folder is not None else ():
            part = load_file(path)
            for key, vector in zip(part["texts"], part["vectors"], strict=True):
                if key.tobytes() in wanted:
                    found[key.tobytes()] = vector
        return found


def encode(texts: Sequence[Text], model: str, max_length: int) -> np.ndarray:
    """Returns (texts, width) float32 mean last hidden states of a pretrained encoder, on the accelerator if there is one."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    encoder, tokenizer = AutoModel.from_pretrained(model), AutoTokenizer.from_pretrained(model)
    if torch.accelerator.is_available():
        encoder.to(torch.accelerator.current_accelerator())
    return mean_vectors(encoder, tokenizer, texts, max_length=max_length)


@cache
def model_fingerprint(model: str) -> str:
    """Returns a hash of the files of a model folder, or the name and version of a model on the Hub."""
    folder = Path(model)
    if not folder.is_dir():
        from transformers import AutoConfig

        return f"{model} {getattr(AutoConfig.from_pretrained(model), '_commit_hash', None)}"
    whole = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.suffix in _CONTENT):
        whole.update(path.name.encode())
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()


def _write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes a file so that other processes see the whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.unfinished")
    save_file(arrays, unfinished)
    os.replace(unfinished, path)


def _digest(text: Text) -> bytes:
    """Hash of a text or a pair. A pair has another hash than any single text, its two texts joined included."""
    if isinstance(text, str):
        return hashlib.blake2b(text.encode(), digest_size=_DIGEST).digest()
    parts = [part.encode() for part in text]
    whole = b"".join(len(part).to_bytes(8, "little") + part for part in parts)
    return hashlib.blake2b(whole, digest_size=_DIGEST, person=b"pair").digest()


def _short(*texts: Text) -> str:
    whole = hashlib.sha256()
    for text in texts:
        whole.update(_digest(text))
    return whole.hexdigest()[:16]
