/** The way in: a token, or, where there are none, a word on who may look. */

import { ask, Refused, type Session } from "./api";
import { el } from "./dom";

/** Resolves once somebody is in. The token is sent once and kept nowhere. */
export function logIn(session: Session | undefined, refusal: string | undefined, then: () => void): HTMLElement {
  if (!session) return card("No way in from here", el("p", { testid: "no-way", attrs: { role: "alert" } }, refusal ?? ""));
  const input = el("input", { testid: "token", attrs: { type: "password", id: "token", autocomplete: "current-password", required: "", spellcheck: "false" } });
  const button = el("button", { class: "primary", testid: "login", attrs: { type: "submit" } }, "Log in");
  const wrong = el("p", { class: "wrong", testid: "wrong", attrs: { role: "alert", id: "wrong" } });
  const form = el("form", {},
    el("label", { attrs: { for: "token" } }, "API token of scope admin"), input, wrong, button,
    el("p", { class: "hint" }, "It is in the server's --api-token-file: the token of a line “NAME admin TOKEN”, or all of the file if it has nothing else. " +
      "“head -c 24 /dev/urandom | base64” makes a new one. It is sent once, and this browser keeps a session of eight hours instead of it."));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    wrong.textContent = "";
    button.disabled = true;
    button.textContent = "Checking…";
    void ask("POST", "session", { token: input.value }).then(then, (error: unknown) => {
      wrong.textContent = error instanceof Refused ? error.message : "The login failed.";
      button.disabled = false;
      button.textContent = "Log in";
      input.value = "";
      input.focus();
    });
  });
  return card("scumble dashboard", form);
}

function card(title: string, ...children: Node[]): HTMLElement {
  return el("div", { class: "login" }, el("div", { class: "card" }, el("h1", {}, title), ...children));
}
