// @ts-check
// The job of the inbox: a sender offers a large file and a few small ones, a person accepts, and the bytes come.

import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";

import { MiB, makeBytes, sha256Of, waitFor } from "../e2e/harness.mjs";
import { decide, inbox, offer, put, state } from "../e2e/inbox.mjs";

/** The first one is too large to come in one piece. @type {[string, Buffer][]} */
const files = [
    ["film.bin", makeBytes(MiB + MiB / 4 + 11, 31)],
    ["notes/empty.txt", Buffer.alloc(0)],
    ["notes/1.bin", makeBytes(4096, 41)],
    ["notes/2.bin", makeBytes(70_000, 42)],
    ["notes/3.bin", makeBytes(1, 43)],
];
const sums = files.map(([, bytes]) => sha256Of(bytes));

/**
 * @param {() => import("../e2e/harness.mjs").Hostpair} receiver
 * @param {<T>(call: () => Promise<T>) => Promise<T>} insist makes a call again that was cut off
 */
export function receiveJob(receiver, insist) {
    /** @type {string | undefined} */
    let token;
    let id = 0;
    const b = () => receiver();
    const ask = () =>
        offer(
            b(),
            files.map(([name, bytes], i) => ({ name, size: bytes.length, sha256: sums[i] })),
        );
    const newest = async () => (await insist(() => inbox(b())))[0].id;

    /** An offer that could not be put on record is over before a byte of it came. @param {any} transfer */
    const untouched = (transfer) =>
        transfer.files.every((/** @type {any} */ f) => f.received === 0 && !f.done);

    /** What landed: every byte of every file, and nothing else. */
    async function compare() {
        const transfer = (await insist(() => b().api(`/inbox/${id}`))).json;
        assert.equal(transfer.state, "done");
        transfer.files.forEach((/** @type {any} */ file, /** @type {number} */ i) => {
            const [name, bytes] = files[i];
            assert.equal(file.path, `Received/Anna/${name}`);
            assert.ok(readFileSync(join(b().downloadsDir, file.path)).equals(bytes), name);
        });
        const names = readdirSync(b().downloadsDir, { recursive: true, encoding: "utf8" });
        assert.deepEqual(
            names.sort(),
            ["Received", "Received/Anna", "Received/Anna/notes"]
                .concat(files.map(([name]) => `Received/Anna/${name}`))
                .sort(),
        );
    }

    /** Cancels offers whose answer was lost. */
    async function clear() {
        for (const { id, state } of await insist(() => inbox(b())))
            if (state === "asking" || state === "receiving") await insist(() => decide(b(), id, "cancel"));
    }

    /** Sends what is missing. @returns {Promise<string | undefined>} what the sender was told */
    async function send(/** @type {string} */ token) {
        for (const { id, received, wanted, done } of (await insist(() => state(b(), token))).json.files) {
            const bytes = files[Number(id)][1];
            const range = received > 0 ? `bytes ${received}-${bytes.length - 1}/${bytes.length}` : undefined;
            assert.equal(wanted, true);
            if (done) continue;
            const reply = await insist(() => put(b(), token, id, bytes.subarray(received), range));
            if (reply.status >= 400) return reply.json.detail;
            assert.equal(reply.json.done, true, reply.text);
        }
    }

    return {
        name: "files into the inbox",
        async prepare() {
            token = undefined;
            for (const name of existsSync(b().downloadsDir) ? readdirSync(b().downloadsDir) : [])
                await rm(join(b().downloadsDir, name), { recursive: true, force: true });
        },
        async run() {
            const offered = await insist(ask);
            if (offered.status !== 202) return offered.json.detail;
            token = /** @type {string} */ (offered.json.id);
            id = await newest();
            const accepted = await insist(() => decide(b(), id, "accept"));
            if (accepted.status !== 200) return accepted.json.detail;
            const said = await send(token);
            if (said === undefined) await compare();
            return said;
        },
        async finish() {
            /** @type {any} */
            let now;
            await waitFor(
                async () => {
                    if (token === undefined) {
                        await clear();
                        const offered = await insist(ask);
                        assert.equal(offered.status, 202, offered.text);
                        token = /** @type {string} */ (offered.json.id);
                        id = await newest();
                    }
                    now = (await insist(() => state(b(), /** @type {string} */ (token)))).json;
                    if (now.state === "asking") await decide(b(), (id = await newest()), "accept");
                    else if (now.state === "receiving") await send(token);
                    else if (now.state === "failed" && now.reason && untouched(now)) token = undefined;
                    else assert.equal(now.state, "done", now.reason);
                    return now.state === "done";
                },
                { timeout: 30_000, interval: 20, detail: () => ({ now, log: b().stderr().slice(-1500) }) },
            );
            await compare();
        },
    };
}
