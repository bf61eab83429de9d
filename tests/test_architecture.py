"""The house itself: one-way layers, one owner for each heavy dependency, an error tree that is drawn as it is, living docs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import ragbot
from ragbot import errors

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "ragbot"
OWNERS = {
    "chromadb": {"store.py"},
    "langchain_chroma": {"store.py"},
    "sentence_transformers": {"models.py", "retrieving/reranking.py"},
    "langchain.chat_models": {"answering/chat_model.py"},
    "gradio": {"web/chat_page.py", "web/app.py"},
    "typer": {"cli.py"},
    "bm25s": {"retrieving/lexical.py"},
    "Stemmer": {"terms.py"},
    "syntok": {"chunking.py"},
    "rapidfuzz": {"rephrasing.py"},
    "limits": {"web/limiting.py"},
    "filelock": {"locking.py"},
    "argon2": {"web/signing_in.py"},
    "watchfiles": {"watching.py"},
    "httpx": {"reading/fetching.py"},
    "httpcore": {"reading/fetching.py", "reading/addresses.py"},
    "trafilatura": {"reading/html.py"},
    "markdownify": {"reading/html.py"},
    "pypdf": {"reading/pdf.py"},
    "docx": {"reading/word.py"},
    "defusedxml": {"reading/epub.py", "reading/opendocument.py"},
    "charset_normalizer": {"reading/plain.py"},
    "pyphen": {"curating/proofing.py"},
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def test_imports_go_one_way() -> None:
    command = [sys.executable, "-c", "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"]
    outcome = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


@pytest.mark.parametrize(("dependency", "owners"), OWNERS.items(), ids=OWNERS)
def test_each_dependency_has_one_owner(dependency: str, owners: set[str]) -> None:
    pattern = re.compile(rf"^\s*(?:import|from) {re.escape(dependency)}\b", re.MULTILINE)
    users = {path.relative_to(PACKAGE).as_posix() for path in modules() if pattern.search(path.read_text(encoding="utf-8"))}
    assert users == owners


def test_only_settings_and_models_read_the_environment() -> None:
    # models asks where the Hugging Face cache lies; web/app sets what gradio reads; working hands children the search path and
    # where caches lie, and nothing else; secrecy asks what it must not show. Nobody else looks.
    readers = {path.relative_to(PACKAGE).as_posix() for path in modules() if "os.environ" in path.read_text(encoding="utf-8")}
    assert readers <= {"settings.py", "models.py", "retrieving/reranking.py", "working.py", "secrecy.py", "web/app.py"}


def test_the_error_tree_is_drawn_as_it_is() -> None:
    drawn = set(re.findall(r"[├└]── (\w+)|^RagbotError", errors.__doc__ or "", re.MULTILINE))
    public = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, errors.RagbotError) and not name.startswith("_")}
    assert public - {"RagbotError"} == drawn - {""}


def test_exported_names_exist() -> None:
    for name in ragbot.__all__:
        assert getattr(ragbot, name) is not None


def test_the_readme_names_every_command() -> None:
    shown = subprocess.run([sys.executable, "-m", "ragbot", "--help"], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    commands = re.findall(r"^  ([a-z]+)  ", shown.split("Commands:")[1], re.MULTILINE)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert commands
    assert [command for command in commands if not re.search(rf"(ragbot|make) {command}\b", readme)] == []


@pytest.mark.parametrize("arguments", [["--help"], ["sources", "check"]], ids=str)
def test_light_commands_load_nothing_heavy(arguments: list[str]) -> None:
    code = f"import sys; from ragbot.cli import run; run({arguments!r}); print([m for m in ('torch', 'transformers', 'gradio', 'chromadb') if m in sys.modules], file=sys.stderr)"
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert outcome.stderr.strip().endswith("[]")


def test_every_dependency_is_locked() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    wanted = re.findall(r'^  "([A-Za-z0-9-]+)[><=]', project.split("dependencies = [")[1].split("]")[0], re.MULTILINE)
    locked = {line.split("==")[0].lower().replace("_", "-") for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()}
    assert [name for name in wanted if name.lower().replace("_", "-") not in locked] == []
