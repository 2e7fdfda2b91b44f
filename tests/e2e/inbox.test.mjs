// @ts-check
// The inbox: offers of files, who decides, their bytes, what goes wrong; by the API, at a terminal, over a restart and kill -9.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";

import { MiB, makeBytes, request, sha256Of, startHostpair, waitFor } from "./harness.mjs";
import { accepted, at, begun, decide, inbox, newest, offer, offered, put, state } from "./inbox.mjs";
import { asks, piped } from "./terminal.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */

/** @param {Hostpair} h @param {string} path */
const landed = (h, path) => readFileSync(join(h.downloadsDir, path));
/** @param {Hostpair} h @param {string} folder */
const namesIn = (h, folder) => {
    const full = join(h.downloadsDir, folder);
    return existsSync(full) ? readdirSync(full).sort() : [];
};
/** @param {Hostpair} h @param {object} json */
const set = async (h, json) =>
    assert.equal((await h.api("/settings", { method: "PATCH", json })).status, 200);

describe("the inbox", () => {
    test("a file gets the time that its sender tells", async (t) => {
        const h = await startHostpair({ t });
        const modified = "2015-05-07T08:09:10.250Z";
        const bytes = makeBytes(3 * MiB, 2);
        for (const bad of ["yesterday", 1431000000])
            assert.match(
                (await offer(h, [{ name: "x", size: 1, modified: bad }])).json.detail,
                /modified: must be/,
            );
        const { token } = await accepted(h, [
            { name: "small", size: 3, modified },
            { name: "large", size: bytes.length, modified: "2015-05-07T10:09:10.25+02:00" },
            { name: "unknown", size: 1 },
        ]);
        const begun = Date.now() - 1000;
        assert.equal((await put(h, token, "0", Buffer.from("abc"))).json.done, true);
        const range = (/** @type {number} */ first, /** @type {number} */ end) =>
            put(h, token, "1", bytes.subarray(first, end), `bytes ${first}-${end - 1}/${bytes.length}`);
        assert.equal((await range(0, 2 * MiB)).status, 200);
        assert.equal((await range(2 * MiB, bytes.length)).json.done, true);
        assert.equal((await put(h, token, "2", Buffer.from("a"))).json.done, true);
        const time = (/** @type {string} */ name) =>
            statSync(join(h.downloadsDir, "Received/Anna", name)).mtime;
        assert.equal(time("small").toISOString(), modified);
        assert.equal(time("large").toISOString(), modified);
        assert.ok(time("unknown").getTime() >= begun);
    });

    test("an offer is asked about, accepted, and lands in the sender's folder", async (t) => {
        const h = await startHostpair({ t });
        const events = await h.events();
        const bytes = makeBytes(3 * MiB + 7);
        const token = await offered(h, [
            { name: "film.mp4", size: bytes.length, type: "video/mp4", sha256: sha256Of(bytes) },
            { name: "notes/empty.txt", size: 0 },
        ]);
        const asking = await newest(h, "asking");
        assert.deepEqual(asking.from, { name: "Anna", address: "127.0.0.1", kind: "browser", host: null });
        assert.equal(asking.size, bytes.length);
        assert.deepEqual(
            asking.files.map((/** @type {any} */ f) => [f.id, f.name, f.size, f.type, f.done_bytes]),
            [
                ["0", "film.mp4", bytes.length, "video/mp4", 0],
                ["1", "notes/empty.txt", 0, "text/plain", 0],
            ],
        );
        await events.next((e) => e.event === "inbox" && e.data.id === asking.id);
        events.close();
        assert.equal((await put(h, token, "0", bytes)).status, 409);
        const waiting = state(h, token, 20);
        assert.equal((await decide(h, asking.id, "accept")).json.folder, "Received/Anna");
        assert.equal((await waiting).json.state, "receiving");
        const reply = await put(h, token, "0", bytes);
        assert.equal(reply.status, 200, reply.text);
        assert.deepEqual(reply.json, { id: "0", received: bytes.length, wanted: true, done: true });
        assert.equal((await put(h, token, "1", Buffer.alloc(0))).json.done, true);
        const done = await newest(h, "done");
        assert.equal(done.files[0].path, "Received/Anna/film.mp4");
        assert.ok(landed(h, "Received/Anna/film.mp4").equals(bytes));
        assert.equal(landed(h, "Received/Anna/notes/empty.txt").length, 0);
        assert.deepEqual(namesIn(h, "Received/Anna"), ["film.mp4", "notes"]);
        assert.equal((await put(h, token, "0", bytes)).json.done, true, "its answer may have been lost");
    });

    test("a person declines, takes a part, cancels; the sender cancels", async (t) => {
        const h = await startHostpair({ t, name: "den" });
        const files = [
            { name: "a.txt", size: 3 },
            { name: "b.txt", size: 3 },
        ];
        const declined = await offered(h, files);
        const first = await newest(h, "asking");
        assert.equal((await decide(h, first.id, "decline")).json.state, "declined");
        assert.equal((await decide(h, first.id, "accept")).status, 409);
        assert.equal((await state(h, declined)).json.state, "declined");

        const part = await offered(h, files);
        const second = await newest(h, "asking");
        assert.equal((await decide(h, second.id, "accept", { files: ["7"] })).status, 422);
        assert.equal((await decide(h, second.id, "accept", { to: "../x" })).status, 422);
        assert.equal((await decide(h, second.id, "accept", { files: ["1"], to: "Pictures" })).status, 200);
        assert.equal((await put(h, part, "0", Buffer.from("abc"))).status, 409);
        assert.equal((await put(h, part, "1", Buffer.from("abc"))).status, 200);
        assert.equal((await newest(h, "done")).files[1].path, "Pictures/b.txt");

        const third = await accepted(h, [{ name: "c.txt", size: 10 }]);
        assert.equal((await put(h, third.token, "0", Buffer.from("abc"), "bytes 0-2/10")).json.received, 3);
        assert.equal(namesIn(h, "Received/Anna").length, 1);
        assert.equal((await decide(h, third.id, "cancel")).json.reason, "It was cancelled here");
        const told = (await state(h, third.token)).json;
        assert.deepEqual([told.reason, told.wanted], ["It was cancelled at den", 1]);
        await waitFor(() => namesIn(h, "Received/Anna").length === 0, { what: "the part file's end" });
        assert.match(
            (await put(h, third.token, "0", Buffer.from("d"), "bytes 3-3/10")).json.detail,
            /cancelled/,
        );

        const fourth = await offered(h, files);
        assert.equal((await request(at(h, `/${fourth}`), { method: "DELETE" })).status, 204);
        assert.equal((await newest(h)).state, "cancelled");
        assert.equal((await request(at(h, `/${fourth}`), { method: "DELETE" })).status, 409);
        assert.equal((await decide(h, 1, "cancel")).status, 404);
        assert.equal((await state(h, "0".repeat(32))).status, 404);
    });

    test("pieces may overlap and come again, and leave no gap; lying sizes are refused", async (t) => {
        const h = await startHostpair({ t });
        const bytes = makeBytes(2 * MiB);
        const { token } = await accepted(h, [{ name: "x.bin", size: bytes.length, sha256: sha256Of(bytes) }]);
        /** @param {number} first @param {number} end @param {number} [total] */
        const piece = (first, end, total = bytes.length) =>
            put(h, token, "0", bytes.subarray(first, end), `bytes ${first}-${end - 1}/${total}`);
        assert.equal((await piece(0, MiB)).json.received, MiB);
        const gap = await piece(MiB + 1, MiB + 9);
        assert.equal(gap.status, 409);
        assert.match(gap.json.detail, /go on at byte 1048576/);
        assert.equal((await piece(5, 9, 100)).status, 422);
        assert.equal((await put(h, token, "0", bytes, "bytes 0-3/2097152")).status, 400);
        assert.equal((await put(h, token, "0", Buffer.alloc(bytes.length + 1))).status, 422);
        assert.equal(
            (await put(h, token, "0", Buffer.alloc(0), `bytes */${bytes.length}`)).json.received,
            MiB,
        );
        assert.equal((await piece(MiB - 100, 2 * MiB)).json.done, true);
        assert.ok(landed(h, "Received/Anna/x.bin").equals(bytes));
    });

    test("what comes counts as received, in the speed and over time", async (t) => {
        const h = await startHostpair({ t });
        const bytes = makeBytes(5 * MiB);
        const { token } = await accepted(h, [{ name: "film.mp4", size: bytes.length }]);
        const before = (await h.api("/status")).json.speed.down_bps;
        assert.equal((await put(h, token, "0", bytes)).json.done, true);
        const speed = async () => (await h.api("/status")).json.speed.down_bps;
        const during = await waitFor(speed, { what: "a speed", detail: speed });
        assert.equal(before, 0);
        assert.ok(during <= 20 * bytes.length, `${during} bytes a second`);
        const { text } = await h.api("/metrics");
        assert.match(text, new RegExp(`^hostpair_received_bytes_total ${bytes.length}$`, "m"));
        const { minutes } = (await h.api("/traffic")).json;
        const sum = minutes.reduce((/** @type {number} */ n, /** @type {any} */ m) => n + m.down_bytes, 0);
        assert.equal(sum, bytes.length);
    });

    test("bytes that do not agree with the SHA-256 get no name, and may come again", async (t) => {
        const h = await startHostpair({ t });
        const bytes = makeBytes(2 * MiB);
        const { token } = await accepted(h, [{ name: "x.bin", size: bytes.length, sha256: sha256Of(bytes) }]);
        const wrong = await put(h, token, "0", Buffer.alloc(bytes.length));
        assert.equal(wrong.status, 502);
        assert.equal(wrong.json.code, "wrong-digest");
        assert.equal((await newest(h)).state, "receiving");
        assert.match((await newest(h)).reason, /SHA-256/);
        assert.equal((await put(h, token, "0", bytes)).json.done, true);
        assert.equal((await newest(h, "done")).reason, null);
        assert.deepEqual(namesIn(h, "Received/Anna"), ["x.bin"]);
    });

    test("names that leave the folder, are reserved or too long are refused and named", async (t) => {
        const h = await startHostpair({ t });
        for (const name of [
            "../x",
            "/etc/passwd",
            "a/../../b",
            "a//b",
            "",
            ".",
            "..",
            ".x.1.hostpair-part",
        ]) {
            const reply = await offer(h, [{ name, size: 1 }]);
            assert.equal(reply.status, 422, name);
            assert.match(reply.json.detail, /^the file name/);
        }
        assert.equal((await offer(h, [{ name: "n".repeat(256), size: 1 }])).status, 422);
        assert.equal((await inbox(h)).length, 0);
        assert.equal((await offer(h, [])).status, 422);
        assert.equal((await offer(h, [{ name: "x", size: -1 }])).status, 422);
        assert.match((await offer(h, [{ name: "x", size: 1.5 }])).json.detail, /files\[0\]: size/);
        assert.equal((await request(at(h, ""), { method: "POST", body: "{" })).status, 400);
        const many = Array.from({ length: 10_001 }, (_, i) => ({ name: `${i}`, size: 1 }));
        assert.equal((await offer(h, many)).status, 413);
        assert.equal((await request(at(h, ""), { method: "POST", body: " ".repeat(5 * MiB) })).status, 413);
        assert.equal((await offer(h, many.slice(1))).status, 202);
        const shown = (await inbox(h))[0];
        assert.equal(shown.files_total, 10_000);
        assert.equal(shown.files.length, 100);
        assert.equal((await h.api(`/inbox/${shown.id}`)).json.files.length, 10_000);
    });

    test("the same name twice, and a name that is taken, get a number", async (t) => {
        const h = await startHostpair({ t });
        mkdirSync(join(h.downloadsDir, "Received/Anna"), { recursive: true });
        writeFileSync(join(h.downloadsDir, "Received/Anna/a.txt"), "mine");
        const { token } = await accepted(h, [
            { name: "a.txt", size: 3 },
            { name: "a.txt", size: 3 },
        ]);
        await put(h, token, "0", Buffer.from("one"));
        await put(h, token, "1", Buffer.from("two"));
        await newest(h, "done");
        assert.equal(landed(h, "Received/Anna/a.txt").toString(), "mine");
        assert.equal(landed(h, "Received/Anna/a (1).txt").toString(), "one");
        assert.equal(landed(h, "Received/Anna/a (2).txt").toString(), "two");
    });

    test("a name that reads as another one lands without what turns it round", async (t) => {
        const h = await startHostpair({ t });
        const { token } = await accepted(h, [{ name: "photo\u202egpj.exe", size: 3 }]);
        await put(h, token, "0", Buffer.from("abc"));
        const [file] = (await newest(h, "done")).files;
        assert.deepEqual([file.name, file.path], ["photo\u202egpj.exe", "Received/Anna/photo_gpj.exe"]);
        assert.deepEqual(namesIn(h, "Received/Anna"), ["photo_gpj.exe"]);
    });

    test("two offers of an address may wait", async (t) => {
        const h = await startHostpair({ t });
        const files = [{ name: "a", size: 1 }];
        await offered(h, files);
        await offered(h, files);
        const third = await offer(h, files);
        assert.equal(third.status, 429);
        assert.equal(third.headers["retry-after"], "60");
        await decide(h, (await newest(h)).id, "decline");
        assert.equal((await offer(h, files)).status, 202);
    });

    test("the settings decide without a person, ask for a PIN, or take nothing", async (t) => {
        const h = await startHostpair({ t });
        const files = [{ name: "a", size: 1 }];
        await set(h, { receive: "everyone" });
        const token = await offered(h, files);
        assert.equal((await state(h, token, 10)).json.state, "receiving");
        await set(h, { receive: "off" });
        const off = await offer(h, files);
        assert.equal(off.status, 403);
        assert.match(off.json.detail, /takes no files/);
        await set(h, { receive: "ask", receive_pin: "4711" });
        assert.equal(
            (await h.api("/settings", { method: "PATCH", json: { receive_pin: "12" } })).status,
            422,
        );
        assert.equal((await offer(h, files)).json.code, "pin");
        for (const pin of ["0000", "1111", "2222"])
            assert.equal((await offer(h, files, { pin })).status, 401);
        const guessed = await offer(h, files, { pin: "4711" });
        assert.equal(guessed.status, 429);
        assert.ok(Number(guessed.headers["retry-after"]) > 290);
        await set(h, { receive_pin: "", access: "hosts" });
        assert.equal((await offer(h, files)).status, 403);
    });

    test("a page of another site may not offer files", async (t) => {
        const h = await startHostpair({ t });
        const files = [{ id: "0", name: "a", size: 1 }];
        const from = (/** @type {string} */ origin) =>
            request(at(h, ""), { json: { files }, headers: { origin } });
        assert.equal((await from("http://evil.example")).status, 403);
        assert.equal((await from("null")).status, 403);
        assert.equal((await from(`http://127.0.0.1:${h.peerPort}`)).status, 202);
    });

    test("a site whose name leads here gets nothing by the browsers of others", async (t) => {
        const h = await startHostpair({ t, args: ["--allow-host", "files.example.net"] });
        writeFileSync(join(h.shareDir, "secret.txt"), "secret");
        await waitFor(async () => (await h.peer("/")).text.includes("secret.txt"));
        const browser = { "user-agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0" };
        /** @param {string} path @param {Record<string, string>} headers @param {object} init */
        const ask = (path, headers, init = {}) => request(h.peerUrl + path, { ...init, headers });
        const gift = { json: { files: [{ id: "0", name: "a", size: 1 }] } };
        for (const name of [
            "evil.example",
            "EVIL.example.",
            "127.0.0.1.evil.example",
            "local.evil.example",
        ]) {
            const host = `${name}:${h.peerPort}`;
            const origin = `http://${host}`;
            for (const path of ["/", "/list", "/secret.txt", "/files/?archive=zip", "/hostpair"]) {
                for (const headers of /** @type {Record<string, string>[]} */ ([
                    { host, ...browser },
                    { host, "accept-language": "en", accept: "text/html" },
                    { host, origin },
                ])) {
                    const reply = await ask(path, headers);
                    assert.equal(reply.status, 403, `${path} ${JSON.stringify(headers)}`);
                    assert.match(reply.text, /--allow-host (evil|local|127)/i);
                    assert.doesNotMatch(reply.text, /secret/);
                }
                assert.ok((await ask(path, { host, "user-agent": "curl/8" })).status === 200, "programs may");
            }
            for (const path of ["/hostpair/inbox", "/hostpair/archive?archive=zip", "/hostpair/bundle"])
                assert.equal((await ask(path, { host, origin, ...browser }, gift)).status, 403, path);
            assert.equal((await ask("/", { host, origin }, { method: "PROPFIND" })).status, 403);
            assert.equal((await ask("/list", { host, origin: "null" })).status, 403);
        }
        assert.deepEqual((await h.api("/inbox")).json.incoming, []);
        for (const name of [
            "attic",
            "attic.local",
            "attic.home.arpa",
            "127.0.0.1",
            "[::1]",
            "files.example.net",
        ]) {
            const host = `${name}:${h.peerPort}`;
            const origin = `http://${host}`;
            assert.equal((await ask("/", { host, ...browser })).status, 200, name);
            assert.equal((await ask("/list", { host, origin, ...browser })).status, 200, name);
        }
        // A proxy that has a certificate for the name.
        const host = "nas.example.org";
        const secure = { host, "sec-fetch-site": "same-origin", ...browser };
        assert.equal((await ask("/", secure)).status, 200);
        assert.equal(
            (await ask("/hostpair/inbox", { ...secure, origin: `https://${host}` }, gift)).status,
            202,
        );
    });

    test("an interrupted file goes on over kill -9, with the same part file", async (t) => {
        const h = await startHostpair({ t });
        const bytes = makeBytes(40 * MiB);
        const { token } = await accepted(h, [
            { name: "small.txt", size: 5 },
            { name: "film.mp4", size: bytes.length, sha256: sha256Of(bytes) },
        ]);
        await put(h, token, "0", Buffer.from("small"));
        const stop = await begun(h, token, "1", bytes.subarray(0, 30 * MiB), bytes.length);
        await waitFor(async () => (await state(h, token)).json.files[1].received >= 29 * MiB, {
            what: "30 MiB",
        });
        await h.kill9();
        stop();
        await h.start();
        const after = (await state(h, token)).json;
        assert.equal(after.state, "receiving");
        assert.equal(after.files[0].done, true);
        const received = after.files[1].received;
        assert.ok(received >= 16 * MiB && received <= 30 * MiB, `${received} bytes are here`);
        assert.equal(namesIn(h, "Received/Anna").length, 2);
        const rest = await put(
            h,
            token,
            "1",
            bytes.subarray(received),
            `bytes ${received}-${bytes.length - 1}/${bytes.length}`,
        );
        assert.equal(rest.json.done, true, rest.text);
        assert.deepEqual(namesIn(h, "Received/Anna"), ["film.mp4", "small.txt"]);
        assert.ok(landed(h, "Received/Anna/film.mp4").equals(bytes));
        await h.stop();
        await h.start();
        const [kept] = await inbox(h);
        assert.equal(kept.state, "done");
        assert.equal(kept.files[1].path, "Received/Anna/film.mp4");
    });

    test("an offer that no disk has room for is not accepted", async (t) => {
        const h = await startHostpair({ t });
        await offered(h, [{ name: "x", size: 2 ** 52 }]);
        const { id } = await newest(h, "asking");
        const reply = await decide(h, id, "accept");
        assert.equal(reply.status, 507);
        assert.match(reply.json.detail, /bytes were offered, and \d+ are free/);
        assert.equal((await newest(h)).state, "asking");
    });

    test("at a terminal", async (t) => {
        const h = await startHostpair({ t });
        const env = asks(h);
        assert.match((await piped(["inbox"], { env })).stderr, /Nobody has sent anything/);
        const token = await offered(h, [{ name: "a.txt", size: 3 }]);
        const [{ id }] = await inbox(h);
        assert.equal(
            (await piped(["inbox"], { env })).stdout,
            `${id}\tAnna\tasking\t1\t3\ta.txt\t127.0.0.1\n`,
        );
        assert.equal(
            (await piped(["inbox", "accept", "--to", "Here", String(id)], { env })).stdout,
            `${id} from Anna is accepted: it lands in Here.\n`,
        );
        await put(h, token, "0", Buffer.from("abc"));
        await newest(h, "done");
        assert.match((await piped(["inbox"], { env })).stdout, /\tdone\t1\t3\tHere\t/);
        const again = await piped(["inbox", "accept", String(id)], { env });
        assert.equal(again.code, 1);
        assert.match(again.stderr, /is done already/);
        assert.equal((await piped(["inbox", "decline", "x"], { env })).code, 2);
        assert.equal((await piped(["inbox", "accept"], { env })).code, 2);
    });
});
