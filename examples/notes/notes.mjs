// A text that many people write into: each line of the input is put at its end, and the text is shown when it changes.
//
//   node notes.mjs CANVAS [URL]      URL: ws://127.0.0.1:8080 unless given
import { createInterface } from "node:readline";
import WebSocket from "ws";
import * as Y from "yjs";
import { connect } from "scumble-client";
import { ScumbleProvider } from "scumble-client/yjs";

const [canvas = "demo", url = "ws://127.0.0.1:8080"] = process.argv.slice(2);
const room = await connect({ url, canvas, user: { name: "Notes" }, WebSocket });
room.on("error", (error) => console.error(error.message));

const doc = new Y.Doc();
const provider = new ScumbleProvider(room, "notes", doc);
const text = doc.getText("notes");
const show = () => console.log(JSON.stringify(text.toString()));
await provider.whenSynced();
show();
text.observe(show);

for await (const line of createInterface({ input: process.stdin })) text.insert(text.length, `${line}\n`);
await provider.whenSynced();
provider.destroy();
room.close();
