"""
Bash code that the engine runs on servers as root: each ``.sh`` file beside this is one subject.

Files are put together per task, sent as the text of ``bash -c``, and never stay on the server.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def shell(*subjects: str) -> str:
    """
    The code of some subjects, in this order, without its comments.

    + subjects: names of files without ``.sh``; functions first, what calls them last
    """
    texts = (files(__name__).joinpath(f"{subject}.sh").read_text(encoding="utf-8") for subject in subjects)
    lines = (line for text in texts for line in text.splitlines())
    return "\n".join(line for line in lines if line.strip() and not line.lstrip().startswith("#"))
