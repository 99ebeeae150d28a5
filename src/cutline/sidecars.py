"""`--sidecar`: captions as text files beside the photos."""

from __future__ import annotations

import hashlib
import json
import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cutline.atomic_files import output_errors, remove_leftovers, replacement, write_all
from cutline.text_files import decode


class Sidecars:
    """Writes photo.jpg's captions into photo.txt, but never over a text that a person wrote.

    A hidden file in the folder (LEDGER) holds the hash of each text that Cutline wrote; a text with another
    hash is a person's. The ledger is written first, so that a kill in between leaves no unknown text.
    """

    LEDGER = ".cutline-sidecars.jsonl"
    _FOLDERS_IN_MEMORY = 16

    def __init__(self, *, overwrite: bool) -> None:
        self._overwrite = overwrite
        self._folders: OrderedDict[str, dict[str, dict[str, str]]] = OrderedDict()

    def write(self, photo: str, texts: Sequence[str]) -> str | None:
        """Write the captions, one per line; return the sidecar's path, or None if a person's text stayed."""
        folder, name = os.path.split(photo)
        data = "".join(f"{text}\n" for text in texts).encode("utf-8")
        digest = hashlib.sha256(data).hexdigest()
        remove_leftovers(folder)
        with output_errors(os.path.join(folder, os.path.splitext(name)[0] + ".txt")):
            ours = self._ours(folder)
            sidecar = self._name_for(folder, name, ours)
            path = os.path.join(folder, sidecar)
            if not self._overwrite and os.path.lexists(path):
                existing = _digest_of(path)
                if existing == digest and existing in ours.get(sidecar, {}):
                    return path
                if existing not in ours.get(sidecar, {}) and not _is_blank(path):
                    return None
            self._enter(folder, sidecar, digest, name)
            remove_leftovers(os.path.dirname(os.path.realpath(path)))
            with replacement(path) as temporary:
                Path(temporary).write_bytes(data)
            return path

    def _name_for(self, folder: str, photo: str, ours: Mapping[str, Mapping[str, str]]) -> str:
        """photo.txt; photo.png.txt where photo.txt is already another photo's, or is the photo itself."""
        short = os.path.splitext(photo)[0] + ".txt"
        owners = set(ours.get(short, {}).values()) - {photo}
        taken = any(os.path.lexists(os.path.join(folder, owner)) for owner in owners)
        return f"{photo}.txt" if short == photo or taken else short

    def _ours(self, folder: str) -> dict[str, dict[str, str]]:
        """sidecar -> {hash of a text that we wrote there: the photo}."""
        if folder not in self._folders:
            entries: dict[str, dict[str, str]] = {}
            for entry in _ledger_entries(os.path.join(folder, self.LEDGER)):
                entries.setdefault(entry["sidecar"], {})[entry["sha256"]] = entry["photo"]
            self._folders[folder] = entries
            if len(self._folders) > self._FOLDERS_IN_MEMORY:
                self._folders.popitem(last=False)
        self._folders.move_to_end(folder)
        return self._folders[folder]

    def _enter(self, folder: str, sidecar: str, digest: str, photo: str) -> None:
        if self._ours(folder).get(sidecar, {}).get(digest) == photo:
            return
        entry = json.dumps({"sidecar": sidecar, "photo": photo, "sha256": digest}).encode()
        with open(os.path.join(folder, self.LEDGER), "ab", buffering=0) as file:
            # The leading line end separates the entry from an incomplete one of a killed run.
            write_all(file, b"\n" + entry + b"\n" if file.tell() else entry + b"\n")
        self._ours(folder).setdefault(sidecar, {})[digest] = photo


def _ledger_entries(path: str) -> Iterator[dict[str, str]]:
    try:
        with open(path, "rb") as file:
            for raw in file:
                try:
                    entry = json.loads(raw)
                except ValueError:  # empty or torn: then its text was never written
                    continue
                if isinstance(entry, dict) and {"sidecar", "photo", "sha256"} <= entry.keys():
                    yield entry
    except FileNotFoundError:
        return


def _is_blank(path: str) -> bool:
    """Whether it is a file without any text: empty, or a byte order mark alone, as Notepad writes it."""
    try:
        return os.path.isfile(path) and not decode(Path(path).read_bytes()).strip()
    except (OSError, UnicodeDecodeError):
        return False


def _digest_of(path: str) -> str | None:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:  # a dangling link, a folder, not readable: nothing that we wrote
        return None
