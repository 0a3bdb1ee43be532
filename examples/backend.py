"""An application's own server: publishes a chat message to a canvas, then prints what is on it.

usage: python3 backend.py CANVAS TEXT [URL]

SCUMBLE_API_TOKEN holds the API's token, where the relay asks for one. Nothing beyond Python's own library is needed.
"""
import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid


def call(method, url, body=None, headers=None):
    """The answer to a request. It is sent again after a 503, or when no answer came."""
    headers = {"Content-Type": "application/json", **(headers or {})}
    token = os.environ.get("SCUMBLE_API_TOKEN")
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    for attempt in range(5):
        request = urllib.request.Request(url, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code != 503:
                sys.exit(f"{method} {url}: {error.code} {error.read().decode()}")
        except urllib.error.URLError as error:
            if attempt == 4:
                sys.exit(f"{method} {url}: {error.reason}")
        time.sleep(2**attempt / 10)
    sys.exit(f"{method} {url}: not answered after five attempts")


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    canvas, text = sys.argv[1:3]
    canvas_url = f"{(sys.argv + ['http://127.0.0.1:8080'])[3]}/api/v1/canvases/{canvas}"

    # The key makes it safe to send the same message again: it is committed once.
    key = {"Idempotency-Key": str(uuid.uuid4())}
    message = {"type": "chat", "text": text, "user": {"name": "Shop"}}
    published = call("POST", f"{canvas_url}/messages", message, key)
    print(f"published as message {published['seq']}")

    for item in call("GET", f"{canvas_url}/objects")["objects"]:
        print(f"{item['id']}: {item['kind']}")


if __name__ == "__main__":
    main()
