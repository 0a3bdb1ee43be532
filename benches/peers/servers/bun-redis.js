// Several Bun processes joined by Redis, as its users write it: bun bun-redis.js PORT REDIS_PORT
// A message on the channel: the sender's name (8 characters), the room, a line end, the message.
import { createClient } from "redis6";

const me = Math.random().toString(36).slice(2, 10).padEnd(8, "x");
const url = `redis://127.0.0.1:${process.argv[3]}`;
const publisher = createClient({ url });
const subscriber = createClient({ url });
await publisher.connect();
await subscriber.connect();

const server = Bun.serve({
  port: Number(process.argv[2]),
  hostname: "127.0.0.1",
  fetch(request, server) {
    const room = new URL(request.url).pathname;
    if (server.upgrade(request, { data: { room } })) return;
    return new Response("not a WebSocket", { status: 400 });
  },
  websocket: {
    open(socket) { socket.subscribe(socket.data.room); },
    message(socket, message) {
      const { room } = socket.data;
      socket.publish(room, message);
      publisher.publish("rooms", `${me}${room}\n${message}`);
    },
  },
});

await subscriber.subscribe("rooms", (text) => {
  if (text.startsWith(me)) return;
  const end = text.indexOf("\n");
  server.publish(text.slice(8, end), text.slice(end + 1));
});
