// @ts-check
// The inbox in trouble: a disk that gets full in the middle, floods of offers, the largest offer, kill -9 between the rename of a
// file and the commit that says so.

import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import http from "node:http";
import { join } from "node:path";
import { describe, test } from "node:test";

import { MiB, makeBytes, makeFile, request, sha256Of, startHostpair } from "./harness.mjs";
import { accepted, at, decide, inbox, newest, offer, offered, put, state } from "./inbox.mjs";
import { smallDisk } from "./mounts.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */

const root = process.getuid?.() === 0;

/** Memory that is really there, bytes. @param {Hostpair} h */
function memory(h) {
    const found = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${h.pid}/status`, "utf8"));
    return Number(found?.[1]) * 1024;
}

/** An offer of one small file from an address of this machine. @param {Hostpair} h @param {string} from @param {string} [name] */
const offerFrom = (h, from, name = "a.txt") =>
    request(at(h, ""), {
        from,
        json: { name: "Anna", files: [{ id: "0", name, size: 3, type: "text/plain" }] },
    });

test(
    "a disk that gets full in the middle is said, keeps what is there, and the rest comes when there is room",
    { skip: root ? false : "mounting a small disk needs root", timeout: 120_000 },
    async (t) => {
        // Where room can be reserved, an offer that does not fit is not accepted; ext2 cannot.
        const disk = smallDisk(t, 48, "ext2");
        if (!disk) {
            t.skip("no loop device here");
            return;
        }
        const h = await startHostpair({ t, downloads: disk });
        const bytes = makeBytes(24 * MiB, 5);
        const range = (/** @type {number} */ from, /** @type {number} */ to) =>
            `bytes ${from}-${to - 1}/${bytes.length}`;
        const { token, id } = await accepted(h, [
            { name: "film.mp4", size: bytes.length, sha256: sha256Of(bytes) },
        ]);
        const half = 8 * MiB;
        const first = await put(h, token, "0", bytes.subarray(0, half), range(0, half));
        assert.equal(first.status, 200, first.text);
        // Somebody else fills the disk, also where room was reserved for a part file that is not written yet.
        const ballast = await fill(disk);
        const refused = await put(h, token, "0", bytes.subarray(half), range(half, bytes.length));
        assert.equal(refused.status, 507, refused.text);
        assert.match(refused.json.detail, /disk|room|space|full/i);
        const waits = await newest(h, "receiving");
        assert.match(waits.reason ?? "", /disk|room|space|full/i, JSON.stringify(waits));
        assert.deepEqual(names(h), [], "nothing half stands under a final name");
        await rm(ballast);
        const from = (await state(h, token)).json.files[0].received;
        assert.ok(from >= half && from < bytes.length, `${from} bytes are kept`);
        const rest = await put(h, token, "0", bytes.subarray(from), range(from, bytes.length));
        assert.equal(rest.json?.done, true, rest.text);
        const done = await newest(h, "done");
        assert.equal(done.id, id);
        assert.equal(done.reason, null);
        assert.deepEqual(names(h), ["film.mp4"]);
        assert.ok(readFileSync(join(disk, "Received/Anna/film.mp4")).equals(bytes));
    },
);

/** Fills what is left of a disk. @param {string} disk */
async function fill(disk) {
    const path = join(disk, "ballast");
    await makeFile(path, 64 * MiB, 1).catch((error) => assert.equal(error.code, "ENOSPC"));
    return path;
}

/** What stands under a final name in the sender's folder. @param {Hostpair} h */
const names = (h, folder = "Received/Anna") => {
    const full = join(h.downloadsDir, folder);
    return existsSync(full)
        ? readdirSync(full)
              .filter((name) => !name.startsWith("."))
              .sort()
        : [];
};

describe("floods of offers", () => {
    test("20 wait, 2 of each address; more are refused with a clear word, until one is answered", async (t) => {
        const h = await startHostpair({ t });
        for (let i = 0; i < 10; i++) {
            const from = `127.0.1.${i + 1}`;
            for (let k = 0; k < 2; k++) {
                const taken = await offerFrom(h, from);
                assert.equal(taken.status, 202, `${from}: ${taken.text}`);
            }
            const third = await offerFrom(h, from);
            assert.equal(third.status, 429, `${from}: ${third.text}`);
            assert.equal(third.json.detail, "Earlier offers of yours wait for an answer");
            assert.equal(third.headers["retry-after"], "60");
        }
        const another = await offerFrom(h, "127.0.1.99");
        assert.equal(another.status, 429);
        assert.equal(another.json.detail, "Too many offers wait for an answer here");
        const waiting = (await inbox(h)).filter((/** @type {any} */ one) => one.state === "asking");
        assert.equal(waiting.length, 20);
        assert.equal(new Set(waiting.map((/** @type {any} */ one) => one.from.address)).size, 10);
        assert.equal((await decide(h, waiting[0].id, "decline")).status, 200);
        assert.equal((await offerFrom(h, "127.0.1.99")).status, 202);
    });

    test("memory stays flat while thousands are refused, or cancelled", { timeout: 180_000 }, async (t) => {
        const h = await startHostpair({ t, env: { ASAN_OPTIONS: "quarantine_size_mb=1:detect_leaks=1" } });
        const many = Array.from({ length: 200 }, (_, i) => ({
            id: String(i),
            name: `${"folder/".repeat(8)}${i}-${"x".repeat(100)}.txt`,
            size: 1,
        }));
        /** @param {number} rounds */
        const flood = async (rounds) => {
            for (let i = 0; i < rounds; i++)
                await Promise.all(
                    Array.from({ length: 10 }, (_, k) =>
                        request(at(h, ""), {
                            from: `127.0.2.${k + 1}`,
                            json: { name: "flood", files: many },
                        }),
                    ),
                );
        };
        await flood(20);
        for (const one of await inbox(h)) if (one.state === "asking") await decide(h, one.id, "decline");
        await flood(20);
        const before = memory(h);
        await flood(100);
        const after = memory(h);
        t.diagnostic(
            `${(before / MiB).toFixed(1)} MiB before 1000 offers, ${(after / MiB).toFixed(1)} after`,
        );
        assert.ok(after - before < 16 * MiB, `${before} bytes before, ${after} after`);
        assert.equal((await inbox(h)).filter((/** @type {any} */ one) => one.state === "asking").length, 20);
    });
});

describe("offers that are taken back at once", () => {
    const LONG = `${`${"x".repeat(250)}/`.repeat(15)}${"y".repeat(200)}`;
    const many = Array.from({ length: 100 }, (_, i) => ({ id: String(i), name: `${LONG}${i}.txt`, size: 1 }));
    /** @param {Hostpair} h @param {string} from */
    const flood = async (h, from) => {
        const made = await request(at(h, ""), { from, json: { name: "flood", files: many } });
        if (made.status === 202)
            assert.equal((await request(at(h, `/${made.json.id}`), { method: "DELETE", from })).status, 204);
        return made;
    };

    test("of one address or of many: few are taken, and what was received stays", async (t) => {
        const h = await startHostpair({ t, env: { ASAN_OPTIONS: "quarantine_size_mb=1:detect_leaks=1" } });
        const { token, id } = await accepted(h, [{ name: "mine.txt", size: 3 }]);
        assert.equal((await put(h, token, "0", Buffer.from("abc"))).json.done, true);
        const one = [];
        for (let i = 0; i < 30; i++) one.push(await flood(h, "127.0.3.1"));
        assert.deepEqual(
            one.map((reply) => reply.status),
            [...Array(10).fill(202), ...Array(20).fill(429)],
        );
        const last = one.at(-1);
        assert.match(last?.json.detail, /Many offers of yours were not accepted here/);
        const wait = Number(last?.headers["retry-after"]);
        assert.ok(wait > 500 && wait <= 600, `${wait} s`);
        const before = memory(h);
        let taken = 10;
        for (let i = 0; i < 250; i++) taken += (await flood(h, `127.0.4.${i + 1}`)).status === 202 ? 1 : 0;
        assert.equal(taken, 60, "of all addresses");
        t.diagnostic(`${((memory(h) - before) / MiB).toFixed(1)} MiB for 250 offers`);
        assert.ok(memory(h) - before < 24 * MiB, `${before} bytes before, ${memory(h)} after`);
        for (let starts = 0; starts < 2; starts++) {
            const list = await h.api("/inbox");
            assert.ok(list.text.length < MiB, `${list.text.length} bytes`);
            assert.equal(list.json.incoming.length, 21);
            const kept = list.json.incoming.find((/** @type {any} */ other) => other.id === id);
            assert.equal(kept?.state, "done");
            await h.restart();
        }
    });

    test("whoever is accepted may offer as often as before", async (t) => {
        const h = await startHostpair({ t });
        for (let i = 0; i < 25; i++) {
            const { token } = await accepted(h, [{ name: `${i}.txt`, size: 1 }]);
            await put(h, token, "0", Buffer.from("x"));
            await newest(h, "done");
        }
        for (let i = 0; i < 10; i++) assert.equal((await flood(h, "127.0.0.1")).status, 202);
        assert.equal((await flood(h, "127.0.0.1")).status, 429);
        assert.equal((await flood(h, "127.0.0.2")).status, 202);
    });
});

test("a PIN is not found by trying from many addresses", async (t) => {
    const h = await startHostpair({ t });
    const set = { receive_pin: "0150" };
    assert.equal((await h.api("/settings", { method: "PATCH", json: set })).status, 200);
    const replies = [];
    for (let i = 0; i < 200; i++) {
        const json = {
            name: "Anna",
            pin: String(i).padStart(4, "0"),
            files: [{ id: "0", name: "a", size: 1 }],
        };
        replies.push(await request(at(h, ""), { from: `127.0.5.${i + 1}`, json }));
    }
    assert.deepEqual(
        replies.map((reply) => reply.status),
        [...Array(20).fill(401), ...Array(180).fill(429)],
    );
    assert.ok(Number(replies[199]?.headers["retry-after"]) > 200);
});

test("an offer of 10,000 files is taken whole, and one of 10,001 is not", { timeout: 400_000 }, async (t) => {
    const h = await startHostpair({ t });
    const files = Array.from({ length: 10_000 }, (_, i) => ({ name: `${i % 100}/${i}.txt`, size: 1 }));
    const more = await offer(h, [...files, { name: "x", size: 1 }]);
    assert.equal(more.status, 413, more.text);
    assert.match(more.json.detail, /has 10001; at most 10000 are taken at once/);
    const token = await offered(h, files);
    const asking = await newest(h, "asking");
    assert.equal(asking.files_total, 10_000);
    assert.equal(asking.files.length, 100, "the list shows the first ones");
    assert.equal((await h.api(`/inbox/${asking.id}`)).json.files.length, 10_000);
    assert.equal((await decide(h, asking.id, "accept")).status, 200);
    const agent = new http.Agent({ keepAlive: true });
    t.after(() => agent.destroy());
    let next = 0;
    const sender = async () => {
        while (next < files.length) {
            const i = next++;
            const body = Buffer.from(String(i % 10));
            const sent = await request(at(h, `/${token}/${i}`), { method: "PUT", body, agent });
            assert.equal(sent.json?.done, true, `${i}: ${sent.text}`);
        }
    };
    await Promise.all(Array.from({ length: 16 }, sender));
    const over = await newest(h, "done");
    const told = (await state(h, token)).json;
    assert.deepEqual([told.received, told.files.length], [10_000, 100], "what the sender is told");
    await h.restart();
    // Of one that is over the first 100 files are remembered; its numbers are of all of them.
    for (const done of [over, await newest(h, "done"), (await h.api(`/inbox/${over.id}`)).json]) {
        const { files_total, files_done, size, done_bytes } = done;
        assert.deepEqual(
            { files_total, files_done, size, done_bytes },
            { files_total: 10_000, files_done: 10_000, size: 10_000, done_bytes: 10_000 },
        );
        assert.equal(done.files.length, 100);
    }
    assert.equal(names(h).length, 100);
    for (const i of [0, 4_321, 9_999])
        assert.equal(
            readFileSync(join(h.downloadsDir, `Received/Anna/${i % 100}/${i}.txt`), "utf8"),
            String(i % 10),
        );
    let count = 0;
    for (const folder of names(h)) count += names(h, `Received/Anna/${folder}`).length;
    assert.equal(count, 10_000);
});

test(
    "kill -9 right after the rename of a file leaves nothing twice and nothing half",
    { timeout: 240_000 },
    async (t) => {
        const h = await startHostpair({ t });
        let between = 0;
        for (let round = 0; round < 12; round++) {
            const bytes = makeBytes(round % 2 ? MiB + round : 50_000 + round, round + 1); // in a part file, and in one step
            const name = `${round}.bin`;
            const final = join(h.downloadsDir, "Received/Anna", name);
            const { token } = await accepted(h, [{ name, size: bytes.length, sha256: sha256Of(bytes) }]);
            const sent = put(h, token, "0", bytes).catch(() => undefined);
            // Looked at without a pause: the commit comes right behind the rename.
            const until = Date.now() + 20_000;
            while (!existsSync(final) && Date.now() < until) await new Promise((done) => setImmediate(done));
            process.kill(h.pid, "SIGKILL");
            await h.kill9();
            await sent;
            assert.ok(existsSync(final), `${name} was renamed`);
            assert.ok(readFileSync(final).equals(bytes), `${name} is whole`);
            await h.start();
            const told = (await state(h, token)).json;
            if (told.state === "receiving") {
                between++;
                const from = told.files[0].received;
                const range = `bytes ${from}-${bytes.length - 1}/${bytes.length}`;
                const again = await put(
                    h,
                    token,
                    "0",
                    bytes.subarray(from),
                    from < bytes.length ? range : undefined,
                );
                assert.equal(again.json?.done, true, `${JSON.stringify(told)}: ${again.text}`);
            }
            const done = await newest(h, "done");
            assert.equal(done.files[0].path, `Received/Anna/${name}`);
            const all = readdirSync(join(h.downloadsDir, "Received/Anna"));
            assert.deepEqual(all.sort(), Array.from({ length: round + 1 }, (_, i) => `${i}.bin`).sort());
            assert.ok(readFileSync(final).equals(bytes));
        }
        t.diagnostic(`${between} of 12 kills came before the commit`);
    },
);

test("10,000 files with long ids are accepted in part", async (t) => {
    const h = await startHostpair({ t });
    const ids = Array.from({ length: 10_000 }, (_, i) => `${"x".repeat(100)}-${i}`);
    await offered(
        h,
        ids.map((id, i) => ({ id, name: `${i}.txt`, size: 1 })),
    );
    const { id } = await newest(h, "asking");
    const longer = await decide(h, id, "accept", { files: ids, to: "x".repeat(4 * MiB) });
    assert.equal(longer.status, 413, longer.text.slice(0, 300));
    const taken = await decide(h, id, "accept", { files: ids.slice(1) });
    assert.equal(taken.status, 200, taken.text.slice(0, 300));
    const { files } = (await h.api(`/inbox/${id}`)).json;
    assert.deepEqual(
        files.filter((/** @type {any} */ file) => !file.wanted).map((/** @type {any} */ file) => file.id),
        [ids[0]],
    );
    await decide(h, id, "cancel");
    // Elsewhere a body is as long as ever.
    const other = await h.api("/settings", { method: "PATCH", json: { name: "x".repeat(300_000) } });
    assert.equal(other.status, 413);
});
