"""What the documents tell their reader to type: fenced blocks, and commands quoted in a sentence."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# A block in one of these is for a shell. In a console, a prompt ("$", for root "#") marks what is typed.
SHELLS = ("sh", "console")
# Folders with what is fetched or built.
FOREIGN = ("target", "node_modules", ".git", ".build")


@dataclass
class Block:
    """One fenced block: where it is, its language, its lines without the indentation of a list."""

    document: str
    line: int
    section: str
    language: str
    lines: list = field(default_factory=list)
    # The block follows the one before it, with nothing said in between.
    follows: bool = False


@dataclass
class Command:
    """What is typed, with its continued lines, and what the document says that it prints."""

    document: str
    line: int
    section: str
    text: str
    prints: list = field(default_factory=list)

    def __str__(self):
        return f"{self.document}:{self.line}: {self.text}"


def documents():
    """Every document that is handed on with the source, by its name."""
    # Not by git: a release's source has none.
    found = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in FOREIGN]
        found += [Path(folder, name).relative_to(ROOT) for name in files if name.endswith(".md")]
    return sorted(str(path) for path in found)


def read(document):
    return (ROOT / document).read_text()


def blocks(document):
    """All fenced blocks of a document."""
    found, current, section, quiet = [], None, "", False
    for number, line in enumerate(read(document).splitlines(), 1):
        fence = re.match(r"^(\s*)```\s*(\S*)", line)
        if current is not None and fence:
            found.append(current)
            current, quiet = None, True
        elif fence:
            indent = len(fence[1])
            current = Block(document, number, section, fence[2], follows=quiet)
        elif current is not None:
            current.lines.append(line[indent:] if not line[:indent].strip() else line)
        else:
            quiet = quiet and not line.strip()
            if line.startswith("## "):
                section = line[3:]
    assert current is None, f"{document}: the block of line {current.line} has no end"
    return found


def typed(block):
    """The commands of a block for a shell."""
    found, joined = [], None
    for number, line in enumerate(block.lines, block.line + 1):
        prompted = block.language == "console" and line[:2] in ("$ ", "# ")
        if joined is not None:
            found[-1].text += " " + line.strip().removesuffix("\\").strip()
        elif prompted or block.language == "sh" and line.strip() and not line.startswith("#"):
            text = line[2:] if prompted else line
            found.append(Command(block.document, number, block.section, text.removesuffix("\\").strip()))
        elif line.strip() and found:
            found[-1].prints.append(line)
        joined = line if line.endswith("\\") else None
    return found


def commands(document):
    """What a reader of the document types, from its beginning to its end."""
    found = []
    for block in blocks(document):
        if block.language in SHELLS:
            found += typed(block)
        elif block.follows and block.language == "text" and found and not found[-1].prints:
            found[-1].prints = block.lines
    return found


def quoted(document):
    """Everything that a document quotes in its sentences and tables, in one line each."""
    prose = re.sub(r"(?ms)^\s*```.*?^\s*```\s*?$", "", read(document))
    # A cell of a table writes "|" with a backslash.
    return [" ".join(span.split()).replace("\\|", "|") for span in re.findall(r"`([^`]+)`", prose)]


def commented(name):
    """The comments of a file that is shipped, a line each, and what they quote."""
    lines = [line.lstrip("#").strip() for line in read(name).splitlines() if line.startswith("#")]
    ends = [line.split(": ", 1)[-1] for line in lines]
    # A sentence may begin with the program's name: its commands are quoted.
    said = [text for text in {*lines, *ends} if not text.startswith("scumble ")]
    return said + re.findall(r"`([^`]+)`", " ".join(lines))
