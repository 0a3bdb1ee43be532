// The broadcast example of `ws`, with rooms: node ws.cjs PORT
const { WebSocketServer, WebSocket } = require("ws");

const rooms = new Map();
const server = new WebSocketServer({ port: Number(process.argv[2]), host: "127.0.0.1" });
server.on("connection", (socket, request) => {
  const room = request.url;
  if (!rooms.has(room)) rooms.set(room, new Set());
  const members = rooms.get(room);
  members.add(socket);
  socket.on("error", console.error);
  socket.on("message", (data, isBinary) => {
    for (const member of members) {
      if (member !== socket && member.readyState === WebSocket.OPEN) member.send(data, { binary: isBinary });
    }
  });
  socket.on("close", () => members.delete(socket));
});
