// @ts-check
// Who a host is: whoever takes a host's address, says its id or speaks plain HTTP in its place gets nothing that is meant
// for it, changes nothing of it, and is told of. Hosts of hostpair 0.1, and what it left behind.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import https from "node:https";
import net from "node:net";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import {
    MiB,
    addHost,
    download,
    getDownload,
    makeFile,
    pathOf,
    request,
    sha256,
    sleep,
    startHostpair,
    waitFor,
    waitState,
} from "./harness.mjs";
import { assertWords, fakeHost, fileBytes, hashed, linked, listed, sharing } from "./hosts.mjs";
import { identityIn, makeIdentity } from "./identities.mjs";
import { startLink } from "./link.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */

const film = { "films/film.bin": { size: 8 * MiB, seed: 7 } };

/** @param {Hostpair} h @param {string} id @returns {Promise<any>} */
const host = async (h, id) => (await h.api(`/hosts/${id}`)).json;

/** What must not change when somebody else plays the host. @param {any} json */
const face = ({ id, name, files, bytes, fingerprint, proven, listed }) => ({
    id,
    name,
    files,
    bytes,
    fingerprint,
    proven,
    listed,
});

/** Has it asked at once, as a person does. @param {Hostpair} h @param {number} port */
const look = (h, port) => h.api("/hosts", { json: { address: `127.0.0.1:${port}` } });

/** @param {Hostpair} h @param {string} id @param {RegExp} words */
const told = (h, id, words) =>
    waitFor(
        async () => {
            const now = await host(h, id);
            return now.state === "offline" && words.test(now.problem ?? "") && now;
        },
        { timeout: 30_000, what: `the problem ${words}`, detail: () => host(h, id) },
    );

