// A token for scumble, made by an application's own server. Node 20 or newer, no packages.
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";

// Line ends behind the secret do not count: the relay leaves them out, and so must you.
const secret = readFileSync(SECRET_FILE, "utf8").replace(/[\r\n]+$/, "");

function token(claims) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const body = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  return `${body}.${createHmac("sha256", secret).update(body).digest("base64url")}`;
}

const now = Math.floor(Date.now() / 1000);
console.log(token({ sub: SUB, exp: now + TTL, jti: crypto.randomUUID(), canvases: CANVASES }));
