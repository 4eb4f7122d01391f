"""Opens files: compressed or not, and text in whatever encoding."""

from __future__ import annotations

import codecs
import re
import sys
from pathlib import Path

import pyarrow as pa

from hf_noisy.data.reading.options import ReadingOptions, listed

COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}
SAMPLE = 1 << 18  # bytes of a file from which its encoding and dialect are found
_MARKS = (  # the longer marks first: that of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_USUAL = [  # what files are in; without this limit, rare ones are found where a common one fits
    *(f"cp125{k}" for k in range(9)),
    *("cp874", "iso8859_2", "iso8859_5", "iso8859_7", "iso8859_8", "iso8859_9", "koi8_r", "koi8_u"),
    *("gb18030", "big5", "cp932", "euc_jp", "cp949", "euc_kr", "cp850", "mac_roman"),
]
_FEW_BYTES = 60
_SHOWN = 6  # encodings that an error shows
_WESTERN = "cp1252"  # Latin-1 with printable characters in the range that Latin-1 leaves to controls


class Content:
    """The bytes of one file, and its name without the ending of a compression."""

    def __init__(self, where: str, name: str, data: bytes | pa.Buffer, path: Path | None = None) -> None:
        self.where, self.name, self.data = where, name, data
        self.path = path  # of a file that holds these bytes as they are

    @property
    def ending(self) -> str:
        """The ending of the name, such as ".csv"."""
        return Path(self.name).suffix.lower()

    def head(self, size: int = SAMPLE) -> bytes:
        """Return the first bytes."""
        return bytes(memoryview(self.data)[:size])


def content_of(path: Path) -> Content:
    """Return the bytes of a file, decompressed. A plain file is mapped into memory.

    Raises:
        ValueError: the file is empty, or not of the compression that its ending says.
    """
    compression = COMPRESSIONS.get(path.suffix.lower())
    if path.stat().st_size == 0:
        raise ValueError(f"{path}: the file is empty: expected a header and a line for each row.")
    if compression is None:
        with pa.memory_map(str(path)) as file:
            return Content(str(path), path.name, file.read_buffer(), path)
    try:
        with pa.input_stream(str(path), compression=compression) as file:
            return Content(str(path), path.stem, file.read())
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"{path}: not a whole {compression} file: {error}. Compress or copy it again.") from error


def standard_input() -> Content:
    """Return what the standard input holds."""
    data = sys.stdin.buffer.read()
    if not data:
        raise ValueError("-: the standard input is empty: expected a table. Pipe one into the command.")
    return Content("standard input", "-", data)


def encoding_of(content: Content, options: ReadingOptions, *, whole: bool = True) -> tuple[str, str]:
    """Return the encoding of a text file, and a note about it, which is empty for UTF-8.

    Args:
        content: the file.
        options: an encoding that is named is taken.
        whole: whether all of the file is looked at, or only its beginning.

    Raises:
        ValueError: the file is not in the encoding that was named, or several others are as likely. The message shows
            the first lines in each of them.
    """
    if options.encoding is not None:
        _check_encoding(content, options.encoding)
        return options.encoding, ""
    head = content.head()
    for mark, marked in _MARKS:
        if head.startswith(mark):
            return marked, "" if marked == "utf-8-sig" else f"encoding {marked.upper()}, by its mark"
    if name := _without_mark(head):
        return name, f"encoding {name.upper()}, which every second byte shows"
    if _is_utf8(content.data if whole else head, whole or len(head) < SAMPLE):
        return "utf-8", ""
    return _guessed(content, _some_foreign(content))


def decoded(content: Content, encoding: str) -> str:
    """Return the whole text of a file.

    Raises:
        ValueError: the file is not in this encoding.
    """
    try:
        return str(memoryview(content.data), encoding)
    except UnicodeDecodeError as error:
        raise ValueError(f"{content.where}: not in {encoding}: {error}. Name its encoding with encoding=.") from error


def _check_encoding(content: Content, encoding: str) -> None:
    try:
        codecs.getincrementaldecoder(encoding)().decode(content.head())
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{content.where}: encoding={encoding!r}: does not fit: {error}. Leave it out, to have it found."
        ) from error


