"""Ways to damage a file: bytes, a JSON value, a part of a zip archive."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import numpy as np

ODD = (
    *(None, True, -1, 0, 1e308, 10**400, -50, 1e30, "", "NaN", "\ud800", "a\x00b", "=1+1", "$x^{", "<script>"),
    *([], {}, [[]], [None], {"a": {}}, ["x"] * 3, [1, 2], "9" * 5000),
)
"""Values that no reader expects."""

_PIECES = (b'"', b",", b"\n", b"\r", b"[" * 3000, b"\x00", b"'", b";", b"\xff\xfe", b"\t", b"9" * 5000, b"\\ud800")
_XML_PIECES = (b"</c>", b"<f>", b"&#0;", b'r="A0"', b't="e"', b'r="XFD1048576"', b'ref="A1:XFD1048576"', b"<row/>")
_SHEET = "xl/worksheets/sheet1.xml"


def damaged_bytes(sound: bytes, rng: np.random.Generator, pieces: tuple[bytes, ...] = _PIECES) -> bytes:
    """A file with one to four places cut, lost, doubled, moved, changed, or with something put in.

    Args:
        sound: the file.
        rng: decides.
        pieces: what is put in.
    """
    data = bytearray(sound)
    for _ in range(int(rng.integers(1, 5))):
        place = int(rng.integers(len(data) + 1))
        kind = rng.integers(7)
        if kind == 0:
            del data[place:]
        elif kind == 1:
            data[place:place] = bytes(rng.integers(0, 256, size=int(rng.integers(1, 6)), dtype=np.uint8))
        elif kind == 2 and place < len(data):
            data[place] = int(rng.integers(256))
        elif kind == 3:
            del data[place : place + int(rng.integers(1, 12))]
        elif kind == 4:
            data[place:place] = pieces[rng.integers(len(pieces))]
        elif kind == 5:
            data = data[place:] + data[:place]
        else:
            data += data[place:]
    return bytes(data)


def damaged_json(sound: bytes, rng: np.random.Generator) -> bytes:
    """A JSON file with odd values in it, a name twice, or damaged as bytes."""
    kind = rng.random()
    if kind < 0.4:
        return damaged_bytes(sound, rng)
    if kind < 0.5:  # JSON allows a name twice, and Python takes the second without a word
        opened = [k for k, sign in enumerate(sound) if sign == ord("{")]
        place = opened[rng.integers(len(opened))] + 1 if opened else 0
        end = sound.find(b",", place)
        return sound[:place] + sound[place : end + 1] + sound[place:]
    content = json.loads(sound)
    for _ in range(int(rng.integers(1, 3))):
        content = _changed(content, rng)
    return json.dumps(content).encode(errors="surrogatepass")


def damaged_workbook(sound: bytes, rng: np.random.Generator) -> bytes:
    """An ``.xlsx`` file damaged as bytes, or with one of its parts damaged, most often the sheet."""
    if rng.random() < 0.3:
        return damaged_bytes(sound, rng)
    with zipfile.ZipFile(io.BytesIO(sound)) as archive:
        parts = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    name = _SHEET if rng.random() < 0.6 else list(parts)[rng.integers(len(parts))]
    kind = rng.random()
    if kind < 0.05:
        del parts[name]
    elif kind < 0.1:
        parts[name] = b" " * (1 << 22) + parts[name]  # packs to nothing
    else:
        parts[name] = damaged_bytes(parts[name], rng, _XML_PIECES)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for part, content in parts.items():
            archive.writestr(part, content)
    return buffer.getvalue()


def _changed(content: Any, rng: np.random.Generator) -> Any:
    """A JSON value with one place changed."""
    if isinstance(content, dict) and content and rng.random() < 0.8:
        key = list(content)[rng.integers(len(content))]
        kind = rng.random()
        if kind < 0.15:
            return {name: value for name, value in content.items() if name != key}
        if kind < 0.25:
            return content | {str(ODD[13]): _odd(rng)}
        return content | {key: _changed(content[key], rng)}
    if isinstance(content, list) and content and rng.random() < 0.8:
        place = int(rng.integers(len(content)))
        if rng.random() < 0.2:
            return content[:place] + content[place + 1 :]
        return [*content[:place], _changed(content[place], rng), *content[place + 1 :]]
    return _odd(rng)


def _odd(rng: np.random.Generator) -> Any:
    return ODD[int(rng.integers(len(ODD)))]
