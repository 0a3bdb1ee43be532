/** What the tests use of the `ws` package. */
declare module "ws" {
  import type { Server } from "node:http";
  export default class WebSocket {
    send(text: string): void;
    close(code?: number): void;
    terminate(): void;
    on(event: "message" | "close", listener: (data: unknown) => void): void;
  }
  export class WebSocketServer {
    constructor(options: { server: Server; handleProtocols: () => string });
    on(event: "connection", listener: (socket: WebSocket) => void): void;
  }
}
