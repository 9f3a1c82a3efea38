// A client of Echolog in JavaScript: publish a command, wait for its outcome, send it again if none
// comes. Nothing here knows more than the wire contract: subjects, headers, MessagePack or JSON.

import { randomFillSync } from "node:crypto";
import { connect, headers as natsHeaders } from "@nats-io/transport-node";
import { decode, encode } from "@msgpack/msgpack";

/** A time-ordered UUID. */
export function uuid7() {
  const bytes = randomFillSync(Buffer.alloc(16));
  bytes.writeUIntBE(Date.now(), 0, 6);
  bytes[6] = (bytes[6] & 0x0f) | 0x70;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = bytes.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

const UUID7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const encodings = {
  "application/msgpack": { encode, decode },
  "application/json": {
    encode: (body) => new TextEncoder().encode(JSON.stringify(body)),
    decode: (bytes) => JSON.parse(new TextDecoder().decode(bytes)),
  },
};

/** Sends commands for any actor of a tenant; takes a service credential. */
export class Echolog {
  static async connect(url, { tenant = "main", contentType = "application/msgpack" } = {}) {
    const { username, password, host } = new URL(url);
    const connection = await connect({
      servers: host,
      ...(username && { user: decodeURIComponent(username), pass: decodeURIComponent(password) }),
    });
    return new Echolog(connection, tenant, contentType);
  }

  constructor(connection, tenant, contentType) {
    Object.assign(this, { connection, tenant, contentType, ...encodings[contentType] });
    this.waiting = new Map();
    connection.subscribe(`out.${tenant}.>`, {
      callback: (error, message) => {
        if (error) return;
        const id = message.subject.slice(message.subject.lastIndexOf(".") + 1);
        this.waiting.get(id)?.(this.decode(message.data));
      },
    });
  }

  #headers(id, extra = {}) {
    // Without a good id there is no subject to wait for the outcome on: better to say so at once.
    if (!UUID7.test(id)) throw new TypeError(`${id} is no UUIDv7 in lower-case, hyphenated text`);
    const headers = natsHeaders();
    headers.set("Nats-Msg-Id", id);
    headers.set("Content-Type", this.contentType);
    for (const [name, value] of Object.entries(extra)) headers.set(name, value);
    return headers;
  }

  /** Sends a command until there is an outcome; every attempt has the same id. */
  async send(actor, command, target, body, { id = uuid7(), attempts = 5, headers } = {}) {
    const subject = `cmd.${this.tenant}.${actor}.${command}.${target}`;
    try {
      for (let attempt = 0; attempt < attempts; attempt += 1) {
        let timer;
        const outcome = await new Promise((resolve) => {
          this.waiting.set(id, resolve);
          timer = setTimeout(resolve, 3000);
          this.connection.publish(subject, this.encode(body), { headers: this.#headers(id, headers) });
        });
        clearTimeout(timer);
        if (outcome) return outcome;
      }
    } finally {
      this.waiting.delete(id);
    }
    throw new Error(`no outcome for ${id}`);
  }

  /** Sends a command that carries a secret: by request, so that it never rests anywhere. */
  async ask(actor, command, target, body, { id = uuid7() } = {}) {
    const subject = `req.${this.tenant}.${actor}.${command}.${target}`;
    const answer = await this.connection.request(subject, this.encode(body), {
      headers: this.#headers(id),
      timeout: 15000,
    });
    return this.decode(answer.data);
  }

  async close() {
    await this.connection.close();
  }
}