def _is_utf8(data: bytes | pa.Buffer, final: bool) -> bool:
    decoder, view = codecs.getincrementaldecoder("utf-8")(), memoryview(data)
    step = 1 << 24
    try:
        for start in range(0, len(view), step):
            decoder.decode(view[start : start + step], final=final and start + step >= len(view))
    except UnicodeDecodeError:
        return False
    return True


def _without_mark(head: bytes) -> str | None:
    """Return UTF-16 without a mark, whose Latin letters have a zero as every second byte."""
    sample = head[:2000]
    zeros = [sample[start::2].count(0) / max(len(sample) // 2, 1) for start in (0, 1)]
    if max(zeros) > 0.3 and min(zeros) < 0.05:
        return "utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"
    return None


# What letters of Polish, Turkish and others look like if they are read as Windows-1252; in Western texts they are rare.
_ELSEWHERE = frozenset("\u00f0\u00fe\u00fd\u00d0\u00de\u00dd\u00b9\u00b3\u00bf\u00be\u00bc")


def _some_foreign(content: Content) -> bytes:
    """Return the lines that are not plain ASCII, as far as some hundred kilobytes hold them."""
    found: list[bytes] = []
    size = 0
    for line in bytes(memoryview(content.data)[: 1 << 26]).split(b"\n"):
        if not line.isascii():
            found.append(line)
            size += len(line)
        if size > SAMPLE:
            break
    return b"\n".join(found)


def _guessed(content: Content, sample: bytes) -> tuple[str, str]:
    from charset_normalizer import from_bytes

    matches = list(from_bytes(sample, cp_isolation=_USUAL))
    western = _tried(sample, _WESTERN)
    if not matches:
        if western is None:
            raise ValueError(
                f"{content.where}: is no text in an encoding that could be found. Name its encoding with encoding=, or export "
                "it as UTF-8."
            )
        return _WESTERN, "encoding Windows-1252 (it is not UTF-8)"
    best = matches[0]
    if western is not None and (str(best) == western or _is_western(sample, western)):
        return _WESTERN, "encoding Windows-1252 (it is not UTF-8)"
    if (
        western is not None
        and not _ELSEWHERE & set(western)
        and any(
            match.encoding == _WESTERN and match.chaos <= best.chaos + 0.02 and match.coherence >= best.coherence - 0.1
            for match in matches
        )
    ):
        return _WESTERN, "encoding Windows-1252 (it is not UTF-8)"
    rivals = [match for match in matches[1:] if str(match) != str(best)]
    sure = all(best.chaos + 0.02 < rival.chaos or best.coherence > rival.coherence + 0.04 for rival in rivals)
    few = sum(byte >= 128 for byte in sample) < _FEW_BYTES  # any language fits them
    if not sure or few or best.chaos > 0.2:
        names = list(
            dict.fromkeys([match.encoding for match in [best, *rivals][:_SHOWN]] + [_WESTERN] * (western is not None))
        )
        shown = "".join(
            f"\n  {name}: {' / '.join((_tried(sample, name) or '').splitlines()[:3])[:150]}" for name in names
        )
        raise ValueError(
            f"{content.where}: is not in UTF-8, and its encoding is not sure. Its first lines with other letters would be:{shown}\n"
            f"Name the right one with encoding=, as {listed(names)}."
        )
    return best.encoding, f"encoding {best.encoding} (it is not UTF-8)"


def _is_western(sample: bytes, western: str) -> bool:
    """Whether a text has only letters that Western and Central European encodings share, inside of words of ASCII."""
    if _tried(sample, "cp1250") != western:
        return False
    letters = re.findall(r"[^\W\d_]+", western)
    foreign = [word for word in letters if not word.isascii()]
    return bool(foreign) and sum(any(mark.isascii() for mark in word) for word in foreign) >= 0.5 * len(foreign)


def _tried(sample: bytes, encoding: str) -> str | None:
    try:
        return sample.decode(encoding)
    except UnicodeDecodeError:
        return None
