/** Streams of events before the model server, in virtual time. Posts and their answers may be lost; events come in pieces. */

import type { Answering, Environment } from "../src/environment.js";
import type { Line, Page, Peer } from "./world.js";
import type { Listen } from "./world.js";

/** Of the posts, and of their answers: the share that is lost. */
const LOST = 0.03;

interface Stream {
  readonly line: Line;
  peer: Peer | undefined;
  taken: number;
  open: boolean;
}

export class ModelHttp {
  private readonly streams = new Map<string, Stream>();
  /** Every post that came, as it was asked for. */
  readonly posts: { readonly url: string; readonly body: string }[] = [];
  /** The server is too old for it. */
  missing = false;

  constructor(private readonly page: Page, private readonly listen: Listen) {}

  request: NonNullable<Environment["request"]> = (url, body, answering) => {
    const [, , session] = new URL(url).pathname.slice(1).split("/");
    if (session !== undefined) return this.post(session, url, body ?? "", answering);
    return body === undefined || this.missing ? this.answer(this.missing ? 404 : 405, answering) : this.stream(body, answering);
  };

  private answer(status: number, answering: Answering): () => void {
    const { world } = this.page;
    let given = false;
    this.page.after(world.latency(), () => {
      if (given) return;
      if (world.online) answering.status(status);
      answering.ended();
    });
    return () => (given = true);
  }

  private stream(hello: string, answering: Answering): () => void {
    const name = `session-${this.streams.size}`;
    const line = this.page.lineTo((line) => (stream.peer = this.listen(line)));
    const stream: Stream = { line, peer: undefined, taken: 0, open: true };
    this.streams.set(name, stream);
    const say = (event: string, data: string): void => this.inPieces(`${event && `event: ${event}\n`}data: ${data}\n\n`, answering);
    line.onopen = () => {
      answering.status(200);
      say("session", JSON.stringify({ session: name }));
      line.send(hello);
    };
    line.onmessage = ({ data }) => {
      const { taken } = JSON.parse(String(data)) as { taken?: number };
      if (taken === undefined) say("", String(data));
      else say("taken", String(taken));
    };
    line.onclose = ({ code, reason }) => {
      stream.open = false;
      if (code !== 1006) say("close", JSON.stringify({ code, reason }));
      answering.ended();
    };
    return () => {
      stream.open = false;
      line.onclose = line.onmessage = line.onopen = null;
      line.close();
    };
  }

  private inPieces(text: string, answering: Answering): void {
    const cut = Math.floor(this.page.random() * text.length);
    answering.piece(text.slice(0, cut));
    answering.piece(text.slice(cut));
  }

  private post(session: string, url: string, body: string, answering: Answering): () => void {
    const { world } = this.page;
    let given = false;
    const ended = (status?: number): void =>
      void this.page.after(world.latency(), () => {
        if (given) return;
        if (status !== undefined) answering.status(status);
        answering.ended();
      });
    const number = Number(new URL(url).searchParams.get("post"));
    // A post that was sent arrives, whether its page is still there or not.
    world.after(world.latency() + world.takes(body), () => {
      this.posts.push({ url, body });
      const stream = this.streams.get(session);
      if (!world.online || world.random() < LOST) return ended();
      if (!stream?.open) return ended(410);
      if (number > stream.taken + 1) return ended(409);
      if (number === stream.taken + 1) {
        stream.taken = number;
        for (const message of JSON.parse(body) as unknown[]) stream.peer?.received(JSON.stringify(message));
        stream.line.deliver({ taken: number });
      }
      ended(world.random() < LOST ? undefined : 202);
    });
    return () => (given = true);
  }
}
