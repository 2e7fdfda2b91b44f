// @ts-check
// Many clients that ask for lists of many files, and do not read them or go at once: they cost the others nothing.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { startHostpair, waitFor } from "./harness.mjs";

const FILES = 20_000;
/**
 * What hostpair may compute between a call and its answer, on all its threads: far above what an answer takes, far below what it
 * took while every asker had a job in the store. The time by the clock would say as much about the rest of the machine.
 */
const PATIENCE_MS = 500 * Number(process.env.HP_E2E_PATIENCE || 1);

/** @type {Record<string, string>} */
const QUESTIONS = {
    "the list as text": "GET /list HTTP/1.1\r\nHost: x\r\n\r\n",
    "the list as JSON": "GET /list HTTP/1.1\r\nHost: x\r\nAccept: application/x-ndjson\r\n\r\n",
    "the page": "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a hash tree": "GET /manifest/ROOT?chunk=16384 HTTP/1.1\r\nHost: x\r\n\r\n",
};

describe("a crowd", () => {
    /** @type {import("./harness.mjs").Hostpair} */
    let h;
    let root = "";
    before(
        async () => {
            h = await startHostpair({ name: "h" });
            mkdirSync(join(h.shareDir, "below"));
            for (let i = 0; i < FILES; i++)
                writeFileSync(join(h.shareDir, `a file whose name takes some room in a list, ${i}`), "");
            for (let i = 0; i < 5; i++) writeFileSync(join(h.shareDir, `below/${i}`), "x");
            await waitFor(
                async () => {
                    const { share } = (await h.api("/status")).json;
                    return share.files === FILES + 5 && share.hashed_bytes === share.bytes;
                },
                { timeout: 60_000, what: "the share being indexed" },
            );
            root = (await h.api("/share/files?folder=below")).json.files[0].root;
            assert.match(root, /^[0-9a-f]{64}$/);
        },
        { timeout: 120_000 },
    );
    after(() => h?.dispose());

    /** Milliseconds that hostpair has computed so far. */
    function computed() {
        const stat = readFileSync(`/proc/${h.pid}/stat`, "latin1");
        const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
        return (Number(fields[11]) + Number(fields[12])) * 10;
    }

    /**
     * The most that was computed until a call that reads the database had its answer, while `busy` is not over.
     * @param {Promise<unknown>} busy
     */
    async function slowest(busy) {
        let over = false;
        let worst = 0;
        const end = busy.then(() => (over = true));
        do {
            const before = computed();
            const { status } = await h.api("/messages?limit=1");
            assert.equal(status, 200);
            worst = Math.max(worst, computed() - before);
            await new Promise((done) => setTimeout(done, 20));
        } while (!over);
        await end;
        return worst;
    }

    /** @param {string} question @returns {Promise<net.Socket>} */
    const asked = (question) =>
        new Promise((done, fail) => {
            const socket = net.connect(h.peerPort, "127.0.0.1");
            socket.pause().once("error", fail);
            socket.once("connect", () => socket.write(question.replace("ROOT", root), () => done(socket)));
        });

    // First: those who went at once stay in the line until it is their turn, and while it is long others are told to come back.
    test("who reads the lists gets them whole, side by side", async () => {
        const replies = await Promise.all(
            Array.from({ length: 6 }, (_, i) =>
                h.peer("/list", i % 2 ? { headers: { accept: "application/x-ndjson" } } : {}),
            ),
        );
        for (const [i, { status, text }] of replies.entries()) {
            assert.equal(status, 200);
            const lines = text.trim().split(i % 2 ? "\n" : "\r\n");
            assert.equal(lines.length, i % 2 ? FILES + 5 : FILES);
            assert.equal(new Set(lines).size, lines.length, "no line twice");
            if (i % 2) assert.equal(JSON.parse(lines.at(-1) ?? "").path, "below/4");
        }
        writeFileSync(join(h.shareDir, "zz new"), "");
        const { text } = await h.peer("/list");
        assert.ok(text.endsWith("\r\nzz new\r\n"), "the list is of now");
        const head = await h.peer("/list", { method: "HEAD" });
        assert.equal(Number(head.headers["content-length"]), Buffer.byteLength(text));
    });

    for (const [what, question] of Object.entries(QUESTIONS)) {
        test(`300 clients that ask for ${what} and do not read it`, async (t) => {
            /** @type {net.Socket[]} */
            const crowd = [];
            const worst = await slowest(
                (async () => {
                    for (let i = 0; i < 300; i++) crowd.push(await asked(question));
                    await new Promise((done) => setTimeout(done, 1000));
                })(),
            );
            for (const socket of crowd) socket.on("error", () => {}).destroy();
            t.diagnostic(`${worst} ms`);
            assert.ok(worst < PATIENCE_MS, `a call took ${worst} ms of computing`);
        });

        test(`2000 clients that ask for ${what} and go at once`, async (t) => {
            const worst = await slowest(
                Promise.all(
                    Array.from({ length: 20 }, async () => {
                        for (let i = 0; i < 100; i++) (await asked(question)).on("error", () => {}).destroy();
                    }),
                ),
            );
            t.diagnostic(`${worst} ms`);
            assert.ok(worst < PATIENCE_MS, `a call took ${worst} ms of computing`);
        });
    }
});
