"""Every command in every document, run as its reader runs it. Run by scripts/test.

The commands come from the documents themselves: one that is new is run, too, or it fails here. What is replaced in them,
what is not run and why, and what a reader has done before, is in tables.py.
"""

import re
import unittest
from concurrent.futures import ThreadPoolExecutor

import tables
from blocks import commands, documents
from ground import SERVER, Ground


def entry(table, command):
    """The table's value for this command."""
    found = [value for document, pattern, value in table
             if document in ("*", command.document) and re.search(pattern, re.sub(r"\s+#\s.*$", "", command.text))]
    assert len(found) <= 1, f"{command}: several entries fit: {found}"
    return found[0] if found else None


def looks_like(expected, printed):
    """Whether an output has the lines that a document shows: numbers may differ, and "…" is anything, with what begins it."""
    def pattern(line):
        pieces = [re.sub(r"[0-9a-f]{8,}|[0-9]+", "\0", piece) for piece in re.split(r"[0-9a-f]*…", line)]
        return ".*".join(re.escape(piece).replace("\0", "[0-9a-f]+") for piece in pieces)
    return all(re.search(f"(?m)^{pattern(line.strip())}", printed) for line in expected)


def do(ground, command, printed):
    """Runs one command. What it printed; `printed` is what the one before it did."""
    if before := entry(tables.BEFORE, command):
        before(ground)
    text = tables.named_by_answers(tables.replaced(ground, command.text), printed)
    if SERVER.match(text):
        printed = ground.start(text, tables.addresses(command.text if SERVER.match(command.text) else text)).said()
    else:
        printed = ground.run(text)
    assert '"success":false' not in printed, printed
    expected = [tables.replaced(ground, line) for line in command.prints]
    assert looks_like(expected, printed), f"the document shows {command.prints}, and it printed {printed!r}"
    if after := entry(tables.AFTER, command):
        after(ground, printed)
    return printed


def walk(document):
    """Does what the document says, from its beginning to its end. What went wrong, if something did."""
    printed, section, doing = "", None, document
    try:
        with Ground() as ground:
            for doing in commands(document):
                if entry(tables.NOT_RUN, doing) is not None:
                    continue
                # A reader begins each section in the project's folder.
                if section != doing.section:
                    ground.at, section = str(ground.home), doing.section
                printed = do(ground, doing, printed)
    except Exception as error:  # the other documents are tried all the same
        return f"{doing}\n    {error}"
    return None


class Commands(unittest.TestCase):
    maxDiff = None

    def test_every_command_of_every_document_works(self):
        told = [name for name in documents() if commands(name)]
        self.assertGreater(len(told), 8)
        # They wait more than they compute.
        with ThreadPoolExecutor(4) as pool:
            wrong = [failure for failure in pool.map(walk, told) if failure]
        self.assertFalse(wrong, "\n" + "\n".join(wrong))

    def test_no_entry_of_a_table_is_left_over(self):
        all_commands = [command for name in documents() for command in commands(name)]
        for table in (tables.NOT_RUN, tables.BEFORE, tables.AFTER):
            for row in table:
                fits = [command for command in all_commands if entry([row], command) is not None]
                self.assertTrue(fits, f"{row}: no document has such a command")


if __name__ == "__main__":
    unittest.main()
