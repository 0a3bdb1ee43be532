// A participant without a browser: it answers questions in the chat of a canvas.
//
//   node bot.mjs CANVAS [URL]        URL: ws://127.0.0.1:8080 unless given
import WebSocket from "ws";
import { connect } from "scumble-client";

const [canvas = "demo", url = "ws://127.0.0.1:8080"] = process.argv.slice(2);
const room = await connect({ url, canvas, user: { name: "Bot" }, WebSocket });
room.on("error", (error) => console.error(error.message));
await room.whenSynced();
console.log(`the bot is on ${canvas}`);

// The chat has a history. The bot answers what is asked from now on.
let answered = room.seq;
room.on("chat", (messages) => {
  const questions = messages.filter((message) => message.seq > answered && !message.own && message.text === "how many?");
  for (const question of questions) {
    answered = question.seq;
    room.chat.send(`${room.objects.size} objects are on this canvas`, { replyTo: question.seq });
  }
});

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => room.close());
}