describe("somebody who plays a host", { concurrency: true }, () => {
    test("says the right id over a wrong key: nothing of the host changes, and it is told", async (t) => {
        const a = await sharing(t, "attic", film);
        const b = await startHostpair({ t, name: "b" });
        const { id } = await addHost(b, a.peerPort);
        await listed(b, id, 1);
        const before = face(await host(b, id));
        const liar = await fakeHost(t, { id, name: "liar", ahead: 3_600_000 });
        const answer = await look(b, liar.port);
        assert.equal(answer.status, 502);
        assert.equal(answer.json.code, "wrong-key");
        assertWords(answer.json.detail);
        const now = await host(b, id);
        assert.deepEqual(face(now), before);
        assert.equal(now.state, "online");
        assert.ok(Math.abs(now.clock_offset_ms) < 60_000, "its clock is its own");
        assert.match(now.problem, new RegExp(`127\\.0\\.0\\.1:${liar.port}`));
        assertWords(now.problem);
        assert.equal((await b.api("/hosts")).json.hosts.length, 1, "and it is no host");
        assert.deepEqual(now.addresses, [`127.0.0.1:${a.peerPort}`]);
    });

    test("has the host's address and a key of its own: it is another host", async (t) => {
        const a = await sharing(t, "attic", film);
        const b = await startHostpair({ t, name: "b" });
        const { id } = await addHost(b, a.peerPort);
        await listed(b, id, 1);
        const before = face(await host(b, id));
        const d = await download(b, { host: id, path: "films/film.bin", limit_bps: MiB });
        await waitFor(async () => (await getDownload(b, d.id)).chunks_done > 0);
        await a.kill9();
        /** @type {string[]} */
        const asked = [];
        const intruder = await fakeHost(t, {
            name: "attic",
            port: a.peerPort,
            handler: (req) => {
                asked.push(req.url ?? "");
                return false;
            },
        });
        const { json: sent } = await b.api("/messages", { json: { to: id, text: "for the attic" } });
        const now = await told(b, id, /Another host answers/);
        assertWords(now.problem);
        assert.deepEqual(face(now), before);
        const other = await host(b, intruder.id);
        assert.equal(other.proven, true);
        assert.equal(other.fingerprint, intruder.identity.fingerprint);
        assert.equal(other.problem, null);
        assert.deepEqual(
            asked.filter((url) => !/^\/(hostpair|list)$/.test(url)),
            [],
            "it is asked who it is and what it has, and gets nothing of what is the other one's",
        );
        assert.equal((await getDownload(b, d.id)).state, "running");
        await intruder.close();
        await a.start();
        await b.api(`/downloads/${d.id}`, { method: "PATCH", json: { limit_bps: 0 } });
        await waitState(b, d.id, "done");
        assert.equal(
            await sha256(pathOf(b, await getDownload(b, d.id))),
            await sha256(join(a.shareDir, "films/film.bin")),
        );
        await waitFor(
            async () => (await b.api(`/messages/${sent.id}`)).json.deliveries[0].state === "delivered",
            {
                timeout: 40_000,
            },
        );
        const { json } = await a.api("/messages");
        assert.deepEqual(
            json.messages.map((/** @type {any} */ m) => m.text),
            ["for the attic"],
        );
        assert.equal((await host(b, id)).problem, null);
    });

    test("speaks plain HTTP in its place: it is never asked for anything", async (t) => {
        const a = await sharing(t, "attic", film);
        const b = await startHostpair({ t, name: "b" });
        const { id } = await addHost(b, a.peerPort);
        await listed(b, id, 1);
        const before = face(await host(b, id));
        const d = await download(b, { host: id, path: "films/film.bin", limit_bps: MiB });
        await waitFor(async () => (await getDownload(b, d.id)).chunks_done > 0);
        await a.stop();
        const plain = await fakeHost(t, { plain: true, id, name: "attic", port: a.peerPort });
        const { json: sent } = await b.api("/messages", { json: { to: id, text: "for the attic" } });
        const now = await told(b, id, /plain HTTP/);
        assertWords(now.problem);
        assert.deepEqual(face(now), before);
        const answer = await look(b, a.peerPort);
        assert.equal(answer.status, 502);
        assert.equal(answer.json.code, "not-tls");
        await b.restart(); // the key is remembered
        await told(b, id, /plain HTTP/);
        assert.equal((await b.api("/hosts")).json.hosts.length, 1);
        assert.equal(plain.requests, 0, "not one request in plain");
        assert.equal((await getDownload(b, d.id)).state, "running");
        await plain.close();
        await a.start();
        await b.api(`/downloads/${d.id}`, { method: "PATCH", json: { limit_bps: 0 } });
        await waitState(b, d.id, "done");
        await waitFor(
            async () => (await b.api(`/messages/${sent.id}`)).json.deliveries[0].state === "delivered",
            {
                timeout: 40_000,
            },
        );
        assert.equal((await host(b, id)).problem, null);
    });

    test("listens on the way: it sees no word of it", async (t) => {
        const a = await sharing(t, "attic", {
            "secret plan.txt": Buffer.from("meet at the old mill ".repeat(99)),
        });
        const b = await startHostpair({ t, name: "kitchen" });
        const tap = { bytes: Buffer.alloc(0) };
        const proxy = net.createServer((client) => {
            const server = net.connect(a.peerPort, "127.0.0.1");
            for (const [one, other] of [
                [client, server],
                [server, client],
            ]) {
                one.on("data", (data) => {
                    tap.bytes = Buffer.concat([tap.bytes, data]);
                    other.write(data);
                });
                one.on("error", () => {}).on("close", () => other.destroy());
            }
        });
        await new Promise((done) => proxy.listen(0, "127.0.0.1", () => done(undefined)));
        t.after(() => proxy.close());
        const { id } = await addHost(b, /** @type {net.AddressInfo} */ (proxy.address()).port);
        await listed(b, id, 1);
        const d = await download(b, { host: id, path: "secret plan.txt" });
        await waitState(b, d.id, "done");
        const { json: sent } = await b.api("/messages", { json: { to: id, text: "tell nobody" } });
        await waitFor(
            async () => (await b.api(`/messages/${sent.id}`)).json.deliveries[0].state === "delivered",
        );
        assert.ok(tap.bytes.length > 2000);
        const seen = tap.bytes.toString("latin1");
        for (const word of [
            "old mill",
            "secret",
            "tell nobody",
            "GET ",
            "POST ",
            "HTTP/1",
            "attic",
            "kitchen",
        ])
            assert.ok(!seen.includes(word), `"${word}" passed in the clear`);
    });
});

