"""What a generation of the index was built from and the digest of every file in it, as its manifest.json tells."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ragbot.errors import IndexBrokenError, IndexMismatchError

FORMAT = 4
NAME = "manifest.json"


@dataclass(frozen=True, slots=True)
class Manifest:
    """The sha256 of the model, of the policy and of each article by its id, and the versions of chunker and format; two equal manifests
    mean equal content."""

    embedder: str
    chunker: int
    policy: str
    documents: Mapping[str, str]
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class Description:
    """A manifest, how many vectors were taken out of the graph since it was last built whole, and the sha256 of every other file of the
    generation by its path in the folder."""

    manifest: Manifest
    gaps: int
    files: Mapping[str, str]


def write_manifest(folder: Path, description: Description) -> None:
    """Writes a manifest, which holds a digest of itself."""
    described = asdict(description.manifest) | {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "gaps": description.gaps,
        "files": dict(description.files),
    }
    (folder / NAME).write_text(_as_text(described | {"sha256": _digest(described)}), encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a generation.

    Raises:
        IndexBrokenError: it cannot be read, or is not what was written.
        IndexMismatchError: another version of ragbot wrote it.
    """
    return read_description(folder).manifest


def read_description(folder: Path, *, older: bool = False) -> Description:
    """What ``write_manifest`` wrote. Errors as for ``read_manifest``.

    Args:
        older: takes the format before as well, which knows no digests: nothing but model and policy can be told from it then.
    """
    try:
        values = json.loads((folder / NAME).read_text(encoding="utf-8"))
        if values["format"] == FORMAT - 1 and older:
            return Description(_manifest(values), 0, {})
        if values["format"] != FORMAT:
            raise IndexMismatchError(f"The index {folder.name!r} has the format of another ragbot.", "Build it anew with: ragbot index")
        said = values.pop("sha256")
        if said != _digest(values):
            raise ValueError("another digest")
        return Description(_manifest(values), int(values["gaps"]), dict(values["files"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise IndexBrokenError(f"The manifest of {folder.name!r} is missing or not what was written.", "Mend the index with: ragbot index") from error


def _manifest(values: Mapping[str, Any]) -> Manifest:
    return Manifest(**{name: values[name] for name in Manifest.__dataclass_fields__})


def _as_text(values: Mapping[str, Any]) -> str:
    return json.dumps(values, indent=1, sort_keys=True)


def _digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(_as_text(values).encode()).hexdigest()
