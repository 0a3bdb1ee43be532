// Bun's own publish and subscribe: bun bun.js PORT
Bun.serve({
  port: Number(process.argv[2]),
  hostname: "127.0.0.1",
  fetch(request, server) {
    const room = new URL(request.url).pathname;
    if (server.upgrade(request, { data: { room } })) return;
    return new Response("not a WebSocket", { status: 400 });
  },
  websocket: {
    open(socket) { socket.subscribe(socket.data.room); },
    message(socket, message) { socket.publish(socket.data.room, message); },
    close(socket) { socket.unsubscribe(socket.data.room); },
  },
});