describe("a host that is blocked", () => {
    /**
     * One request as a host that proves its key, or as nobody.
     * @param {Hostpair} h @param {string} from @param {import("./identities.mjs").Identity} [as]
     * @returns {Promise<number>}
     */
    const ask = (h, from, as) =>
        new Promise((done, fail) => {
            https
                .get(
                    `https://127.0.0.1:${h.peerPort}/list`,
                    {
                        key: as?.key,
                        cert: as?.cert,
                        localAddress: from,
                        agent: false,
                        rejectUnauthorized: false,
                    },
                    (res) => done(res.resume().statusCode ?? 0),
                )
                .on("error", fail);
        });

    test("is shut out wherever it is, and others at its address are not", async (t) => {
        const h = await sharing(t, "h", { "a.txt": Buffer.from("a") });
        const shut = await fakeHost(t, { address: "127.0.0.21", name: "shut out" });
        const { id } = (await h.api("/hosts", { json: { address: `127.0.0.21:${shut.port}` } })).json;
        assert.equal(await ask(h, "127.0.0.21", shut.identity), 200);
        assert.equal((await h.api(`/hosts/${id}`, { method: "PATCH", json: { blocked: true } })).status, 200);
        assert.equal(await ask(h, "127.0.0.21", shut.identity), 403);
        assert.equal(await ask(h, "127.0.0.99", shut.identity), 403, "at another address");
        assert.equal(await ask(h, "127.0.0.21", makeIdentity()), 200, "another host at that address");
        assert.equal(await ask(h, "127.0.0.21"), 403, "who proves nothing is judged by the address");
        assert.equal(await ask(h, "127.0.0.22"), 200);
        await h.restart();
        assert.equal(await ask(h, "127.0.0.99", shut.identity), 403, "also after a restart");
    });

    test("loses the connections that it has, also from another address", async (t) => {
        const h = await sharing(t, "h", { "big.bin": { size: 32 * MiB, seed: 1 } });
        const shut = await fakeHost(t, { address: "127.0.0.23" });
        const { id } = (await h.api("/hosts", { json: { address: `127.0.0.23:${shut.port}` } })).json;
        let ended = false;
        const res = await new Promise((done, fail) => {
            https
                .get(
                    `https://127.0.0.1:${h.peerPort}/big.bin`,
                    {
                        key: shut.identity.key,
                        cert: shut.identity.cert,
                        localAddress: "127.0.0.24",
                        agent: false,
                        rejectUnauthorized: false,
                    },
                    done,
                )
                .on("error", fail);
        });
        res.once("data", () => res.pause());
        res.on("error", () => {}).on("close", () => (ended = true));
        await waitFor(async () =>
            (await h.api("/connections")).json.connections.some((/** @type {any} */ c) => c.host === id),
        );
        assert.equal((await h.api(`/hosts/${id}`, { method: "PATCH", json: { blocked: true } })).status, 200);
        res.resume();
        await waitFor(() => ended, { what: "the connection being closed" });
    });
});

