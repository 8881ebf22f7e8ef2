"""The verbs of a knowledge base: each opens a collection's folder and calls one method of `Library`."""

from __future__ import annotations

VERBS = ()
