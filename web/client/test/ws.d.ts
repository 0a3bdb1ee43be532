/** What the tests use of the `ws` package. */
declare module "ws" {
  import type { Server } from "node:http";
  export default class WebSocket {
    constructor(url: string, protocols?: string | string[]);
    send(text: string): void;
    close(code?: number, reason?: string): void;
    terminate(): void;
    on(event: "open" | "message" | "close" | "error", listener: (data: unknown) => void): void;
  }
  export class WebSocketServer {
    constructor(options: { server: Server; handleProtocols: () => string });
    on(event: "connection", listener: (socket: WebSocket) => void): void;
  }
}
