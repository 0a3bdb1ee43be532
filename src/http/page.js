// A page that proves the relay by hand: who is here, their cursors, boxes, and where this tab stands.

const canvas = location.pathname.match(/^\/c\/([^/]+)$/)?.[1] ?? "lobby";
const client = crypto.getRandomValues(new Uint32Array(4)).reduce((id, n) => id + n.toString(36), "p");
const hue = Math.floor(Math.random() * 360);
const user = { name: `guest ${hue}`, color: `hsl(${hue} 60% 45%)` };
const show = (id, text) => { document.getElementById(id).textContent = text; };
const board = document.getElementById("board");
show("canvas", canvas);

let socket, since, limits = {}, attempt = 0, op = 0, finished = false;
let pending = [];
const users = new Map();
const nodes = new Map();

function place(key, className, x, y, color, text = "") {
  let node = nodes.get(key);
  if (!node) {
    node = document.createElement("div");
    node.className = className;
    nodes.set(key, node);
    board.append(node);
  }
  Object.assign(node.style, { left: `${Number(x) || 0}px`, top: `${Number(y) || 0}px`, background: color });
  node.textContent = text;
}

function remove(key) {
  nodes.get(key)?.remove();
  nodes.delete(key);
}

function box(object) {
  place(`box ${object.id}`, "box", object.x, object.y, object.color);
}

function clearBoxes() {
  for (const key of [...nodes.keys()]) if (key.startsWith("box ")) remove(key);
}

function showUsers() {
  document.getElementById("users").replaceChildren(...[...users.values()].map(({ client: id, user, away }) => {
    const item = document.createElement("li");
    item.textContent = (user?.name ?? id) + (id === client ? " (you)" : "");
    item.style.color = user?.color ?? "";
    item.className = away ? "away" : "";
    return item;
  }));
}

function cursor({ client: id, x, y }) {
  const who = users.get(id)?.user;
  if (id !== client) place(`cursor ${id}`, "cursor", x, y, who?.color ?? "#555", who?.name ?? id);
}

const state = (text, live) => {
  show("state", text);
  document.getElementById("state").dataset.live = live ? "yes" : "no";
};

const advance = (seq) => { if (seq) since.seq = seq; show("seq", since.seq); };
const tell = (message) => socket?.readyState === WebSocket.OPEN && socket.send(JSON.stringify(message));

const on = {
  welcome(m) {
    attempt = 0;
    limits = m.limits ?? {};
    if (m.mode === "resume") since.epoch = m.epoch; else since = { epoch: m.epoch, seq: m.seq };
    users.clear();
    for (const key of [...nodes.keys()]) if (key.startsWith("cursor ")) remove(key);
    for (const one of m.users) users.set(one.client, one);
    for (const one of m.users) if (one.cursor) cursor({ client: one.client, ...one.cursor });
    users.set(client, { client, user });
    pending = pending.filter((message) => message.op > m.acked_op);
    pending.forEach(tell);
    show("instance", m.instance);
    state("live", true);
    advance(0);
    showUsers();
  },
  snapshot(m) {
    if (m.part === 0) clearBoxes();
    since = { epoch: m.epoch, seq: m.seq };
    m.objects.forEach(box);
    pending.forEach((message) => box(message.object));
    advance(m.seq);
  },
  "object-create"(m) { box(m.object); advance(m.seq); },
  "object-delete"(m) { remove(`box ${m.id}`); advance(m.seq); },
  "object-update"(m) {
    const node = nodes.get(`box ${m.id}`);
    const p = m.patch;
    if (node) box({ id: m.id, x: p.x ?? parseFloat(node.style.left), y: p.y ?? parseFloat(node.style.top), color: p.color ?? node.style.background });
    advance(m.seq);
  },
  chat(m) { advance(m.seq); },
  broadcast(m) { advance(m.seq); },
  ack(m) { pending = pending.filter((one) => one.op !== m.op); if (m.status === "ok") advance(m.seq); },
  "cursor-batch"(m) { m.cursors.forEach(cursor); },
  "user-connected"(m) { users.set(m.client, m); showUsers(); },
  "user-disconnected"(m) { users.delete(m.client); remove(`cursor ${m.client}`); showUsers(); },
  presence(m) { if (users.has(m.client) && "away" in m) { users.get(m.client).away = m.away; showUsers(); } },
  goaway(m) { state(`${m.reason}: moving to another instance`, false); goAwayMs = m.retry_after_ms; },
  error(m) {
    if (m.op && m.retry_after_ms) setTimeout(() => pending.filter((one) => one.op >= m.op).forEach(tell), m.retry_after_ms);
    else if (m.op) pending = pending.filter((one) => one.op !== m.op);
    state(`${m.code}: ${m.message}`, true);
  },
};

let goAwayMs;

function connect() {
  socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/ws/${canvas}`, "scumble.v1");
  socket.onopen = () => tell({ type: "hello", v: 1, client, user, since });
  socket.onmessage = ({ data }) => { const m = JSON.parse(data); on[m.type]?.(m); };
  socket.onclose = ({ code }) => {
    finished = [1009, 4400, 4401, 4403, 4409].includes(code);
    state(finished ? `closed (${code})` : "reconnecting", false);
    if (finished) return;
    const backoffMs = Math.random() * Math.min(10_000, 250 * 2 ** attempt++);
    setTimeout(connect, goAwayMs ?? backoffMs);
    goAwayMs = undefined;
  };
}

board.addEventListener("click", ({ offsetX: x, offsetY: y, target }) => {
  if (target !== board || finished) return;
  const object = { id: `${client}-${++op}`, kind: "box", x, y, color: user.color };
  pending.push({ type: "object-create", op, object });
  box(object);
  tell(pending.at(-1));
});

let moved = 0;
board.addEventListener("pointermove", ({ clientX, clientY }) => {
  const now = performance.now();
  if (now - moved < (limits.cursor_interval_ms ?? 33)) return;
  moved = now;
  const area = board.getBoundingClientRect();
  tell({ type: "cursor", x: Math.round(clientX - area.left), y: Math.round(clientY - area.top) });
});

addEventListener("pagehide", () => tell({ type: "bye" }));
connect();
