"""What a command names is there: programs, files, flags, scripts. For all commands of the documents, also those that stand
in a sentence, and for those in the comments of what is shipped. Run by scripts/test.
"""

import functools
import json
import re
import shlex
import subprocess
import unittest

import tables
from blocks import ROOT, commands, commented, documents, quoted, read
from commands_test import entry
from ground import program

# Their flags are not ours to check. What they are told to do with a file of ours is: the file must be there.
PROGRAMS = {
    "apt-get", "curl", "docker", "echo", "export", "head", "install", "journalctl", "kubectl", "nginx", "openssl", "ssh",
    "runuser", "systemctl", "kill", "node", "python3", "npx", "sha256sum", "git", "cd", "sed", "taskset", "strace",
}
OURS = re.compile(r"^(scripts|tests|packaging|nginx|examples|benches|docs|web|src|fuzz|\.ci|\.github)/[\w./-]+$")
CARGO = {"bench", "build", "clippy", "deny", "doc", "fmt", "fuzz", "install", "nextest", "run", "test"}
# Variables of scripts and tests.
OF_SCRIPTS = {"SCUMBLE_BIN"}
SHIPPED = ["packaging", "nginx"]


@functools.cache
def help_of(*words):
    """What a program says about itself; nothing if there is no such command."""
    done = subprocess.run([*words, "--help"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, cwd=ROOT)
    return done.stdout if done.returncode == 0 else None


def flags(words):
    """The long flags among these, without their values."""
    return {re.match(r"--[a-z][a-z0-9-]*", word)[0] for word in words if re.match(r"--[a-z]", word)}


def unknown(words, told):
    known = set(re.findall(r"--[a-z][a-z0-9-]*", told)) | {"--help", "--version"}
    return [f"{words[0]} has no {flag}" for flag in sorted(flags(words) - known)]


def of_scumble(words):
    names = [word for word in words[1:3] if re.fullmatch("[a-z][a-z-]*", word)]
    if not names:
        return []
    told = help_of(program(), *names[:2]) if names[0] in ("jobs", "load") else help_of(program(), names[0])
    if told is None:
        return [f"scumble has no command {' '.join(names)}"]
    return unknown(words, told)


def of_npm(words):
    if "--prefix" not in words:
        return []
    folder = words[words.index("--prefix") + 1]
    if not (ROOT / folder / "package.json").is_file():
        return [f"{folder} has no package.json"]
    names = json.loads((ROOT / folder / "package.json").read_text()).get("scripts", {})
    asked = words[words.index("run") + 1] if "run" in words else "test" if "test" in words else None
    return [] if asked is None or asked in names else [f"{folder}/package.json has no script {asked}"]


def of_script(words):
    if not (ROOT / words[0]).is_file():
        return [f"there is no {words[0]}"]
    # A part of an `&&` or behind `--` is another program's.
    own = words[:words.index("--")] if "--" in words else words
    if not flags(own):
        return []
    told = help_of(words[0])
    return unknown(own, told) if told else [f"{words[0]} --help says nothing about {flags(own)}"]


def wrong(text):
    """What does not fit in one command; None if the text is none."""
    if re.search(r"\s…|^…", text) and not text.startswith(("scumble ", "scripts/")):
        return None
    try:
        words = shlex.split(re.sub(r"\s#\s.*", "", text))
    except ValueError:
        words = text.split()
    while words and (re.match(r"[A-Z_]+=", words[0]) or words[:2] == ["runuser", "-u"]):
        words = words[4:] if words[0] == "runuser" else words[1:]
    if not words:
        return None
    found = [f"there is no {word}" for word in words[1:] if OURS.match(word) and not (ROOT / word).exists()
             and "/dist" not in word and "node_modules" not in word]
    if words[:2] == ["cargo", "run"] and "--" in words:
        words = ["scumble", *words[words.index("--") + 1:]]
    name = words[0]
    if name == "scumble":
        return found + of_scumble(words)
    if re.match(r"(scripts|tests/interop|\.ci)/[\w.-]+$", name):
        return found + of_script(words)
    if name == "npm":
        return found + of_npm(words)
    if name == "cargo" and len(words) > 1:
        return found + ([] if words[1] in CARGO or words[1].startswith("-") else [f"cargo has no {words[1]}"])
    if name == "just" and len(words) > 1:
        recipe = re.search(rf"(?m)^{re.escape(words[1])}\b", (ROOT / "justfile").read_text())
        return found + ([] if recipe or words[1].startswith("-") else [f"the justfile has no {words[1]}"])
    return found if name in PROGRAMS and len(words) > 1 else None


class Named(unittest.TestCase):
    def all_right(self, where, texts):
        checked = {text: wrong(text) for text in texts}
        failures = [f"{where}: {text}: {'; '.join(found)}" for text, found in checked.items() if found]
        self.assertFalse(failures, "\n" + "\n".join(failures))
        return sum(found is not None for found in checked.values())

    def test_commands_in_sentences_name_what_is_there(self):
        # What an older version had may be named where it is said that it was.
        told = [name for name in documents() if name != "CHANGELOG.md"]
        self.assertGreater(sum(self.all_right(name, quoted(name)) for name in told), 100)

    def test_commands_in_comments_of_what_is_shipped_name_what_is_there(self):
        files = [path for folder in SHIPPED for path in (ROOT / folder).rglob("*") if path.is_file()]
        names = [str(path.relative_to(ROOT)) for path in files if path.suffix != ".json"]
        self.assertGreater(sum(self.all_right(name, commented(name)) for name in names), 8)
        used = {text.split()[0] for name in names for text in commented(name) if wrong(text) is not None}
        self.assertEqual(used, set(tables.NOT_RUN_IN_COMMENTS))

    def test_variables_in_what_is_shipped_and_in_the_documents_are_known(self):
        known = set(re.findall(r"SCUMBLE_[A-Z_]+", help_of(program(), "serve") + help_of(program(), "cluster")))
        files = [path for path in (ROOT / "packaging").rglob("*") if path.is_file()]
        texts = [path.read_text() for path in files] + [read(name) for name in documents() if name != "CHANGELOG.md"]
        named = {name for text in texts for name in re.findall(r"\bSCUMBLE_[A-Z_]*[A-Z]\b", text)}
        self.assertEqual(named - known - OF_SCRIPTS, set())

    def test_the_secret_of_the_manifest_has_what_the_manifest_reads(self):
        text = read("packaging/kubernetes/scumble.yaml")
        made = set(re.findall(r"--from-literal=([\w-]+)=", text))
        self.assertEqual(made, set(re.findall(r"secretKeyRef: \{ name: scumble, key: ([\w-]+)", text)))

    def test_commands_that_are_not_run_name_what_is_there(self):
        for name in documents():
            left = [command.text for command in commands(name) if entry(tables.NOT_RUN, command) is not None]
            self.assertEqual(self.all_right(name, left), len(set(left)), f"not all of {left} are known as commands")


if __name__ == "__main__":
    unittest.main()
