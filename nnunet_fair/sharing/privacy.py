"""Looking for patients in a model that is about to be shared: case IDs, metadata values, paths of this machine."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Collection, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from nnunet_fair.errors import UserError
from nnunet_fair.prediction.checkpoints import load_checkpoint
from nnunet_fair.sharing.secrets import Secrets

# Shorter texts than this occur by chance among the bytes of a model's weights.
_MIN_BYTES = 6
_PREFIX = 4
_ABSOLUTE_PATH = re.compile(r"(?:^|[\s\"'=(\[,])(?:/[^/\s\"',]+){2,}|(?:^|[\s\"'=(\[,])[A-Za-z]:[\\/]\w")
# Keys under which nnU-Net itself numbers channels or names layers: a case called 0 or conv is not meant there.
_NUMBERED_BY_FORMAT = {"channel_names", "modality", "foreground_intensity_properties_per_channel"}
_NAMED_BY_FORMAT = {"network_weights", "optimizer_state", "grad_scaler_state"}
_WORD_ENDS = r"[\s/\\\"'`,;:=()\[\]{}<>|]"


def find_in_texts(content: Any, secrets: Secrets, *, allowed: Collection[str] = ()) -> list[str]:
    """What a JSON-like content tells about patients or this machine.

    Args:
        content: nested dictionaries, lists and values; every text in it, keys too, is looked at. Numbers are not: a
            case called ``2000`` is found in a text, and not in a setting of 2000.
        secrets: what must not be there.
        allowed: texts that are no secret although the metadata has the same word (names of labels and channels).

    Returns:
        One sentence a finding, empty where there is none.
    """
    anywhere = _any_of({*secrets.case_ids, *secrets.dates}, "[A-Za-z0-9]", negated=True)
    rare = _any_of(secrets.rare_values, "[A-Za-z0-9]", negated=True)
    short = _any_of(secrets.short_ids, _WORD_ENDS, tail=r"(?:_\d{4})?(?:\.[A-Za-z][A-Za-z.]*)?")
    found = []
    for text, is_key_of_format in _texts(content):
        if text in allowed:
            continue
        if hit := _search(anywhere, text):
            kind = "the date" if hit.group() in secrets.dates else "the case ID"
            found.append(f"{kind} {hit.group()}")
        elif text in secrets.values:
            found.append(f"the metadata value {text!r}")
        elif hit := _search(None if is_key_of_format else rare, text):
            found.append(f"the metadata value {hit.group()!r}")
        elif hit := _search(None if is_key_of_format else short, text):
            found.append(f"the case ID {hit.group()}")
        elif path := _path_in(text, secrets):
            found.append(path)
    return list(dict.fromkeys(found))


def find_in_own_words(lines: Collection[str], secrets: Secrets) -> list[str]:
    """What a text of this program tells: long case IDs, dates and paths.

    Short case IDs and values of the metadata are ordinary words and numbers in sentences; they are looked for in what
    the sentences are made of.

    Args:
        lines: the text.
        secrets: what must not be there.
    """
    anywhere = _any_of({*secrets.case_ids, *secrets.dates}, "[A-Za-z0-9]", negated=True)
    found = [f"the case ID or date {hit.group()}" for line in lines if (hit := _search(anywhere, line))]
    return found + [path for line in lines if (path := _path_in(line, secrets))]


def _search(pattern: re.Pattern[str] | None, text: str) -> re.Match[str] | None:
    return pattern.search(text) if pattern else None


def _path_in(text: str, secrets: Secrets) -> str:
    """The finding where a text has a path of this machine, else nothing."""
    if _ABSOLUTE_PATH.search(text) or any(folder in text for folder in secrets.folders):
        return f"the path {text.strip()[:80]!r}"
    return ""


def _any_of(words: Collection[str], border: str, *, negated: bool = False, tail: str = "") -> re.Pattern[str] | None:
    """Any of the words, whatever their case, between the text's ends and what matches (or does not) ``border``."""
    if not words:
        return None
    longest_first = sorted(words, key=len, reverse=True)
    alternatives = "|".join(map(re.escape, longest_first))
    before, after = (rf"(?<!{border})", rf"(?!{border})") if negated else (rf"(?:^|(?<={border}))", rf"(?={border}|$)")
    return re.compile(rf"{before}(?:{alternatives}){tail}{after}", re.IGNORECASE)


def _texts(content: Any, parent: str = "") -> Iterator[tuple[str, bool]]:
    """Every text, and whether it is a key that the format gives and no person."""
    if isinstance(content, str):
        yield content, False
    elif isinstance(content, Mapping):
        for key, value in content.items():
            if isinstance(key, str):
                yield key, parent in _NAMED_BY_FORMAT or (parent in _NUMBERED_BY_FORMAT and key.isdigit())
            elif isinstance(key, tuple):
                yield from _texts(key)
            yield from _texts(value, parent if parent in _NAMED_BY_FORMAT else str(key))
    elif isinstance(content, (list, tuple, set, frozenset)):
        for value in content:
            yield from _texts(value, parent)


def find_in_bytes(data: bytes, secrets: Secrets) -> list[str]:
    """Case IDs and dates (as they are, in upper and in lower case) and folders of this machine in a file's bytes."""
    wanted: dict[bytes, set[bytes]] = {}
    for text in (*secrets.case_ids, *secrets.dates, *secrets.folders):
        for variant in {text, text.upper(), text.lower()}:
            encoded = variant.encode(errors="surrogateescape")
            if len(encoded) >= _MIN_BYTES:
                wanted.setdefault(encoded[:_PREFIX], set()).add(encoded)
    found = []
    # Case IDs share few beginnings: a fast search for those, and a closer look only where one occurs.
    for prefix, texts in wanted.items():
        start = data.find(prefix)
        while start >= 0:
            found += [text.decode(errors="replace") for text in texts if data.startswith(text, start)]
            start = data.find(prefix, start + 1)
    return sorted(set(found))


def check_archive(path: Path, secrets: Secrets, *, allowed: Collection[str] = ()) -> int:
    """Search every file of a model's zip, checkpoints opened and all, names of the files included.

    Args:
        path: the zip.
        secrets: what must not be there.
        allowed: see :func:`find_in_texts`.

    Returns:
        How many files were searched.

    Raises:
        UserError: something was found; it names the file.
    """
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        found = [(name, finding) for name in names for finding in find_in_own_words([name], secrets)]
        for name in names:
            data = archive.read(name)
            found += [(name, finding) for finding in find_in_bytes(data, secrets)]
            found += [(name, finding) for finding in _find_inside(name, data, secrets, allowed)]
    if found:
        name, finding = found[0]
        raise UserError(
            f"not exported: {name} holds {finding} ({len(found)} findings in all); nothing was written. Take it out of "
            "the trained model's file of that name, then export again"
        )
    return len(names)


def _find_inside(name: str, data: bytes, secrets: Secrets, allowed: Collection[str]) -> list[str]:
    if name.endswith(".json"):
        return find_in_texts(json.loads(data), secrets, allowed=allowed)
    if name.endswith(".pth"):
        return find_in_texts(load_checkpoint(BytesIO(data), name=name), secrets, allowed=allowed)
    if name.endswith(".md"):
        return find_in_own_words(data.decode().splitlines(), secrets)
    return []
