"""``python -m ragbot``."""

from ragbot.cli import entry

entry()
