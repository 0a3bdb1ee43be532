"""Webhooks as their receiver sees them, verified by the Python package "standardwebhooks". Run by tests/interop/run."""

import base64
import http.server
import json
import os
import queue
import threading
import unittest

from standardwebhooks import Webhook, WebhookVerificationError
from websockets_client import PATIENCE, Relay, join, text_of

SECRETS = ["whsec_" + base64.b64encode(os.urandom(32)).decode() for _ in range(2)]


class Receiver:
    """An address that takes what is posted, as it comes."""

    def __enter__(self):
        self.posted = queue.Queue()
        posted = self.posted

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                self.send_response(204)
                self.end_headers()
                posted.put((dict(self.headers), body))

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    @property
    def hook(self):
        return f"""
            [[hook]]
            name = "told"
            canvases = ["*"]
            events = ["object.*", "chat.sent"]
            url = "http://127.0.0.1:{self.server.server_port}/hooks"
            secrets = {json.dumps(SECRETS)}
            allow_private = true
        """


class Webhooks(unittest.IsolatedAsyncioTestCase):
    async def test_the_package_verifies_deliveries_and_refuses_what_was_changed(self):
        receiver = self.enterContext(Receiver())
        relay = self.enterContext(Relay(receiver.hook))
        socket = await join(relay)
        text = "héllo 😀 \u2028"
        await socket.send(text_of("object-create", op=1, object={"id": "a", "kind": "note", "text": text}))
        await socket.send(text_of("chat", op=2, text=text))
        for kind in ["object.created", "chat.sent"]:
            headers, body = receiver.posted.get(timeout=PATIENCE)
            event = json.loads(body)
            self.assertEqual((event["type"], event["canvas"]), (kind, "board"))
            for secret in SECRETS:
                self.assertEqual(Webhook(secret).verify(body, headers), event)
            self.assertIn(text, json.dumps(event["data"], ensure_ascii=False))
            for changed in [body + b" ", body.replace(b"board", b"bored")]:
                with self.assertRaises(WebhookVerificationError):
                    Webhook(SECRETS[0]).verify(changed, headers)
            with self.assertRaises(WebhookVerificationError):
                Webhook("whsec_" + base64.b64encode(os.urandom(32)).decode()).verify(body, headers)
        await socket.close()
