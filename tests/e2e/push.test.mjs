// @ts-check
// Pushes: files of the share that another host is asked to take, and fetches.

import assert from "node:assert/strict";
import { chmodSync, existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";

import {
    MiB,
    addHost,
    download,
    getDownload,
    makeFile,
    request,
    sleep,
    startHostpair,
    waitFor,
    waitState,
} from "./harness.mjs";
import { fakeHost, hashed, listed, pathsBelow } from "./hosts.mjs";
import { identityIn } from "./identities.mjs";
import { decide, inbox, newest } from "./inbox.mjs";
import { startLink } from "./link.mjs";
import { ask } from "./people.mjs";
import { asks, piped } from "./terminal.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */
/** @typedef {import("./harness.mjs").TestContext} TestContext */

/** Two hosts; the first has files and knows the second. @param {TestContext} t */
async function two(t) {
    const a = await startHostpair({ t, name: "studio" });
    const b = await startHostpair({ t, name: "attic" });
    await makeFile(join(a.shareDir, "big.bin"), 20 * MiB, 1);
    await makeFile(join(a.shareDir, "photos/1.jpg"), 5000, 2);
    await makeFile(join(a.shareDir, "photos/deep/2.jpg"), 6000, 3);
    await waitFor(async () => (await a.api("/share/files?q=jpg")).json.files.length === 2, {
        what: "the files in the share's list",
    });
    const ofB = (await addHost(a, b.peerPort)).id;
    return { a, b, ofB };
}

/** @param {Hostpair} h @param {string} host @param {string[]} paths @param {object} [more] */
const push = (h, host, paths, more = {}) =>
    h.api(`/hosts/${host}/push`, { method: "POST", json: { paths, ...more } });

/** The push as it is now. @param {Hostpair} h @param {number} id */
const pushed = async (h, id) =>
    (await h.api("/pushes")).json.pushes.find((/** @type {any} */ one) => one.id === id);

/** The push once it is in one of the states. @param {Hostpair} h @param {number} id @param {string[]} states */
const reaches = (h, id, ...states) =>
    waitFor(
        async () => {
            const list = (await h.api("/pushes")).json.pushes;
            const one = list.find((/** @type {any} */ other) => other.id === id);
            return states.includes(one?.state) && one;
        },
        {
            timeout: 30_000,
            what: `a push in the state ${states}`,
            detail: async () => (await h.api("/pushes")).text,
        },
    );

/** @param {Hostpair} from @param {string} path @param {Hostpair} to @param {string} landed */
const assertSame = (from, path, to, landed) =>
    assert.ok(
        readFileSync(join(from.shareDir, path)).equals(readFileSync(join(to.downloadsDir, landed))),
        landed,
    );

describe("pushes", () => {
    test("a host accepts files and a folder, and fetches them", async (t) => {
        const { a, b, ofB } = await two(t);
        const begun = await push(a, ofB, ["big.bin", "photos"]);
        assert.equal(begun.status, 202, begun.text);
        const asking = await newest(b, "asking");
        assert.equal(asking.from.name, "studio");
        assert.equal(asking.from.kind, "hostpair");
        assert.match(asking.from.host, /^[0-9a-f]{32}$/);
        assert.deepEqual(
            asking.files.map((/** @type {any} */ f) => [f.name, f.size]),
            [
                ["big.bin", 20 * MiB],
                ["photos", null],
            ],
        );
        await reaches(a, begun.json.id, "asking");
        assert.equal((await decide(b, asking.id, "accept")).json.folder, "Received/studio");
        const done = await newest(b, "done");
        assert.deepEqual(
            done.files.map((/** @type {any} */ f) => f.path),
            ["Received/studio/big.bin", "Received/studio/photos"],
        );
        assertSame(a, "big.bin", b, "Received/studio/big.bin");
        assertSame(a, "photos/deep/2.jpg", b, "Received/studio/photos/deep/2.jpg");
        const told = await reaches(a, begun.json.id, "done");
        assert.equal(told.size, 20 * MiB);
        assert.equal(told.done_bytes, 20 * MiB + 11_000);
        const downloads = (await b.api("/downloads")).json.downloads;
        assert.equal(downloads.filter((/** @type {any} */ d) => d.verified).length, 2);
    });

    test("it is declined, needs a PIN, is taken back, or names what is not shared", async (t) => {
        const { a, b, ofB } = await two(t);
        const first = (await push(a, ofB, ["big.bin"])).json.id;
        await decide(b, (await newest(b, "asking")).id, "decline");
        await reaches(a, first, "declined");

        await b.api("/settings", { method: "PATCH", json: { receive_pin: "4711" } });
        const second = (await push(a, ofB, ["big.bin"])).json.id;
        assert.match((await reaches(a, second, "failed")).reason, /asks for a PIN/);
        const third = (await push(a, ofB, ["big.bin"], { pin: "4711" })).json.id;
        await reaches(a, third, "asking");
        assert.equal((await a.api(`/pushes/${third}`, { method: "DELETE" })).status, 204);
        assert.match((await newest(b, "cancelled")).reason, /sender has cancelled/);
        assert.equal((await a.api(`/pushes/${third}`, { method: "DELETE" })).status, 409);

        const fourth = (await push(a, ofB, ["none.txt"])).json.id;
        assert.match((await reaches(a, fourth, "failed")).reason, /none.txt is not shared/);
        assert.equal((await push(a, ofB, ["../x"])).status, 422);
        assert.equal((await push(a, ofB, [])).status, 422);
        assert.equal((await push(a, "0".repeat(32), ["big.bin"])).status, 404);
        await b.api("/settings", { method: "PATCH", json: { receive: "off", receive_pin: "" } });
        const fifth = (await push(a, ofB, ["big.bin"])).json.id;
        assert.match((await reaches(a, fifth, "failed")).reason, /takes no files/);
    });

    test("what was accepted goes on over a restart of either side", async (t) => {
        const { a, b, ofB } = await two(t);
        const { id } = (await push(a, ofB, ["big.bin", "photos"])).json;
        const asking = await newest(b, "asking");
        await reaches(a, id, "asking");
        await a.api("/settings", { method: "PATCH", json: { up_limit_bps: 8 * MiB } });
        await decide(b, asking.id, "accept");
        await waitFor(async () => (await inbox(b))[0].done_bytes > MiB, { what: "bytes" });
        await b.kill9();
        await a.restart();
        await a.api("/settings", { method: "PATCH", json: { up_limit_bps: 0 } });
        await b.start();
        const done = await newest(b, "done");
        assertSame(a, "big.bin", b, done.files[0].path);
        assertSame(a, "photos/1.jpg", b, `${done.files[1].path}/1.jpg`);
        assert.deepEqual((await a.api("/pushes")).json.pushes, []);
    });

    test("cancelling at the receiver stops its download", async (t) => {
        const { a, b, ofB } = await two(t);
        await a.api("/settings", { method: "PATCH", json: { up_limit_bps: MiB } });
        const { id } = (await push(a, ofB, ["big.bin"])).json;
        const asking = await newest(b, "asking");
        await decide(b, asking.id, "accept");
        await waitFor(async () => (await b.api("/downloads")).json.downloads.length === 1);
        assert.equal((await decide(b, asking.id, "cancel")).json.reason, "It was cancelled here");
        await waitFor(async () => (await b.api("/downloads")).json.downloads.length === 0);
        assert.ok(!existsSync(join(b.downloadsDir, "Received/studio/big.bin")));
        assert.equal((await reaches(a, id, "cancelled")).reason, "It was cancelled at attic");
    });

    test("of what is offered some is taken: that is said, and counted", async (t) => {
        const { a, b, ofB } = await two(t);
        const { id } = (await push(a, ofB, ["big.bin", "photos/1.jpg"])).json;
        const asking = await newest(b, "asking");
        const before = await reaches(a, id, "asking");
        assert.deepEqual([before.offered, before.taken, before.size], [2, null, 20 * MiB + 5000]);
        await decide(b, asking.id, "accept", { files: ["photos/1.jpg"] });
        const done = await reaches(a, id, "done");
        assert.deepEqual([done.offered, done.taken, done.size, done.done_bytes], [2, 1, 5000, 5000]);

        const sent = piped(["push", "attic", "big.bin", "photos/1.jpg"], { env: asks(a) });
        await decide(b, (await newest(b, "asking")).id, "accept", { files: ["photos/1.jpg"] });
        assert.deepEqual([(await sent).code, (await sent).stdout], [0, "attic took 1 of the 2 offered.\n"]);
    });

    test("a host that is away is asked once it is back, and is waited for when it goes again", async (t) => {
        const { a, b, ofB } = await two(t);
        await a.api("/settings", { method: "PATCH", json: { up_limit_bps: 4 * MiB } });
        await b.kill9();
        const { id } = (await push(a, ofB, ["big.bin"])).json;
        const sent = piped(["push", "attic", "photos/1.jpg"], { env: asks(a) });
        await waitFor(async () => /^It is away \(.*refused/.test((await pushed(a, id)).reason ?? ""));
        assert.equal((await pushed(a, id)).state, "connecting");
        await sleep(3000); // several tries
        await b.start();
        const [one, other] = await waitFor(async () => {
            const all = await inbox(b);
            return all.length === 2 && all;
        });
        for (const item of [one, other]) assert.equal((await decide(b, item.id, "accept")).status, 200);
        const { code, stderr } = await sent;
        assert.equal(code, 0, stderr);
        assert.match(stderr, /It is away \(.*refused\); it is tried again\.\n(Asking at|Accepted)/);
        await reaches(a, id, "sending");
        await b.kill9();
        const waiting = await waitFor(async () => {
            const now = await pushed(a, id);
            return /^It is away/.test(now.reason ?? "") && now;
        });
        assert.equal(waiting.state, "sending");
        await b.start();
        await a.api("/settings", { method: "PATCH", json: { up_limit_bps: 0 } });
        assert.equal((await reaches(a, id, "done")).reason, null);
        assertSame(a, "big.bin", b, "Received/studio/big.bin");
    });

    test("an offer whose answer is lost is made again, and nobody is asked twice", async (t) => {
        const a = await startHostpair({ t, name: "studio" });
        const b = await startHostpair({ t, name: "attic" });
        await makeFile(join(a.shareDir, "a.txt"), 10, 1);
        const link = await startLink({ t, to: b.peerPort });
        const ofB = (await addHost(a, link.port)).id;
        let answers = 0;
        link.onReply = ({ method, path }) => method !== "POST" || path !== "/hostpair/inbox" || ++answers > 2;
        const { id } = (await push(a, ofB, ["a.txt"])).json;
        await reaches(a, id, "asking");
        assert.equal(answers, 3);
        assert.equal((await inbox(b)).length, 1);
        await decide(b, (await newest(b, "asking")).id, "accept");
        await reaches(a, id, "done");

        // Taken back before the answer has come.
        link.onReply = ({ method }) => method !== "POST";
        const back = (await push(a, ofB, ["a.txt"])).json.id;
        await newest(b, "asking");
        assert.equal((await a.api(`/pushes/${back}`, { method: "DELETE" })).status, 204);
        assert.match((await newest(b, "cancelled")).reason, /sender has cancelled/);
    });

    test("of many files those that are taken are counted, also when all is over at once", async (t) => {
        const { a, b, ofB } = await two(t);
        const paths = Array.from({ length: 150 }, (_, i) => `many/${String(i).padStart(3, "0")}.txt`);
        await Promise.all(paths.map((path, i) => makeFile(join(a.shareDir, path), 10, i)));
        await waitFor(async () => (await a.api("/share/files?q=149.txt")).json.files.length === 1);
        const { id } = (await push(a, ofB, paths)).json;
        await decide(b, (await newest(b, "asking")).id, "accept", { files: paths.slice(50) });
        const done = await reaches(a, id, "done");
        assert.deepEqual([done.offered, done.taken, done.size], [150, 100, 1000]);
    });

    test("a folder that is newer than the list that is being fetched arrives all the same", async (t) => {
        const a = await startHostpair({ t, name: "studio" });
        const b = await startHostpair({ t, name: "attic" });
        await makeFile(join(a.shareDir, "old.bin"), 5000, 1);
        const link = await startLink({ t, to: a.peerPort });
        const ofA = (await addHost(b, link.port)).id;
        const ofB = (await addHost(a, b.peerPort)).id;
        await listed(b, ofA, 1);
        // The list as it is before there is the folder is on its way, and stays there.
        let held = false;
        link.onReply = ({ path }) => {
            if (/^\/list/.test(path) && !held) {
                held = true;
                link.stall();
            }
            return true;
        };
        await b.api(`/hosts/${ofA}/files/refresh`, { method: "POST" });
        await waitFor(() => held, {
            what: "the list on its way",
            detail: () => JSON.stringify(link.requests),
        });
        await makeFile(join(a.shareDir, "fresh/deep/new.bin"), 7000, 2);
        await waitFor(async () => (await a.api("/share/files?q=new.bin")).json.files.length === 1);
        await push(a, ofB, ["fresh"]);
        await decide(b, (await newest(b, "asking")).id, "accept");
        await newest(b, "receiving");
        link.go();
        const done = await newest(b, "done", "failed");
        assert.equal(done.state, "done", done.reason);
        assertSame(a, "fresh/deep/new.bin", b, `${done.files[0].path}/deep/new.bin`);
    });

    test("nobody can name files of a host without its key", async (t) => {
        const { a, b } = await two(t);
        const reply = await request(`http://127.0.0.1:${b.peerPort}/hostpair/inbox`, {
            json: { name: "studio", files: [{ id: "big.bin", name: "big.bin", size: 5, folder: false }] },
        });
        assert.equal(reply.status, 202);
        assert.equal((await newest(b, "asking")).from.kind, "browser");
        assert.ok(a);
    });

    test("at a terminal", async (t) => {
        const { a, b } = await two(t);
        await b.api("/settings", { method: "PATCH", json: { receive: "everyone" } });
        const env = asks(a);
        const sent = await piped(["push", "attic", join(a.shareDir, "big.bin"), "photos/"], { env });
        assert.equal(sent.code, 0, sent.stderr);
        assert.equal(sent.stdout, "attic has it.\n");
        assertSame(a, "photos/1.jpg", b, "Received/studio/photos/1.jpg");
        const none = await piped(["push", "attic", "none.txt"], { env });
        assert.equal(none.code, 1);
        assert.match(none.stderr, /failed: none.txt is not shared/);
        const early = await piped(["push", "--no-wait", "--json", "attic", "big.bin"], { env });
        assert.equal(JSON.parse(early.stdout).state, "connecting");
    });
});

/**
 * An offer as a host may word it that says what it likes.
 * @param {Hostpair} h @param {import("./identities.mjs").Identity} as @param {object[]} files
 */
async function offerAs(h, as, ...files) {
    const reply = await ask(h, "/hostpair/inbox", {
        method: "POST",
        body: JSON.stringify({ files }),
        headers: { "content-type": "application/json" },
        as,
    });
    return { ...reply, json: JSON.parse(reply.text) };
}

/** Two hosts, each with the other's id, pair. @param {[Hostpair, string][]} both */
async function pair(...both) {
    const [[first, other]] = both;
    assert.equal((await first.api(`/hosts/${other}/pair`, { method: "POST" })).status, 202);
    for (const [h, id] of both) {
        const confirmed = () => h.api(`/hosts/${id}/pair/confirm`, { method: "POST" });
        await waitFor(async () => (await confirmed()).status === 202, { what: "digits to confirm" });
    }
    for (const [h, id] of both)
        await waitFor(async () => (await h.api(`/hosts/${id}`)).json.paired, { what: `${h.name} is paired` });
}

describe("what is fetched is what was asked about", () => {
    test("an offer of a host names the file that comes, and its type is that of the name", async (t) => {
        const { a, b } = await two(t);
        await makeFile(join(a.shareDir, "a/evil.sh"), 100, 4);
        await hashed(a, 4);
        const ofA = (await addHost(b, a.peerPort)).id;
        await listed(b, ofA, 4);
        const as = identityIn(a.dataDir);
        for (const name of ["photo.jpg", "il.sh", "b/evil.sh", "x/a/evil.sh"]) {
            const lie = await offerAs(b, as, { id: "a/evil.sh", name, type: "image/jpeg", size: 100 });
            assert.equal(lie.status, 422, lie.text);
            assert.match(lie.json.detail, /its path does not end in this name/);
        }
        for (const name of ["evil.sh", "a/evil.sh"]) {
            const taken = await offerAs(b, as, { id: "a/evil.sh", name, type: "image/jpeg", size: 100 });
            assert.equal(taken.status, 202, taken.text);
            const { files, id } = await newest(b, "asking");
            assert.deepEqual([files[0].name, files[0].folder], [name, false]);
            assert.doesNotMatch(files[0].type, /image/);
            await decide(b, id, "decline");
        }
        await offerAs(b, as, { id: "photos", name: "photos", type: "image/jpeg", folder: true });
        const folder = (await newest(b, "asking")).files[0];
        assert.deepEqual([folder.type, folder.folder, folder.size], ["inode/directory", true, null]);
    });

    test("a file that has more bytes than were offered fails, and none of them is kept", async (t) => {
        const { a, b } = await two(t);
        await hashed(a, 3);
        const ofA = (await addHost(b, a.peerPort)).id;
        await listed(b, ofA, 3);
        const taken = await offerAs(b, identityIn(a.dataDir), { id: "big.bin", name: "big.bin", size: 3 });
        assert.equal(taken.status, 202, taken.text);
        await decide(b, (await newest(b, "asking")).id, "accept");
        const failed = await newest(b, "failed", "done");
        assert.equal(failed.reason, `big.bin: The file has ${20 * MiB} bytes, and 3 were offered`);
        assert.deepEqual((await b.api("/downloads")).json.downloads, []);
        assert.deepEqual(pathsBelow(b.downloadsDir), []);
    });

    for (const chunked of [false, true])
        test(`also where its list does not tell, ${chunked ? "nor its answer" : "but its answer"}`, async (t) => {
            const b = await startHostpair({ t, name: "attic" });
            const bytes = Buffer.alloc(5 * MiB, 7);
            let sent = 0;
            const liar = await fakeHost(t, {
                handler: (req, res) => {
                    if (!/bait\.bin$/.test(req.url ?? "")) return false;
                    const range = /^bytes=(\d+)-(\d*)$/.exec(req.headers.range ?? "");
                    const first = range ? Number(range[1]) : 0;
                    const last = range?.[2] ? Math.min(Number(range[2]), bytes.length - 1) : bytes.length - 1;
                    const part = bytes.subarray(first, last + 1);
                    sent += part.length;
                    if (chunked) res.writeHead(200, { etag: '"1"' });
                    else
                        res.writeHead(range ? 206 : 200, {
                            etag: '"1"',
                            "content-length": part.length,
                            ...(range ? { "content-range": `bytes ${first}-${last}/${bytes.length}` } : {}),
                        });
                    res.end(chunked ? bytes : part);
                    return true;
                },
            });
            await addHost(b, liar.port);
            const taken = await offerAs(b, liar.identity, { id: "bait.bin", name: "bait.bin", size: 3 });
            assert.equal(taken.status, 202, taken.text);
            await decide(b, (await newest(b, "asking")).id, "accept");
            const failed = await newest(b, "failed", "done");
            assert.match(
                failed.reason ?? "",
                chunked
                    ? /does not say how long|does not say where/
                    : /^bait\.bin: The file has 5242880 bytes, and 3 were offered$/,
                JSON.stringify(failed),
            );
            assert.ok(sent <= 2 * bytes.length, `${sent} bytes were sent`);
            assert.deepEqual(
                pathsBelow(b.downloadsDir).filter((path) => /bait/.test(path)),
                [],
            );
        });

    test("only what a paired host sends may be run here", async (t) => {
        const { a, b, ofB } = await two(t);
        for (const [i, name] of ["one.sh", "two.sh", "tools/three.sh"].entries()) {
            await makeFile(join(a.shareDir, name), 5000, 9 + i);
            chmodSync(join(a.shareDir, name), 0o755);
        }
        await hashed(a, 6);
        const ofA = (await addHost(b, a.peerPort)).id;
        await listed(b, ofA, 6);
        const runs = async (/** @type {string[]} */ paths, /** @type {string} */ landed) => {
            await push(a, ofB, paths);
            await decide(b, (await newest(b, "asking")).id, "accept");
            const over = await newest(b, "done", "failed");
            assert.equal(over.state, "done", over.reason);
            return (statSync(join(b.downloadsDir, "Received/studio", landed)).mode & 0o111) !== 0;
        };
        assert.equal(await runs(["one.sh"], "one.sh"), false);
        assert.equal(await runs(["tools"], "tools/three.sh"), false);
        const own = await waitState(
            b,
            (await download(b, { host: ofA, path: "one.sh", copy: true })).id,
            "done",
        );
        assert.notEqual(statSync(join(b.downloadsDir, own.path)).mode & 0o111, 0, "as a person ordered it");
        await pair([a, ofB], [b, ofA]);
        assert.equal(await runs(["two.sh"], "two.sh"), true);
    });
});

describe("a download that is not only a transfer's", () => {
    /** The first host sends slowly. @param {TestContext} t */
    async function slow(t) {
        const hosts = await two(t);
        await hashed(hosts.a, 3);
        const ofA = (await addHost(hosts.b, hosts.a.peerPort)).id;
        await listed(hosts.b, ofA, 3);
        await hosts.a.api("/settings", { method: "PATCH", json: { up_limit_bps: 4 * MiB } });
        const fast = () => hosts.a.api("/settings", { method: "PATCH", json: { up_limit_bps: 0 } });
        return { ...hosts, ofA, fast };
    }
    /** A push of big.bin that is accepted: its id there and here. @param {Hostpair} a @param {Hostpair} b @param {string} ofB */
    async function accepted(a, b, ofB) {
        const pushed = (await push(a, ofB, ["big.bin"])).json.id;
        const { id } = await newest(b, "asking");
        await reaches(a, pushed, "asking");
        const reply = await decide(b, id, "accept");
        assert.equal(reply.status, 200, reply.text);
        await reaches(a, pushed, "sending");
        return { pushed, id };
    }
    /** @param {Hostpair} h @param {number} id @param {string[]} states */
    const settles = (h, id, ...states) =>
        waitFor(
            async () => {
                const { json } = await h.api(`/inbox/${id}`);
                return states.includes(json.state) && json;
            },
            {
                what: `transfer ${id} in the state ${states}`,
                detail: async () => (await h.api("/inbox")).text,
            },
        );
    const downloads = async (/** @type {Hostpair} */ h) => (await h.api("/downloads")).json.downloads;

    test("what a person ordered before stays when the sender takes it back, also over a restart", async (t) => {
        const { a, b, ofA, ofB, fast } = await slow(t);
        const own = await download(b, { host: ofA, path: "big.bin" });
        await waitFor(async () => (await getDownload(b, own.id)).done_bytes > MiB, { what: "bytes" });
        const { pushed, id } = await accepted(a, b, ofB);
        await waitFor(async () => (await b.api(`/inbox/${id}`)).json.done_bytes > 0, { what: "it follows" });
        await b.restart();
        assert.equal((await a.api(`/pushes/${pushed}`, { method: "DELETE" })).status, 204);
        assert.equal((await settles(b, id, "cancelled")).state, "cancelled");
        await fast();
        const done = await waitState(b, own.id, "done");
        assertSame(a, "big.bin", b, done.path);
    });

    test("what a person orders afterwards stays, too", async (t) => {
        const { a, b, ofA, ofB, fast } = await slow(t);
        const { pushed, id } = await accepted(a, b, ofB);
        await waitFor(async () => (await downloads(b)).length === 1, { what: "the download" });
        const own = await download(b, { host: ofA, path: "big.bin" });
        assert.equal((await a.api(`/pushes/${pushed}`, { method: "DELETE" })).status, 204);
        await settles(b, id, "cancelled");
        await fast();
        assertSame(a, "big.bin", b, (await waitState(b, own.id, "done")).path);
    });

    test("given twice, both arrive; one that is cancelled leaves the other its download", async (t) => {
        const { a, b, ofB, fast } = await slow(t);
        const first = await accepted(a, b, ofB);
        await waitFor(async () => (await downloads(b)).length === 1, { what: "the download" });
        const second = await accepted(a, b, ofB);
        const third = await accepted(a, b, ofB);
        await decide(b, first.id, "cancel"); // which ordered it
        await settles(b, first.id, "cancelled");
        await b.restart();
        await fast();
        for (const { id } of [second, third]) {
            const done = await settles(b, id, "done", "failed");
            assert.equal(done.state, "done", done.reason);
            assert.equal(done.done_bytes, 20 * MiB);
            assertSame(a, "big.bin", b, done.files[0].path);
        }
        assert.equal((await downloads(b)).length, 1);
    });

    test("given twice and cancelled twice, the download is gone", async (t) => {
        const { a, b, ofB } = await slow(t);
        const first = await accepted(a, b, ofB);
        await waitFor(async () => (await downloads(b)).length === 1, { what: "the download" });
        const second = await accepted(a, b, ofB);
        await decide(b, first.id, "cancel");
        await decide(b, second.id, "cancel");
        await waitFor(async () => (await downloads(b)).length === 0, { what: "no download" });
        await waitFor(() => !pathsBelow(b.downloadsDir).some((path) => /big/.test(path)), {
            what: "no part file",
            detail: () => pathsBelow(b.downloadsDir),
        });
    });
});
