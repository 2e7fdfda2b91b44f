// A hub of the test's own, and members that are played here: another implementation of server/peer/PROTOCOL.md, part "Hub".

import { execFile, spawn } from "node:child_process";
import { createHash, createHmac, hkdfSync, randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { request as httpsRequest } from "node:https";
import { connect } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { createSocket } from "node:dgram";
import { defaultBin, tempDir, waitFor } from "./harness.mjs";

const run = promisify(execFile);

/**
 * @typedef {{ port: number, fingerprint: string, pid: number, data: string, stderr: () => string,
 *     stop: (signal?: NodeJS.Signals) => Promise<{ code: number | null, signal: string | null }> }} Hub
 */

/**
 * Starts `hostpair hub` on loopback and waits until it listens.
 * @param {import("node:test").TestContext} t
 * @param {{ args?: string[], data?: string, port?: number }} [options]
 * @returns {Promise<Hub>}
 */
export async function startHub(t, { args = [], data, port = 0 } = {}) {
    const root = tempDir();
    const folder = data ?? join(root, "hub");
    const portFile = join(root, "port.json");
    const child = spawn(
        defaultBin,
        ["hub", "--listen", `127.0.0.1:${port}`, "--data", folder, "--port-file", portFile, ...args],
        { stdio: ["ignore", "ignore", "pipe"] },
    );
    let log = "";
    child.stderr.on("data", (chunk) => (log += chunk));
    /** @type {Promise<{ code: number | null, signal: string | null }>} */
    const exited = new Promise((done) => child.on("exit", (code, signal) => done({ code, signal })));
    let over = false;
    exited.then(() => (over = true));
    const stop = async (/** @type {NodeJS.Signals} */ signal = "SIGTERM") => {
        if (!over) child.kill(signal);
        return exited;
    };
    t.after(() => stop("SIGKILL"));
    await waitFor(() => over || existsSync(portFile), {
        timeout: 30_000,
        what: "the hub to listen",
        detail: () => log,
    });
    if (over) throw new Error(`the hub did not start: ${log}`);
    const { port: bound, fingerprint } = JSON.parse(await readFile(portFile, "utf8"));
    return { port: bound, fingerprint, pid: child.pid ?? 0, data: folder, stderr: () => log, stop };
}

/** A host with a key of its own. */
export class Member {
    /** @param {string} name */
    static async create(name) {
        const folder = tempDir();
        const key = join(folder, "key.pem");
        const cert = join(folder, "cert.pem");
        // prettier-ignore
        await run("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", key, "-out", cert, "-subj", "/CN=hostpair", "-days", "3650"]);
        const { stdout } = await run("openssl", ["x509", "-in", cert, "-noout", "-pubkey"]);
        const der = Buffer.from(stdout.replace(/-----.*?-----|\s/g, ""), "base64");
        return new Member(
            name,
            readFileSync(key),
            readFileSync(cert),
            createHash("sha256").update(der).digest(),
        );
    }

    /**
     * @param {string} name
     * @param {Buffer} key
     * @param {Buffer} cert
     * @param {Buffer} fingerprint
     */
    constructor(name, key, cert, fingerprint) {
        this.name = name;
        this.key = key;
        this.cert = cert;
        this.fingerprint = fingerprint;
        this.id = fingerprint.subarray(0, 16).toString("hex");
    }

    /**
     * One call over TLS with this member's certificate.
     * @param {Hub} hub
     * @param {string} method
     * @param {string} path
     * @param {{ json?: unknown, body?: Buffer | string, headers?: Record<string, string> }} [init]
     * @returns {Promise<{ status: number, headers: import("node:http").IncomingHttpHeaders, body: Buffer, json: any }>}
     */
    call(hub, method, path, { json, body, headers = {} } = {}) {
        const sent = json !== undefined ? JSON.stringify(json) : body;
        return new Promise((resolve, reject) => {
            const request = httpsRequest(
                {
                    host: "127.0.0.1",
                    port: hub.port,
                    method,
                    path,
                    key: this.key,
                    cert: this.cert,
                    rejectUnauthorized: false,
                    minVersion: "TLSv1.3",
                    agent: false,
                    headers:
                        sent !== undefined
                            ? { "Content-Length": Buffer.byteLength(sent), ...headers }
                            : headers,
                },
                (response) => {
                    /** @type {Buffer[]} */
                    const pieces = [];
                    response.on("data", (piece) => pieces.push(piece));
                    response.on("error", reject);
                    response.on("end", () => {
                        const whole = Buffer.concat(pieces);
                        const is = (response.headers["content-type"] ?? "").includes("json");
                        resolve({
                            status: response.statusCode ?? 0,
                            headers: response.headers,
                            body: whole,
                            json: is ? JSON.parse(whole.toString()) : undefined,
                        });
                    });
                },
            );
            request.on("error", reject);
            request.end(sent);
        });
    }

    /**
     * @param {Hub} hub
     * @param {Group} group
     * @param {Record<string, unknown>} [changes] to the body
     */
    join(hub, group, changes = {}) {
        return this.call(hub, "PUT", `${group.path}/members/self`, {
            json: {
                credential: group.credential.toString("hex"),
                proof: group.proofOf(this).toString("hex"),
                name: this.name,
                ...changes,
            },
        });
    }

    /**
     * Opens an event stream. `events` grows; `next(name)` waits for the next event of that name.
     * @param {Hub} hub
     */
    async listen(hub) {
        /** @type {{ event: string, data: any }[]} */
        const events = [];
        let text = "";
        let closed = false;
        let taken = 0;
        /** @type {import("node:http").ClientRequest} */
        let request;
        /** @type {number} */
        const status = await new Promise((resolve, reject) => {
            request = httpsRequest(
                {
                    host: "127.0.0.1",
                    port: hub.port,
                    path: "/hub/v1/events",
                    key: this.key,
                    cert: this.cert,
                    rejectUnauthorized: false,
                    agent: false,
                },
                (response) => {
                    response.on("close", () => (closed = true));
                    response.on("error", () => (closed = true));
                    response.on("data", (piece) => {
                        text += piece;
                        for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2)) {
                            const fields = text.slice(0, end).split("\n");
                            const event = fields.find((line) => line.startsWith("event: "))?.slice(7);
                            const data = fields.find((line) => line.startsWith("data: "))?.slice(6);
                            if (event && data) events.push({ event, data: JSON.parse(data) });
                        }
                    });
                    resolve(response.statusCode ?? 0);
                },
            );
            request.on("error", reject);
            request.end();
        });
        return {
            status,
            events,
            closed: () => closed,
            close: () => request.destroy(),
            /** @param {string} name */
            async next(name) {
                /** @type {any} */
                let found;
                await waitFor(
                    () => {
                        const at = events.findIndex((each, index) => index >= taken && each.event === name);
                        if (at < 0) return false;
                        taken = at + 1;
                        found = events[at].data;
                        return true;
                    },
                    { what: `an event "${name}"`, detail: () => JSON.stringify(events) },
                );
                return found;
            },
        };
    }
}

