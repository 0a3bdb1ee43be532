"""The jobs API against its own document, docs/openapi.yaml: schemathesis asks whatever the document allows, and more. Run by tests/interop/run."""

import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "openapi.yaml"
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


class OpenApi(unittest.TestCase):
    def test_the_relay_serves_what_the_document_says(self):
        script = DOCUMENT.parents[1] / "scripts" / "openapi-json"
        subprocess.run([sys.executable, script, "--check"], check=True, timeout=60)

    def test_every_answer_is_one_that_the_document_promises(self):
        with tempfile.TemporaryDirectory() as folder:
            command = [os.environ["SCUMBLE"], "serve", "--listen=127.0.0.1:0", "--db", f"{folder}/relay.db"]
            relay = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={})
            try:
                ready = next(filter(None, (re.search(r"ready on (http://\S+)", line) for line in relay.stderr)))
                run = [
                    Path(sys.executable).with_name("schemathesis"), "run", DOCUMENT, "--url", ready[1],
                    "--phases", "examples,fuzzing", "--checks", CHECKS, "--max-examples", "15", "--seed", "1",
                    "--request-timeout", "10", "--suppress-health-check", "all", "--no-color",
                    # A pop that waits is one that takes long.
                    "--exclude-path-regex", "^/api/v1/pop",
                ]
                ended = subprocess.run(run, capture_output=True, text=True, timeout=600, cwd=folder)
            finally:
                relay.kill()
                relay.wait()
                relay.stderr.close()
        self.assertEqual(ended.returncode, 0, ended.stdout[-6000:] + ended.stderr[-2000:])


if __name__ == "__main__":
    unittest.main()
