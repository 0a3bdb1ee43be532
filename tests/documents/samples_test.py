"""The blocks of the documents that are not for a shell: each is right in its language. Run by scripts/test.

Those that do something are also run by other tests: of the library, of the tutorial, of the work queue.
"""

import base64
import json
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from blocks import ROOT, SHELLS, blocks, documents
from ground import program


def succeeds(*command, **more):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, **more)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"


def javascript(text, _, folder):
    """A program or a part of one; what it calls is run elsewhere."""
    (folder / "sample.mjs").write_text(text)
    succeeds("node", "--check", folder / "sample.mjs")


def page(text, document, folder):
    for script in re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL):
        javascript(script, document, folder)


def compiled_with_the_library(_, document, __):
    """web/client/test/docs.test.ts compiles those of one document, and runs them."""
    assert document == "docs/CLIENT.md", "no test compiles TypeScript of this document"


def python(text, document, _):
    compile(text, document, "exec")


def hooks(text, _, folder):
    """The documents have no other TOML. The secret is left out there."""
    text = text.replace("whsec_…", "whsec_" + base64.b64encode(bytes(32)).decode())
    (folder / "hooks.toml").write_text(text)
    succeeds(program(), "check-config", "--hooks", folder / "hooks.toml", "--db", folder / "relay.db")


def proxy(text, _, folder):
    (folder / "nginx.conf").write_text(f"events {{}}\nhttp {{\n{text}\n}}\n")
    succeeds("nginx", "-t", "-q", "-p", folder, "-c", folder / "nginx.conf", "-g", "pid nginx.pid; error_log stderr;",
             env={"PATH": "/usr/sbin:/usr/bin:/bin"})


def scraping(text, _, folder):
    """With the rules that it names beside it."""
    (folder / "prometheus.yml").write_text(text)
    for name in re.findall(r"\w+\.rules\.yml", text):
        (folder / name).write_text((ROOT / "packaging/prometheus" / name).read_text())
    succeeds("promtool", "check", "config", folder / "prometheus.yml")


def value(text, *_):
    json.loads(text)


CHECKS = {
    "js": javascript, "html": page, "ts": compiled_with_the_library, "tsx": compiled_with_the_library, "python": python,
    "toml": hooks, "nginx": proxy, "yaml": scraping, "json": value,
    # Pictures, grammars, and what commands print.
    "text": lambda *_: None,
}


class Samples(unittest.TestCase):
    def test_every_block_is_right_in_its_language(self):
        for document in documents():
            for block in blocks(document):
                if block.language in SHELLS:
                    continue
                with self.subTest(f"{document}:{block.line}"), tempfile.TemporaryDirectory() as folder:
                    self.assertIn(block.language, CHECKS, "name the block's language, and add a check of it")
                    CHECKS[block.language]("\n".join(block.lines), document, Path(folder))


if __name__ == "__main__":
    unittest.main()
