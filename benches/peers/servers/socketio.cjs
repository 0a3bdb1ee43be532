// Socket.IO, alone or with one of its Redis adapters: node socketio.cjs PORT [REDIS_PORT pubsub|streams]
const { createServer } = require("http");
const { Server } = require("socket.io");

async function adapter(port, kind) {
  const { createClient } = require("redis");
  const client = createClient({ url: `redis://127.0.0.1:${port}` });
  await client.connect();
  if (kind === "streams") return require("@socket.io/redis-streams-adapter").createAdapter(client);
  const subscriber = client.duplicate();
  await subscriber.connect();
  return require("@socket.io/redis-adapter").createAdapter(client, subscriber);
}

(async () => {
  const [port, redisPort, kind] = process.argv.slice(2);
  const http = createServer();
  const io = new Server(http, redisPort ? { adapter: await adapter(redisPort, kind) } : {});
  io.on("connection", (socket) => {
    let room;
    socket.on("join", async (name, done) => {
      room = name;
      await socket.join(room);
      done();
    });
    socket.on("msg", (message) => socket.to(room).emit("msg", message));
  });
  http.listen(Number(port), "127.0.0.1");
})();
