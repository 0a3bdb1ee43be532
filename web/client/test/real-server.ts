/** The model server behind a real port, with a page that loads the built library. */

import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import WebSocket, { WebSocketServer } from "ws";
import { ModelServer } from "./model-server.js";
import type { Line } from "./world.js";

export class RealServer {
  readonly model = new ModelServer();
  /** Connections are dropped as soon as they come. */
  down = false;
  private readonly sockets = new Set<WebSocket>();

  private constructor(private readonly http: Server) {
    this.model.now = () => Date.now();
    new WebSocketServer({ server: http, handleProtocols: () => "scumble.v1" }).on("connection", (socket) => this.accept(socket));
  }

  /** `web` is the folder that has `client/dist`. */
  static async start(web: string): Promise<RealServer> {
    const http = createServer((request, response) => {
      const script = request.url === "/client.js";
      response.setHeader("content-type", script ? "text/javascript" : "text/html");
      response.end(script ? readFileSync(join(web, "client/dist/client.js")) : "<!doctype html><title>test</title>");
    });
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    return new RealServer(http);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.http.address() as AddressInfo).port}`;
  }

  private accept(socket: WebSocket): void {
    if (this.down) return socket.terminate();
    this.sockets.add(socket);
    const line = {
      deliver: (message: unknown) => socket.send(JSON.stringify(message)),
      cut: () => socket.terminate(),
      closeAfter: (code: number, reason?: string) => socket.close(code, reason),
    };
    const peer = this.model.listen(line as unknown as Line);
    socket.on("message", (data) => peer.received(String(data)));
    socket.on("close", () => {
      this.sockets.delete(socket);
      peer.closed();
    });
  }

  /** Everybody's connection is lost, and none is taken until `down` is false again. */
  goDown(): void {
    this.down = true;
    for (const socket of this.sockets) socket.terminate();
  }

  stop(): void {
    this.goDown();
    this.http.close();
    this.http.closeAllConnections();
  }
}
