// @ts-check
import { readFileSync, readdirSync } from "node:fs";
import { connect } from "node:tls";

import { sleep } from "../../e2e/harness.mjs";
import { Group, startHub } from "../../e2e/hub.mjs";
import { makeIdentity } from "../../e2e/identities.mjs";
import { cpuOf, memoryOf } from "../measure.mjs";

export const title = "a hub with 10,000 members that are there, in groups of 1,000";
export const goal =
    "all held, or as many as descriptors allow, at most 45 KiB each, idle below 0.2 of a core";

const GROUP = 1000;
const AT_ONCE = 20;
const IDLE_MS = 65_000; // two comments to each
/** A hub takes so many connections from one address. */
const PER_ADDRESS = 1900;

/**
 * Joins and opens its event stream; comes back when the hub has begun to send. What comes is thrown away.
 * @param {import("../../e2e/hub.mjs").Hub} hub @param {Group} group @param {number} number
 * @returns {Promise<import("node:tls").TLSSocket>}
 */
function attend(hub, group, number) {
    const { key, cert, fingerprint } = makeIdentity();
    const member = /** @type {any} */ ({ fingerprint: Buffer.from(fingerprint, "hex") });
    const body = JSON.stringify({
        credential: group.credential.toString("hex"),
        proof: group.proofOf(member).toString("hex"),
        name: `member ${number}`,
    });
    const localAddress = `127.0.1.${1 + Math.floor(number / PER_ADDRESS)}`;
    return new Promise((done, fail) => {
        const at = { host: "127.0.0.1", port: hub.port, localAddress };
        const socket = connect({ ...at, key, cert, rejectUnauthorized: false, minVersion: "TLSv1.3" });
        socket.once("secureConnect", () =>
            socket.write(
                `PUT ${group.path}/members/self HTTP/1.1\r\nHost: hub\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
            ),
        );
        /** @type {Buffer[]} */
        const pieces = [];
        let have = 0;
        let wanted = Infinity;
        const onJoining = (/** @type {Buffer} */ piece) => {
            pieces.push(piece);
            have += piece.length;
            if (wanted === Infinity) {
                const head = Buffer.concat(pieces).toString("latin1");
                const end = head.indexOf("\r\n\r\n");
                if (end < 0) return;
                if (!head.startsWith("HTTP/1.1 200 ")) fail(new Error(head.slice(0, 500)));
                wanted = end + 4 + Number(/content-length: (\d+)/i.exec(head)?.[1]);
            }
            if (have < wanted) return;
            socket.off("data", onJoining);
            socket.once("data", () => done(socket)).resume();
            socket.write("GET /hub/v1/events HTTP/1.1\r\nHost: hub\r\n\r\n");
        };
        socket.on("data", onJoining).once("error", fail);
    });
}

/** How many a hub takes that may have so many descriptors: half are the relay's. @param {number} limit */
const membersAt = (limit) => Math.floor(((limit - 128) / 2 / 4) * 0.97);

/** @param {import("../hostpairs.mjs").Bench} bench */
export async function run(bench) {
    const limit = Number(/^Max open files +\d+ +(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1]);
    const count = Math.min(Number(process.env.HP_BENCH_MEMBERS ?? 10_000), membersAt(limit));
    /** @type {(() => unknown)[]} */
    const ends = [];
    const hub = await startHub({ after: (/** @type {() => unknown} */ end) => void ends.push(end) });
    const before = memoryOf(hub.pid);
    const descriptors = () => readdirSync(`/proc/${hub.pid}/fd`).length;
    const closed = descriptors();
    /** @type {import("node:tls").TLSSocket[]} */
    const sockets = [];
    const begun = Date.now();
    let group = new Group();
    for (let i = 0; i < count; i += AT_ONCE) {
        if (i % GROUP === 0) group = new Group();
        const some = Array.from({ length: Math.min(AT_ONCE, count - i) }, (_, k) =>
            attend(hub, group, i + k),
        );
        sockets.push(...(await Promise.all(some)));
        if ((i + AT_ONCE) % 1000 === 0) bench.say(`    ${i + AT_ONCE} members`);
    }
    const seconds = (Date.now() - begun) / 1000;
    await sleep(3000); // what they were told of each other has arrived
    const each = (memoryOf(hub.pid) - before) / count;
    const of = (descriptors() - closed) / count;
    const cpu = cpuOf(hub.pid);
    await sleep(IDLE_MS);
    const idle = (cpuOf(hub.pid) - cpu) / (IDLE_MS / 1000);
    const held = sockets.filter((socket) => !socket.readableEnded && !socket.destroyed).length;
    for (const socket of sockets) socket.destroy();
    for (const end of ends) await end();
    return {
        figures: [],
        goals: [
            {
                what: `${held} of ${count} held, after ${seconds.toFixed(0)} s, with ${limit} descriptors allowed`,
                ok: held === count,
            },
            {
                what: `${(each / 1024).toFixed(1)} KiB each, ${of.toFixed(1)} descriptors`,
                ok: each <= 45 * 1024,
            },
            { what: `idle: ${idle.toFixed(3)} of a core`, ok: idle < 0.2 },
        ],
    };
}
