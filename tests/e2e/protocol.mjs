// @ts-check
// A client that sees HTTP as bytes: what it sends is sent as it stands, what comes is taken apart here and nowhere else.

import assert from "node:assert/strict";
import net from "node:net";

/**
 * @typedef {object} RawReply
 * @property {number} status
 * @property {string} version
 * @property {Record<string, string>} headers names in lower case; several fields of one name joined by ", "
 * @property {Buffer} body
 * @property {string} text
 */

const TIMEOUT_MS = 30_000;

/** One connection. Replies are read in order, each to its end and not a byte further. */
export class Raw {
    /** @param {number} port @param {{ host?: string, reads?: boolean, from?: string }} [options] from: its own address */
    constructor(port, { host = "127.0.0.1", reads = true, from } = {}) {
        this.socket = net.connect({ port, host, localAddress: from });
        /** @type {Buffer[]} */
        this.parts = [];
        this.length = 0;
        this.ended = false;
        /** @type {string | undefined} */
        this.error = undefined;
        /** @type {(() => void) | undefined} */
        this.wake = undefined;
        this.socket.on("data", (part) => {
            this.parts.push(part);
            this.length += part.length;
            this.wake?.();
        });
        this.socket.on("error", (error) => {
            this.error = /** @type {NodeJS.ErrnoException} */ (error).code;
        });
        this.socket.on("close", () => {
            this.ended = true;
            this.wake?.();
        });
        if (!reads) this.socket.pause();
    }

    /** @param {string | Buffer} data a string is sent byte for byte (latin1) */
    send(data) {
        this.socket.write(typeof data === "string" ? Buffer.from(data, "latin1") : data);
        return this;
    }

    /** Waits for more bytes, or for the end. */
    async more() {
        if (this.ended) return;
        await new Promise((done, fail) => {
            const timer = setTimeout(() => fail(new Error(`nothing came for ${TIMEOUT_MS} ms`)), TIMEOUT_MS);
            this.wake = () => {
                clearTimeout(timer);
                this.wake = undefined;
                done(undefined);
            };
        });
    }

    /** All that has come and was not taken yet. */
    peek() {
        if (this.parts.length !== 1) this.parts = [Buffer.concat(this.parts)];
        return this.parts[0];
    }

    /** @param {number} length */
    async take(length) {
        while (this.length < length) {
            assert.ok(!this.ended, `ended (${this.error ?? "in order"}) ${length - this.length} bytes early`);
            await this.more();
        }
        const all = this.peek();
        this.parts = [all.subarray(length)];
        this.length -= length;
        return all.subarray(0, length);
    }

    /** @param {string} end */
    async takeUntil(end) {
        for (;;) {
            const at = this.peek().indexOf(end);
            if (at >= 0) return (await this.take(at + end.length)).toString("latin1");
            assert.ok(
                !this.ended,
                `ended (${this.error ?? "in order"}) before ${JSON.stringify(end)}: "${this.peek()}"`,
            );
            await this.more();
        }
    }

    /** The status line and the fields. */
    async head() {
        const lines = (await this.takeUntil("\r\n\r\n")).split("\r\n").slice(0, -2);
        const first = /^HTTP\/(1\.\d) (\d{3}) [^\r\n]*$/.exec(lines[0]);
        assert.ok(first, `a status line: ${lines[0]}`);
        /** @type {Record<string, string>} */
        const headers = {};
        for (const line of lines.slice(1)) {
            const field = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/.exec(line);
            assert.ok(field, `a field line: ${line}`);
            const name = field[1].toLowerCase();
            headers[name] = name in headers ? `${headers[name]}, ${field[2]}` : field[2];
        }
        return { version: first[1], status: Number(first[2]), headers };
    }

    /**
     * The next reply.
     * @param {{ head?: boolean }} [options] head: it answers a HEAD
     * @returns {Promise<RawReply>}
     */
    async reply({ head = false } = {}) {
        const { version, status, headers } = await this.head();
        /** @type {Buffer} */
        let body = Buffer.alloc(0);
        if (!head && status !== 204 && status !== 304) {
            if (headers["transfer-encoding"] === "chunked") {
                const chunks = [];
                for (;;) {
                    const size = Number.parseInt(await this.takeUntil("\r\n"), 16);
                    assert.ok(size >= 0, "a chunk size");
                    chunks.push(await this.take(size));
                    assert.equal(await this.takeUntil("\r\n"), "\r\n");
                    if (size === 0) break;
                }
                body = Buffer.concat(chunks);
            } else if (headers["content-length"] !== undefined) {
                body = Buffer.from(await this.take(Number(headers["content-length"])));
            } else {
                await this.end();
                body = await this.take(this.length);
            }
        }
        return { version, status, headers, body, text: body.toString("utf8") };
    }

    /** Waits until the server has closed; returns how. */
    async end() {
        while (!this.ended) await this.more();
        return this.error;
    }

    close() {
        this.socket.destroy();
    }
}

/**
 * A request's text.
 * @param {string} target
 * @param {{ method?: string, version?: string, headers?: Record<string, string | undefined> }} [options]
 */
export function ask(target, { method = "GET", version = "1.1", headers = {} } = {}) {
    /** @type {Record<string, string | undefined>} */
    const all = { Host: "test", ...headers };
    const fields = Object.entries(all).map(([name, value]) =>
        value === undefined ? "" : `${name}: ${value}\r\n`,
    );
    return `${method} ${target} HTTP/${version}\r\n${fields.join("")}\r\n`;
}

/**
 * One request on a connection of its own, and then a second one on the same, to see that it is still in step.
 * @param {number} port
 * @param {string} target
 * @param {{ method?: string, headers?: Record<string, string | undefined> }} [options]
 */
export async function fetchRaw(port, target, options = {}) {
    const c = new Raw(port);
    try {
        c.send(ask(target, options));
        const reply = await c.reply({ head: options.method === "HEAD" });
        if (reply.headers.connection !== "close") {
            c.send(ask("/hostpair"));
            const next = await c.reply();
            assert.equal(next.status, 200, `the connection after ${target} is in step`);
            assert.equal(c.length, 0, `nothing follows the reply to ${target}`);
        }
        return reply;
    } finally {
        c.close();
    }
}

/**
 * The parts of a multipart/byteranges body.
 * @param {RawReply} reply
 */
export function parts(reply) {
    const type = /^multipart\/byteranges; boundary=([A-Za-z0-9'()+_,./:=?-]{1,70})$/.exec(
        reply.headers["content-type"],
    );
    assert.ok(type, reply.headers["content-type"]);
    const all = reply.body.toString("latin1");
    const pieces = `\r\n${all}`.split(`\r\n--${type[1]}`);
    assert.equal(pieces.shift(), "", "nothing before the first part");
    assert.match(pieces.pop() ?? "", /^--\r\n$/, "the end of the last part");
    return pieces.map((piece) => {
        const end = piece.indexOf("\r\n\r\n");
        const head = piece.slice(0, end);
        const range = /\r\nContent-Range: bytes (\d+)-(\d+)\/(\d+)(\r\n|$)/.exec(head);
        const kind = /\r\nContent-Type: ([^\r]+)/.exec(head);
        assert.ok(range && kind, head);
        return {
            first: Number(range[1]),
            last: Number(range[2]),
            total: Number(range[3]),
            type: kind[1],
            body: Buffer.from(piece.slice(end + 4), "latin1"),
        };
    });
}
