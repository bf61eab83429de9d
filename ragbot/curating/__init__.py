"""What curators do: drafts of foreign files and pages, proofing, publishing and retiring, each act recorded and reversible."""

from ragbot.curating.desk import Desk, Draft
from ragbot.curating.versions import Act, Origin, State

__all__ = ["Act", "Desk", "Draft", "Origin", "State"]
