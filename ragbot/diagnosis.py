"""What `ragbot doctor` tells: versions, models and their digests, the index's state, problems in the sources, settings."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ragbot import chunking, generations
from ragbot.errors import RagbotError
from ragbot.generation import Generation
from ragbot.guardrails.model import shipped_model
from ragbot.library import check_sources, open_policy
from ragbot.models import PUBLISHED_DIGEST, WEIGHTS_FILE, digest_of_file, find_embedding_model
from ragbot.settings import Settings

PACKAGES = ("ragbot", "langchain-core", "langchain-chroma", "chromadb", "sentence-transformers", "torch", "gradio", "scikit-learn", "bm25s")
RESOURCES_MAX_AGE_DAYS = 120


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Sections of what was found, and what is wrong."""

    sections: Mapping[str, Mapping[str, Any]]
    problems: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"sections": {title: dict(rows) for title, rows in self.sections.items()}, "problems": list(self.problems)}


def diagnose(settings: Settings) -> Diagnosis:
    """Looks at everything that an answer needs; what is broken becomes a problem, never an exception."""
    problems: list[str] = []
    sections: dict[str, dict[str, Any]] = {
        "Versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        "Settings": {name: str(value) for name, value in settings.model_dump().items()},
    }
    digest = ""
    try:
        folder = find_embedding_model(settings.embedding_model)
        digest = digest_of_file(folder / WEIGHTS_FILE)
        sections["Embedding model"] = {
            "folder": str(folder),
            "sha256": digest,
            "weights": "the published all-MiniLM-L6-v2" if digest == PUBLISHED_DIGEST else "other weights",
        }
        if digest != PUBLISHED_DIGEST and settings.embedding_model is None:
            problems.append("The installed embedding model is not the published one.")
    except RagbotError as error:
        problems.append(str(error))
    problems += _look_at_index(settings, digest, sections)
    try:
        checkup = check_sources(settings)
        published = [document for document in checkup.documents if document.source.status == "published"]
        pending = sum(document.source.review.state == "pending" for document in published)
        sections["Sources"] = {"articles": len(checkup.documents), "published": len(published), "review pending": pending}
        problems += [str(problem) for problem in checkup.problems]
        today = date.today()
        for document in published:
            due = document.source.review.due
            if due is not None and due < today:
                problems.append(f"The review of {document.source.id!r} was due on {due}.")
    except RagbotError as error:
        problems.append(str(error))
    try:
        policy = open_policy(settings)
        shipped_model()
        age = (date.today() - policy.resources.checked).days
        sections["Policy"] = {
            "folder": str(policy.folder),
            "sha256": policy.digest,
            "guardrail model": "as shipped",
            "examples": len(policy.examples),
            "texts reviewed": policy.reviewed.state,
            "helplines last checked": f"{policy.resources.checked} ({age} days ago)",
        }
        policy.region(settings.region)
        if age > RESOURCES_MAX_AGE_DAYS:
            problems.append(f"The helplines were last checked {age} days ago.")
    except RagbotError as error:
        problems.append(str(error))
    return Diagnosis(sections, tuple(problems))


def _look_at_index(settings: Settings, digest: str, sections: dict[str, dict[str, Any]]) -> list[str]:
    problems = []
    try:
        generation = Generation(generations.current_generation(settings.index))
        generation.verify()
        manifest = generation.manifest
        sections["Index"] = {
            "generation": generation.name,
            "articles": len(manifest.documents),
            "passages": len(generation.chunks),
            "sentences": len(generation.sentence_vectors),
            "verified by query": "yes",
        }
        generation.close()
        if digest and manifest.embedder != digest:
            problems.append("The index was built with another embedding model. Build it anew with: ragbot index")
        if manifest.chunker != chunking.VERSION:
            problems.append("The index was built with another chunker. Bring it up to date with: ragbot index")
    except RagbotError as error:
        problems.append(str(error))
    return problems


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
