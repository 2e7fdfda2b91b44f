// @ts-check
// A bad network between two hosts: a TCP proxy that slows, delays, stalls, cuts and refuses, and that counts what passes.
//
//   const link = await startLink({ t, to: a.peerPort, rate: 20 * MiB });
//   await addHost(b, link.port);
//
// It reads just enough of HTTP/1 to know which request a byte belongs to, so that a test can tell at the link itself
// which ranges of a file were carried more than once. TLS between two hosts of the test does not keep it from that: it
// shows each of them the other one's key, which it finds in their data folders. Between others TLS passes as it is.

import { once } from "node:events";
import net from "node:net";
import tls from "node:tls";

import { identityAt, identityOf } from "./identities.mjs";

/**
 * @typedef {object} Carried  one request and what has come back for it
 * @property {string} method
 * @property {string} path as it was sent, with its query
 * @property {Record<string, string>} headers lower-case names
 * @property {number} status 0 until the reply begins
 * @property {Record<string, string>} replyHeaders
 * @property {number} first offset of the reply's first byte in the file
 * @property {number} bytes body bytes handed on
 * @property {number} at when the request came, as performance.now() says it
 * @property {number} connection number of the connection, from 1
 * @property {boolean} encrypted it came over TLS
 *
 * @typedef {Awaited<ReturnType<typeof startLink>>} Link
 */

/** @param {number} ms */
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** Waits until a socket takes more, or is closed. @param {net.Socket} socket */
const drained = (socket) =>
    new Promise((done) => {
        const end = () => {
            socket.off("drain", end).off("close", end);
            done(undefined);
        };
        socket.on("drain", end).on("close", end);
    });

/** @param {string} text the head without its last empty line */
function parseHead(text) {
    const [line, ...rest] = text.split("\r\n");
    /** @type {Record<string, string>} */
    const headers = {};
    for (const one of rest) {
        const at = one.indexOf(":");
        if (at > 0) headers[one.slice(0, at).toLowerCase()] = one.slice(at + 1).trim();
    }
    return { line, headers };
}

/**
 * Splits one direction of a connection into heads and bodies.
 * @param {(head: { line: string, headers: Record<string, string> }) => number} onHead returns the body's length, -1 for
 * a chunked one, Infinity for all that follows, and a negative number below -1 for a head without a message of its own
 * @param {(length: number) => void} onBody
 */
function splitter(onHead, onBody) {
    let head = Buffer.alloc(0);
    let left = 0;
    let chunked = false;
    /** @type {"head" | "body" | "size" | "tail"} */
    let state = "head";
    return (/** @type {Buffer} */ data) => {
        while (data.length > 0) {
            if (state === "body") {
                const n = Math.min(left, data.length);
                onBody(n);
                left -= n;
                data = data.subarray(n);
                if (left === 0) state = chunked ? "tail" : "head";
                continue;
            }
            head = Buffer.concat([head, data]);
            data = Buffer.alloc(0);
            const mark = state === "head" ? "\r\n\r\n" : "\r\n";
            const end = head.indexOf(mark);
            if (end < 0) return;
            const text = head.subarray(0, end).toString("latin1");
            data = head.subarray(end + mark.length);
            head = Buffer.alloc(0);
            if (state === "head") {
                const length = onHead(parseHead(text));
                chunked = length === -1;
                left = Math.max(length, 0);
                state = chunked ? "size" : left > 0 ? "body" : "head";
            } else if (state === "tail") {
                state = "size";
            } else {
                left = parseInt(text, 16);
                if (left > 0) state = "body";
                else {
                    // The last chunk: no trailers are expected, an empty line ends it.
                    state = "head";
                    chunked = false;
                    if (data.subarray(0, 2).toString() === "\r\n") data = data.subarray(2);
                }
            }
        }
    };
}

/**
 * @param {object} options
 * @param {{ after(fn: () => unknown): unknown }} [options.t] close when this test ends
 * @param {number} options.to port on 127.0.0.1 that it leads to
 * @param {number} [options.rate] bytes a second towards the client, over all connections; 0: as fast as it goes
 * @param {number} [options.delay] milliseconds before anything of the client's is handed on
 */