describe("what hostpair 0.1 left", () => {
    /**
     * A data folder as that version left it, whose host listens at a port.
     * @param {Hostpair} b not running @param {number} port @param {string} etag of the file that it was downloading
     */
    async function leave(b, port, etag) {
        const part = join(b.downloadsDir, ".film.bin.1.hostpair-part");
        await makeFile(part, 8 * MiB, 7);
        const { dev, ino } = statSync(part);
        const sql = readFileSync(fileURLToPath(new URL("fixtures/0.1.sql", import.meta.url)), "utf8")
            .replaceAll("@PORT@", String(port))
            .replaceAll("@DOWNLOADS@", b.downloadsDir)
            .replaceAll("@SHARE@", b.shareDir)
            .replaceAll("@DEVICE@", String(dev))
            .replaceAll("@INODE@", String(ino))
            .replaceAll("@ETAG@", etag)
            .replaceAll("@BOOT_ID@", readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim());
        execFileSync("rm", [
            "-f",
            ...["", "-wal", "-shm"].map((end) => join(b.dataDir, `hostpair.db${end}`)),
        ]);
        execFileSync("sqlite3", [join(b.dataDir, "hostpair.db")], { input: sql });
    }

    const OLD_HOST = "8ae0585308e7dcad6ebafc26ce222123";
    const OLD_OWN = "17a8775f40ba8705f1b2824882e9945a";

    /** @param {Hostpair} b @param {string} id of the host now */
    async function assertHistory(b, id) {
        const own = (await b.api("/status")).json.id;
        assert.equal(own, identityIn(b.dataDir).id);
        const { messages } = (await b.api(`/messages?with=${id}`)).json;
        assert.deepEqual(
            messages.map((/** @type {any} */ m) => [m.text, m.from, m.to]),
            [
                ["are you there?", own, id],
                ["yes", id, own],
                ["for later", own, id],
            ],
        );
        assert.deepEqual((await b.api("/messages")).json.unread_by_host, { [id]: 1 });
        assert.equal((await b.api(`/hosts/${OLD_HOST}`)).status, 404);
        const text = JSON.stringify([
            (await b.api("/hosts")).json,
            (await b.api("/downloads")).json,
            (await b.api("/messages")).json,
        ]);
        for (const old of [OLD_HOST, OLD_OWN])
            assert.ok(
                !text.includes(old),
                `an old id is left: ${text.slice(text.indexOf(old) - 200).slice(0, 300)}`,
            );
    }

    test("is the new host's once it proves its key: list, messages and a running download", async (t) => {
        const a = await sharing(t, "attic", { ...film, "note.txt": { size: 100, seed: 8 } });
        const link = await startLink({ t, to: a.peerPort });
        const etag = (await a.peer("/films/film.bin", { method: "HEAD" })).headers.etag ?? "";
        const b = await startHostpair({ t, name: "kitchen" });
        await b.stop();
        link.goDown();
        await leave(b, link.port, etag);
        await b.start();
        // Before it is there: all is kept under the old id.
        const old = await host(b, OLD_HOST);
        assert.deepEqual([old.name, old.state, old.proven, old.listed], ["attic", "offline", false, true]);
        assert.equal((await b.api(`/hosts/${OLD_HOST}/files`)).json.total, 1);
        link.comeUp();
        const id = identityIn(a.dataDir).id;
        await look(b, link.port);
        const now = await host(b, id);
        assert.deepEqual([now.name, now.state, now.proven, now.found_by], ["attic", "online", true, "hand"]);
        assert.equal((await b.api("/hosts")).json.hosts.length, 1);
        await waitState(b, 1, "done");
        const done = await getDownload(b, 1);
        assert.equal(done.verified, true);
        assert.equal(await sha256(pathOf(b, done)), await sha256(join(a.shareDir, "films/film.bin")));
        assert.equal(fileBytes(link), 4 * MiB, "the four chunks that were there are not fetched again");
        const { messages } = (await b.api("/messages")).json;
        const later = messages.find((/** @type {any} */ m) => m.text === "for later");
        await waitFor(
            async () => (await b.api(`/messages/${later.id}`)).json.deliveries[0].state === "delivered",
            {
                timeout: 40_000,
            },
        );
        await assertHistory(b, id);
        await b.restart();
        await assertHistory(b, id);
        assert.equal((await host(b, id)).proven, true);
    });

    test("is the plain host's at its address while that one is not upgraded, and goes with it then", async (t) => {
        const b = await startHostpair({ t, name: "kitchen" });
        await b.stop();
        /** @type {any[]} */
        const posted = [];
        const plain = await fakeHost(t, {
            plain: true,
            id: OLD_HOST,
            name: "attic",
            handler: (req, res) => {
                if (req.method !== "POST") return false;
                let text = "";
                req.on("data", (data) => (text += data)).on("end", () => {
                    posted.push(JSON.parse(text));
                    res.writeHead(202).end();
                });
                return true;
            },
        });
        await leave(b, plain.port, '"x"');
        await b.start();
        await look(b, plain.port);
        const id = `addr-127.0.0.1-${plain.port}`;
        const now = await host(b, id);
        assert.deepEqual([now.state, now.proven, now.kind, now.protocol], ["online", false, "hostpair", 1]);
        await waitFor(() => posted.length > 0, { timeout: 40_000, what: "what waited being sent" });
        assert.equal(posted[0].text, "for later");
        await assertHistory(b, id);
        await plain.close();
        const upgraded = await fakeHost(t, { name: "attic", port: plain.port });
        await look(b, plain.port);
        await waitFor(async () => (await host(b, upgraded.id)).state === "online");
        assert.equal((await b.api("/hosts")).json.hosts.length, 1);
        await assertHistory(b, upgraded.id);
    });

    test("stays where it is when another host comes by the address", async (t) => {
        const b = await startHostpair({ t, name: "kitchen" });
        await b.stop();
        const other = await fakeHost(t, { name: "cellar" });
        await leave(b, other.port, '"x"');
        await b.start();
        await look(b, other.port);
        const old = await told(b, OLD_HOST, /cellar/);
        assert.equal(old.name, "attic");
        assert.equal((await b.api(`/messages?with=${OLD_HOST}`)).json.messages.length, 3);
        assert.equal((await b.api(`/messages?with=${other.id}`)).json.messages.length, 0);
    });
});

