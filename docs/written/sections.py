"""`with_section`: a part of a page that a program writes, between two comments."""

import re

END = "<!-- end of what was written -->"


def begin(name: str) -> str:
    """Return the comment before a section."""
    return f"<!-- written by python docs/written: {name} -->"


def with_section(text: str, name: str, content: str) -> str:
    """Return the text of a page with new content in one of its sections.

    Raises:
        ValueError: the page has not exactly one section of this name.
    """
    pattern = f"{re.escape(begin(name))}.*?{re.escape(END)}"
    found, count = re.subn(pattern, lambda _: f"{begin(name)}\n\n{content}\n\n{END}", text, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"expected one section between {begin(name)!r} and {END!r}, found {count}")
    return found