export async function startLink({ t, to, rate = 0, delay = 0 }) {
    /** @type {Carried[]} */
    const requests = [];
    /** @type {Set<net.Socket>} */
    const sockets = new Set();
    /** Of clients, before it is known what they speak. @type {Set<net.Socket>} */
    const raws = new Set();
    let connections = 0;
    let down = false;
    let stalled = false;
    let cutIn = Infinity;
    let cuts = 0;
    let free = performance.now();
    /** @type {Array<() => void>} */
    let waiting = [];

    const link = {
        port: 0,
        /** Where the link leads; may be changed for connections to come. */
        to,
        /** Where connections in plain HTTP lead, if it is elsewhere. @type {number | undefined} */
        plainTo: undefined,
        /** Bytes a second towards the client, over all connections. */
        rate,
        delay,
        requests,
        /** Called when a reply begins; false breaks the connection before a byte of it. @type {((request: Carried) => boolean) | undefined} */
        onReply: undefined,
        /** Connections that were made so far. */
        connections: () => connections,
        open: () => sockets.size,
        /** Refuses new connections and breaks those there are. */
        goDown() {
            down = true;
            breakAll();
        },
        comeUp() {
            down = false;
        },
        /** Hands nothing on, and breaks nothing. */
        stall() {
            stalled = true;
        },
        go() {
            stalled = false;
            for (const fn of waiting) fn();
            waiting = [];
        },
        breakAll,
        /** Breaks every connection after this many more bytes towards the client. @param {number} bytes */
        cutAfter(bytes) {
            cutIn = bytes;
        },
        /** Body bytes handed on for requests that `match` accepts. @param {(r: Carried) => boolean} [match] */
        carried: (match = () => true) => requests.filter(match).reduce((sum, r) => sum + r.bytes, 0),
        twice,
        close,
    };

    function breakAll() {
        for (const socket of [...sockets, ...raws]) socket.destroy();
    }

    /**
     * What was carried of one file: `bytes` in all, `distinct` offsets, and `twice`, the difference.
     * @param {string} path as it stands in the request
     */
    function twice(path) {
        const parts = requests
            .filter((r) => r.path === path && (r.status === 200 || r.status === 206) && r.bytes > 0)
            .map((r) => [r.first, r.first + r.bytes])
            .sort((x, y) => x[0] - y[0]);
        let bytes = 0;
        let distinct = 0;
        let end = 0;
        for (const [from, to] of parts) {
            bytes += to - from;
            if (to > end) {
                distinct += to - Math.max(from, end);
                end = to;
            }
        }
        return { bytes, distinct, twice: bytes - distinct };
    }

    /** Waits until `bytes` may pass. @param {number} bytes */
    async function pass(bytes) {
        if (stalled) await new Promise((done) => waiting.push(() => done(undefined)));
        if (!link.rate) return;
        const now = performance.now();
        free = Math.max(free, now - 20) + (bytes * 1000) / link.rate;
        if (free > now + 1) await sleep(free - now);
    }

    /** What a client begins with; undefined: it went without a word. @param {net.Socket} client */
    async function greeting(client) {
        await Promise.race([once(client, "readable"), once(client, "close")]).catch(() => {});
        const data = client.read();
        if (data) client.unshift(data);
        return data?.[0];
    }

    /**
     * The two ends that speak in the clear: of TLS the insides, where both keys are at hand.
     * @param {net.Socket} client
     * @returns {Promise<[net.Socket, net.Socket] | undefined>}
     */
    async function ends(client) {
        const target = { port: link.to, host: "127.0.0.1" };
        const own = identityAt(link.to);
        const first = await greeting(client);
        if (client.destroyed) return undefined;
        if (first !== 0x16 && link.plainTo) target.port = link.plainTo;
        if (first !== 0x16 || !own) return [client, net.connect({ ...target, allowHalfOpen: true })];
        const inside = new tls.TLSSocket(client, {
            isServer: true,
            key: own.key,
            cert: own.cert,
            requestCert: true,
            rejectUnauthorized: false,
            minVersion: "TLSv1.3",
            ALPNProtocols: ["http/1.1"],
        });
        inside.on("error", () => client.destroy());
        await Promise.race([once(inside, "secure"), once(inside, "close")]).catch(() => {});
        if (inside.destroyed) return undefined;
        const caller = identityOf(inside.getPeerCertificate(true)?.raw);
        const upstream = tls.connect({
            ...target,
            key: caller?.key,
            cert: caller?.cert,
            rejectUnauthorized: false,
            minVersion: "TLSv1.3",
            ALPNProtocols: ["http/1.1"],
        });
        return [inside, upstream];
    }

    const server = net.createServer({ allowHalfOpen: true }, (raw) => {
        if (down) {
            raw.destroy();
            return;
        }
        const number = ++connections;
        raws.add(raw);
        raw.on("close", () => raws.delete(raw));
        raw.on("error", () => raw.destroy());
        void ends(raw).then((both) => {
            if (!both) raw.destroy();
            else if (down) both.forEach((one) => one.destroy());
            else join(both[0], both[1], number);
        });
    });

    /** @param {net.Socket} client @param {net.Socket} upstream @param {number} number */
    function join(client, upstream, number) {
        const born = cuts;
        sockets.add(client).add(upstream);
        for (const [one, other] of [
            [client, upstream],
            [upstream, client],
        ]) {
            one.setNoDelay(true);
            one.on("error", () => other.destroy());
            one.on("close", () => {
                sockets.delete(one);
                // What was read may still wait for its turn in the slow direction.
                if (one === client) other.destroy();
            });
        }

        /** @type {Carried[]} */
        const pending = [];
        /** @type {Carried | undefined} */
        let current;
        let lostReply = false;
        const asked = splitter(
            ({ line, headers }) => {
                const [method, path] = line.split(" ");
                const one = {
                    method,
                    path,
                    headers,
                    status: 0,
                    replyHeaders: {},
                    first: 0,
                    bytes: 0,
                    at: performance.now(),
                    connection: number,
                    encrypted: client instanceof tls.TLSSocket,
                };
                requests.push(one);
                pending.push(one);
                return /chunked/i.test(headers["transfer-encoding"] ?? "")
                    ? -1
                    : Number(headers["content-length"] ?? 0);
            },
            () => {},
        );
        const answered = splitter(
            ({ line, headers }) => {
                const status = Number(line.split(" ")[1]);
                if (status >= 100 && status < 200) return 0;
                current = pending.shift();
                if (!current) return Infinity;
                current.status = status;
                current.replyHeaders = headers;
                if (link.onReply && !link.onReply(current)) lostReply = true;
                current.first = Number(/^bytes (\d+)-/.exec(headers["content-range"] ?? "")?.[1] ?? 0);
                if (current.method === "HEAD" || status === 204 || status === 304) return 0;
                if (/chunked/i.test(headers["transfer-encoding"] ?? "")) return -1;
                return headers["content-length"] === undefined ? Infinity : Number(headers["content-length"]);
            },
            (length) => {
                if (current) current.bytes += length;
            },
        );

        /**
         * @param {net.Socket} from
         * @param {net.Socket} into
         * @param {(data: Buffer) => Promise<Buffer | undefined>} each what to hand on; undefined breaks the connection
         */
        async function carry(from, into, each) {
            for await (const data of from) {
                const out = await each(data);
                if (into.destroyed) return;
                if (out?.length && !into.write(out)) await drained(into);
                if (out?.length !== data.length) {
                    into.destroy();
                    from.destroy();
                    return;
                }
            }
            into.end();
        }
        carry(client, upstream, async (data) => {
            asked(data);
            if (link.delay) await sleep(link.delay);
            if (stalled) await pass(0);
            return data;
        }).catch(() => upstream.destroy());
        carry(upstream, client, async (data) => {
            await pass(data.length);
            if (client.destroyed || born !== cuts) return undefined;
            const out = data.subarray(0, Math.min(data.length, cutIn));
            answered(out);
            if (lostReply) return undefined;
            if (cutIn !== Infinity) cutIn -= out.length;
            if (out.length < data.length || cutIn === 0) {
                cutIn = Infinity;
                cuts++;
                // What was let through goes first, also where it is encrypted on its way.
                await new Promise((done) => {
                    client.once("close", done);
                    client.write(out, done);
                });
                breakAll();
                return undefined;
            }
            return out;
        }).catch(() => client.destroy());
    }

    await new Promise((done, fail) => {
        server.once("error", fail);
        server.listen(0, "127.0.0.1", () => done(undefined));
    });
    const address = server.address();
    if (address && typeof address === "object") link.port = address.port;

    async function close() {
        link.go();
        breakAll();
        if (server.listening) await new Promise((done) => server.close(done));
    }
    t?.after(close);
    return link;
}