const oldBin = process.env.HOSTPAIR_OLD_BIN;

describe(
    "hostpair 0.1 itself",
    { skip: oldBin ? false : "HOSTPAIR_OLD_BIN names no program of version 0.1" },
    () => {
        test("and this version download from each other, and it is the same host once it is upgraded", async (t) => {
            const options = { name: "attic", args: ["--peer-listen", "127.0.0.1:0"] };
            const a = await startHostpair({ t, ...options, bin: oldBin, released: true });
            const b = await sharing(t, "kitchen", { "plan.txt": Buffer.from("a plan") });
            await makeFile(join(a.shareDir, "films/film.bin"), 8 * MiB, 7);
            await hashed(a, 1, 8 * MiB);
            const { link, id } = await linked(t, b, a.peerPort, { rate: 2 * MiB });
            assert.equal(id, `addr-127.0.0.1-${link.port}`);
            const d = await download(b, { host: id, path: "films/film.bin" });

            // The other way: it knows nothing of keys.
            const known = await request(a.apiUrl("/hosts"), { json: { address: `127.0.0.1:${b.peerPort}` } });
            assert.equal(known.status, 201, known.text);
            assert.equal(known.json.id, identityIn(b.dataDir).id);
            const back = await request(a.apiUrl("/downloads"), {
                json: { host: known.json.id, path: "plan.txt" },
            });
            await waitFor(
                async () => (await request(a.apiUrl(`/downloads/${back.json.id}`))).json.state === "done",
                { timeout: 30_000 },
            );
            assert.equal(readFileSync(join(a.downloadsDir, "plan.txt"), "utf8"), "a plan");
            const { json: sent } = await b.api("/messages", { json: { to: id, text: "hello" } });
            await waitFor(
                async () => (await b.api(`/messages/${sent.id}`)).json.deliveries[0].state === "delivered",
            );
            const { json: refused } = await request(a.apiUrl("/messages"), {
                json: { to: known.json.id, text: "hello back" },
            });
            await waitFor(async () => {
                const [delivery] = (await request(a.apiUrl(`/messages/${refused.id}`))).json.deliveries;
                return delivery.state === "failed" && /0\.2/.test(delivery.reason);
            });

            // It is upgraded in the middle of the download.
            await waitFor(async () => (await getDownload(b, d.id)).chunks_done >= 2, { timeout: 30_000 });
            await a.stop();
            const upgraded = await startHostpair({
                t,
                name: "attic",
                share: a.shareDir,
                downloads: a.downloadsDir,
                data: a.dataDir,
            });
            link.to = upgraded.peerPort;
            await sleep(100);
            await look(b, link.port);
            const now = identityIn(a.dataDir).id;
            await waitFor(async () => (await host(b, now)).state === "online", { timeout: 30_000 });
            await waitState(b, d.id, "done");
            const done = await getDownload(b, d.id);
            assert.equal(await sha256(pathOf(b, done)), await sha256(join(a.shareDir, "films/film.bin")));
            assert.ok(fileBytes(link) < 10 * MiB, "and does not begin again");
            assert.deepEqual(
                (await b.api(`/messages?with=${now}`)).json.messages.map((/** @type {any} */ m) => m.text),
                ["hello"],
            );
            assert.equal((await b.api("/hosts")).json.hosts.length, 1);
        });
    },
);
