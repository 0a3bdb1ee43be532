# A token for scumble, made by an application's own server. Python 3.8 or newer, no packages.
# With PyJWT: jwt.encode(claims, secret, algorithm="HS256"), with the same secret.
import base64, hashlib, hmac, json, time, uuid

# Line ends behind the secret do not count: the relay leaves them out, and so must you.
with open(SECRET_FILE, "rb") as file:
    secret = file.read().rstrip(b"\r\n")


def token(claims):
    def part(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    body = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps(claims).encode())
    return (body + b"." + part(hmac.new(secret, body, hashlib.sha256).digest())).decode()


print(token({"sub": SUB, "exp": int(time.time()) + TTL, "jti": str(uuid.uuid4()), "canvases": CANVASES}))
