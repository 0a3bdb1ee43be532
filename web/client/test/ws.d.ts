/** What the tests use of the `ws` package. */
declare module "ws" {
  import type { Server } from "node:http";
  export default class WebSocket {
    constructor(url: string, protocols?: string | string[]);
    readonly bufferedAmount: number;
    readonly protocol: string;
    send(data: string | Uint8Array): void;
    close(code?: number, reason?: string): void;
    terminate(): void;
    on(event: "close", listener: (code: number, reason: Buffer) => void): void;
    on(event: "message", listener: (data: Buffer, isBinary: boolean) => void): void;
    on(event: "open" | "error", listener: (data: unknown) => void): void;
  }
  export class WebSocketServer {
    constructor(options: { server: Server; handleProtocols: () => string });
    on(event: "connection", listener: (socket: WebSocket) => void): void;
  }
}
