/** The library's types by the names the demo uses, so that only this file knows where they live. */

export type { ChatMessage, Op, Other, Room } from "../../client/src/types";
