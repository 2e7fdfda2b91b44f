// @ts-check
// A hub that lies: it says of members, lists, relays and events whatever a test tells it to. Hosts take it for a hub, as it
// has the key that the invite names. It speaks server/peer/PROTOCOL.md, part "Hub", as far as hosts ask for it.

import { createCipheriv, randomBytes } from "node:crypto";
import { createServer as createHttpsServer } from "node:https";
import { createServer } from "node:net";
import tls from "node:tls";
import { deflateSync } from "node:zlib";

import { waitFor } from "./harness.mjs";
import { identityOf, makeIdentity } from "./identities.mjs";

/**
 * @typedef {import("./hub.mjs").Group} Group
 * @typedef {import("./identities.mjs").Identity} Identity
 * @typedef {{ method: string, path: string, host: string, json: any }} Asked
 */

/**
 * A member as a hub tells of one; changes overwrite what would be true.
 * @param {Group} group @param {Identity} identity @param {string} name @param {object} [changes]
 */
export function memberOf(group, identity, name, changes = {}) {
    const fingerprint = Buffer.from(identity.fingerprint, "hex");
    return {
        id: identity.id,
        fingerprint: identity.fingerprint,
        name,
        proof: group.proofOf(/** @type {any} */ ({ fingerprint })).toString("hex"),
        online: false,
        list: null,
        ...changes,
    };
}

/**
 * The list of a member, sealed for the group.
 * @param {Group} group @param {Identity} identity @param {number} revision @param {object[]} files
 */
export function sealedList(group, identity, revision, files) {
    const head = Buffer.alloc(12);
    head.write("HPL1");
    head.writeBigUInt64BE(BigInt(revision), 4);
    const nonce = randomBytes(12);
    const cipher = createCipheriv("aes-256-gcm", group.content, nonce);
    cipher.setAAD(Buffer.concat([head, Buffer.from(identity.fingerprint, "hex")]));
    const text = files.map((file) => `${JSON.stringify(file)}\n`).join("");
    const sealed = [cipher.update(deflateSync(Buffer.from(text))), cipher.final()];
    return Buffer.concat([head, nonce, ...sealed, cipher.getAuthTag()]);
}

/**
 * Starts one on loopback.
 * @param {import("node:test").TestContext} t
 */
export async function startLyingHub(t) {
    const identity = makeIdentity();
    /** @type {Set<import("node:net").Socket>} */
    const sockets = new Set();
    /** Event streams by the id of the host. @type {Map<string, import("node:http").ServerResponse>} */
    const streams = new Map();
    /** @type {Asked[]} */
    const asked = [];
    const self = {
        port: 0,
        ...identity,
        /** All calls that came. */
        asked,
        /** Who is in the group: the answer to a host that joins. @type {unknown[]} */
        members: [],
        /** Sealed lists by the id of the member. @type {Map<string, Buffer>} */
        lists: new Map(),
        /**
         * Answers a call in its own way. undefined: as a hub would.
         * @type {(call: Asked, response: import("node:http").ServerResponse) => boolean | void}
         */
        answer: () => false,
        /** A connection that began with the relay's line. @type {(socket: import("node:net").Socket, line: string) => void} */
        relayed: (socket) => void socket.destroy(),
        /** Whether this host listens to events. @param {string} id */
        hears: (id) => streams.has(id),
        /** Bytes into a host's event stream. @param {string} id @param {string | Buffer} bytes */
        say: (id, bytes) => streams.get(id)?.write(bytes),
        /** @param {string} id @param {string} event @param {object} data */
        tell: (id, event, data) => self.say(id, `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`),
        /** Waits until a call came. @param {string} method @param {RegExp} path @returns {Promise<Asked>} */
        call: async (method, path) =>
            /** @type {Asked} */ (
                await waitFor(() => asked.find((each) => each.method === method && path.test(each.path)), {
                    timeout: 20_000,
                    what: `${method} ${path}`,
                    detail: () => asked.map((each) => `${each.method} ${each.path}`),
                })
            ),
    };

    /** @param {Asked} call @param {import("node:http").ServerResponse} response */
    const asAHub = (call, response) => {
        const json = (/** @type {number} */ status, /** @type {object} */ body) =>
            response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
        if (call.path === "/hub/v1/events") {
            response.writeHead(200, { "Content-Type": "text/event-stream" }).write(":\n\n");
            streams.set(call.host, response);
            response.on("close", () => streams.get(call.host) === response && streams.delete(call.host));
        } else if (call.method === "PUT" && call.path.endsWith("/members/self")) {
            json(200, { members: self.members, hub: null, stun_ports: [self.port, self.port + 1] });
        } else if (call.method === "GET" && call.path.includes("/lists/")) {
            const list = self.lists.get(call.path.slice(-32));
            if (list) response.writeHead(200, { "Content-Type": "application/octet-stream" }).end(list);
            else response.writeHead(404).end();
        } else if (call.path.endsWith("/links")) {
            json(202, {});
        } else if (call.path.endsWith("/relays")) {
            json(503, { code: "busy", detail: "this hub relays nothing" });
        } else {
            response.writeHead(204).end();
        }
    };

    const https = createHttpsServer(
        { key: identity.key, cert: identity.cert, requestCert: true, rejectUnauthorized: false },
        (request, response) => {
            const socket = /** @type {tls.TLSSocket} */ (request.socket);
            const host = identityOf(socket.getPeerCertificate().raw)?.id ?? "";
            /** @type {Buffer[]} */
            const pieces = [];
            request.on("data", (piece) => pieces.push(piece));
            request.on("end", () => {
                const type = request.headers["content-type"] ?? "";
                const body = Buffer.concat(pieces).toString();
                const call = {
                    method: request.method ?? "",
                    path: request.url ?? "",
                    host,
                    json: type.includes("json") && body ? JSON.parse(body) : undefined,
                };
                asked.push(call);
                if (self.answer(call, response) !== true) asAHub(call, response);
            });
        },
    );
    const door = createServer((socket) => {
        sockets.add(socket);
        socket.on("close", () => sockets.delete(socket)).on("error", () => {});
        socket.once("data", (first) => {
            socket.pause();
            if (first.subarray(0, 2).toString() === "HO") {
                self.relayed(socket, first.toString());
                return;
            }
            socket.unshift(first);
            https.emit("connection", socket);
        });
    });
    await new Promise((done) => door.listen(0, "127.0.0.1", () => done(undefined)));
    self.port = /** @type {import("node:net").AddressInfo} */ (door.address()).port;
    t.after(() => {
        door.close();
        for (const socket of sockets) socket.destroy();
    });
    return self;
}

/**
 * Takes a relayed connection as another host would that was called, or that calls: joins in TLS with this key.
 * @param {import("node:net").Socket} socket @param {Identity} identity
 */
export function callThrough(socket, identity) {
    socket.write("OK\r\n");
    socket.resume();
    return tls.connect({ socket, key: identity.key, cert: identity.cert, rejectUnauthorized: false });
}
