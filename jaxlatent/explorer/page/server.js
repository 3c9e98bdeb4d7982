import { unpack } from "./wire.js";

/** Asks the explorer's server; each method gives what it answers, or null where a newer question overtook it. */
export class ServerEngine {
  constructor() {
    this.tab = Math.random().toString(36).slice(2);
  }

  async send(name, body, headers = {}) {
    let reply;
    try {
      reply = await fetch(`api/${name}`, {
        method: body === undefined ? "GET" : "POST",
        headers: { "x-tab": this.tab, ...headers },
        body,
      });
    } catch {
      throw new Error("the explorer's server does not answer; start the command again and reload this page");
    }
    if (reply.status === 204) return null;
    if (!reply.ok) {
      const answer = await reply.json().catch(() => ({}));
      throw new Error(answer.error ?? `the explorer's server answered ${reply.status}`);
    }
    return reply;
  }

  async ask(name, question, purpose = "") {
    // The newest question of a tab overtakes the others of its kind, but not those for something else.
    const reply = await this.send(name, JSON.stringify(question), { "x-tab": this.tab + purpose });
    return reply && unpack(await reply.arrayBuffer());
  }

  async info() {
    return (await this.send("info")).json();
  }

  face(state) {
    return this.ask("face", { state });
  }

  faces(question, purpose) {
    return this.ask("faces", question, purpose);
  }

  plane(question) {
    return this.ask("plane", question);
  }

  neighbours(state) {
    return this.ask("neighbours", { state, count: 8 });
  }

  pictures(rows) {
    return this.ask("pictures", { rows });
  }

  async encode(file) {
    return unpack(await (await this.send("encode", file)).arrayBuffer());
  }

  async animation(question) {
    return (await this.send("animation", JSON.stringify(question))).blob();
  }
}
