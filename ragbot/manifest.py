"""What a generation of the index was built from, as its manifest.json tells."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from ragbot.errors import IndexBrokenError, IndexMismatchError

FORMAT = 3
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


def write_manifest(folder: Path, manifest: Manifest, *, gaps: int, files: Mapping[str, str]) -> None:
    """Writes a manifest, with what it takes to trust and to continue the generation.

    Args:
        gaps: how many vectors were taken out of the graph since it was last built whole.
        files: the sha256 of files that are compared before they are opened, by their path in the folder.
    """
    described = asdict(manifest) | {"created": datetime.now(UTC).isoformat(timespec="seconds"), "gaps": gaps, "files": dict(files)}
    (folder / NAME).write_text(json.dumps(described, indent=1, sort_keys=True), encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a generation.

    Raises:
        IndexBrokenError: it cannot be read.
        IndexMismatchError: another version of ragbot wrote it.
    """
    return read_description(folder)[0]


def read_description(folder: Path) -> tuple[Manifest, int, dict[str, str]]:
    """The manifest, the gaps and the files of ``write_manifest``. Errors as for ``read_manifest``."""
    try:
        values = json.loads((folder / NAME).read_text(encoding="utf-8"))
        if values["format"] != FORMAT:
            raise IndexMismatchError(f"The index {folder.name!r} has the format of another ragbot.", "Build it anew with: ragbot index --rebuild")
        manifest = Manifest(**{name: values[name] for name in Manifest.__dataclass_fields__})
        return manifest, int(values["gaps"]), dict(values["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IndexBrokenError(f"The manifest of {folder.name!r} cannot be read.", "Build the index anew with: ragbot index --rebuild") from error