/** The keys of a group, made of its secret. */
export class Group {
    constructor(secret = randomBytes(16)) {
        const derive = (/** @type {string} */ use, /** @type {number} */ length) =>
            Buffer.from(hkdfSync("sha256", secret, Buffer.alloc(0), `hostpair group 1 ${use}`, length));
        this.secret = secret;
        this.gid = derive("id", 16);
        this.credential = derive("credential", 32);
        this.member = derive("member", 32);
        this.content = derive("content", 32);
        this.path = `/hub/v1/groups/${this.gid.toString("hex")}`;
    }

    /** @param {Member} member */
    proofOf(member) {
        return createHmac("sha256", this.member).update(member.fingerprint).digest();
    }

    /** @param {Hub} hub */
    invite(hub) {
        const where = `127.0.0.1:${hub.port}`;
        const bytes = Buffer.concat([
            Buffer.from([1]),
            this.secret,
            Buffer.from(hub.fingerprint, "hex").subarray(0, 16),
        ]);
        const sum = crc32(Buffer.concat([Buffer.from(where), bytes]));
        const whole = Buffer.concat([bytes, Buffer.from([(sum >>> 8) & 255, sum & 255])]);
        let bits = "";
        for (const byte of whole) bits += byte.toString(2).padStart(8, "0");
        const letters = (bits.match(/.{5}/g) ?? []).map(
            (five) => "abcdefghijklmnopqrstuvwxyz234567"[parseInt(five, 2)],
        );
        return `hostpair://join/${where}/${letters.join("")}`;
    }
}

/** @param {Buffer} data */
function crc32(data) {
    let sum = ~0;
    for (const byte of data) {
        sum ^= byte;
        for (let i = 0; i < 8; i++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
    }
    return ~sum >>> 0;
}

/**
 * A raw connection: what came so far, and whether it has ended.
 * @param {number} port
 * @param {Buffer | string} [first]
 */
export async function rawConnection(port, first) {
    const socket = connect(port, "127.0.0.1");
    let got = Buffer.alloc(0);
    let ended = false;
    socket.on("data", (piece) => (got = Buffer.concat([got, piece])));
    socket.on("close", () => (ended = true));
    socket.on("error", () => (ended = true));
    await new Promise((done) => socket.once("connect", done));
    if (first !== undefined) socket.write(first);
    return { socket, got: () => got, ended: () => ended };
}

/**
 * A STUN binding request (RFC 8489) to a port on loopback; the address that the answer tells, or undefined.
 * @param {number} port
 * @param {{ datagram?: Buffer, count?: number }} [options]
 */
export async function stun(port, { datagram, count = 1 } = {}) {
    const socket = createSocket("udp4");
    await new Promise((done) => socket.bind(0, "127.0.0.1", () => done(undefined)));
    const transaction = randomBytes(12);
    const head = Buffer.concat([Buffer.from("000100082112a442", "hex"), transaction]);
    const sum = Buffer.alloc(8);
    sum.writeUInt16BE(0x8028, 0);
    sum.writeUInt16BE(4, 2);
    sum.writeUInt32BE((crc32(head) ^ 0x5354554e) >>> 0, 4);
    /** @type {Buffer[]} */
    const answers = [];
    socket.on("message", (message) => answers.push(message));
    for (let i = 0; i < count; i++) socket.send(datagram ?? Buffer.concat([head, sum]), port, "127.0.0.1");
    await waitFor(() => answers.length > 0, { timeout: 700, what: "an answer" }).catch(() => {});
    if (count > 1) await new Promise((done) => setTimeout(done, 200));
    const own = socket.address().port;
    socket.close();
    if (answers.length === 0) return { answers: 0, own };
    const at = answers[0].indexOf(Buffer.from([0x00, 0x20, 0x00, 0x08]));
    return {
        answers: answers.length,
        own,
        port: answers[0].readUInt16BE(at + 6) ^ 0x2112,
        bytes: answers[0].length,
    };
}
