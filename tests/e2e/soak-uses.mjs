// @ts-check
// What a day of use does to three hosts, for the soak: each use is a function that leaves nothing behind. What is over is
// removed by the API, and what came to the disk by hand, as a person would.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { MiB, download, makeBytes, pathOf, sha256, sha256Of, sleep, waitFor, waitState } from "./harness.mjs";
import { assertSameTree, fakeHost } from "./hosts.mjs";
import { begun, decide, inbox, offered, put, state } from "./inbox.mjs";
import { Raw, ask } from "./protocol.mjs";

/**
 * @typedef {import("./harness.mjs").Hostpair} Hostpair
 * @typedef {import("./harness.mjs").TestContext} TestContext
 * @typedef {import("./soak-wire.mjs").Wire} Wire
 *
 * @typedef {object} World
 * @property {Hostpair[]} hosts
 * @property {(h: Hostpair) => string} id
 * @property {(from: Hostpair, to: Hostpair) => Wire} link by which `from` reaches `to`
 * @property {number} web port of a web server with one file
 * @property {Buffer} webFile
 * @property {string} folders where folders lie that are shared in place
 * @property {Record<string, number>} counts what was done, and how often
 * @property {(what: string, times?: number) => void} count
 * @property {() => number} next a number that nobody else has
 * @property {Map<string, number>} pairings that were begun, by host and host
 * @property {TestContext} t
 *
 * @typedef {() => number} Random  in [0, 1)
 * @typedef {{ name: string, run: (w: World, random: Random) => Promise<void> }} Use
 */

/** What the hosts share, by the name of the one that it is for: this is on the two others. */
export const LARGE = 40 * MiB;
export const ALBUM = { small: 150, large: 3 };
/** Pairings that one host may begin at another within an hour. */
const PAIRINGS = 10;

/** @template T @param {Random} random @param {T[]} list @returns {T} */
const one = (random, list) => list[Math.floor(random() * list.length)];

/** In a random order. @template T @param {Random} random @param {T[]} list @returns {T[]} */
export function shuffled(random, list) {
    const all = [...list];
    for (let i = all.length - 1; i > 0; i--) {
        const j = Math.floor(random() * (i + 1));
        [all[i], all[j]] = [all[j], all[i]];
    }
    return all;
}

/** Two different hosts. @param {World} w @param {Random} random */
const two = (w, random) => shuffled(random, w.hosts);

/** @param {import("./harness.mjs").Reply} reply @param {...number} statuses */
function is(reply, ...statuses) {
    assert.ok(
        statuses.includes(reply.status),
        `${reply.status}, not ${statuses}: ${reply.text.slice(0, 500)}`,
    );
    return reply;
}

// ---- downloads ----

/** What happens in the middle of a download. */
const troubles = [
    "nothing",
    "cut",
    "away",
    "stall",
    "pause",
    "limit",
    "keep",
    "give up",
    "give up and clear",
    "source",
];

/**
 * Orders something that two hosts have, lets something happen in the middle, compares what came, orders it again, and removes
 * it.
 * @param {World} w
 * @param {Random} random
 * @param {Hostpair} h
 * @param {Hostpair} from
 * @param {{ path: string } | { folder: string }} what
 * @param {string} trouble
 * @param {() => Promise<void>} [inTheMiddle]
 */
async function fetched(w, random, h, from, what, trouble, inTheMiddle) {
    const order = { host: w.id(from), ...what };
    const path = "path" in what ? what.path : what.folder;
    const link = w.link(h, from);
    const at = (0.1 + 0.6 * random()) * ("path" in what ? LARGE : ALBUM.large * 3 * MiB);
    let { id } = await download(h, order);
    await waitState(h, id, (d) => d.done_bytes >= at || d.state === "done");
    const change = (/** @type {object} */ json) => h.api(`/downloads/${id}`, { method: "PATCH", json });
    const remove = async (/** @type {"keep" | "remove"} */ data) =>
        is(await h.api(`/downloads/${id}?data=${data}`, { method: "DELETE" }), 204);
    if (inTheMiddle) await inTheMiddle();
    if (trouble === "cut") link.breakAll();
    if (trouble === "source") for (const other of w.hosts) if (other !== h) w.link(h, other).breakAll();
    if (trouble === "away") {
        link.goDown();
        await sleep(200);
        link.comeUp();
    }
    if (trouble === "stall") {
        link.stall();
        await sleep(300);
        link.go();
    }
    if (trouble === "pause" && is(await change({ state: "paused" }), 200, 409).status === 200) {
        await waitState(h, id, ["paused", "done"]);
        is(await change({ state: "queued" }), 200, 409);
    }
    if (trouble === "limit" && is(await change({ limit_bps: 2 * MiB }), 200, 409).status === 200) {
        await sleep(200);
        is(await change({ limit_bps: 0 }), 200, 409);
    }
    if (/keep|give up/.test(trouble)) {
        const before = (await h.api(`/downloads/${id}`)).json;
        await remove(trouble === "give up" ? "remove" : "keep");
        const kept = (await h.api("/kept")).json.kept.find((/** @type {any} */ k) => k.id === id);
        w.count(kept || trouble === "give up" ? "downloads cancelled" : "downloads removed");
        if (kept && trouble !== "keep") is(await h.api(`/kept/${id}`, { method: "DELETE" }), 204);
        // It may have been done by then.
        if (!kept || trouble !== "keep") rmSync(pathOf(h, before), { recursive: true, force: true });
        if (trouble !== "keep") return;
        ({ id } = await download(h, order));
    }
    const d = await waitState(h, id, "done", { timeout: 120_000 });
    assert.equal(d.verified, true, JSON.stringify(d));
    const got = pathOf(h, d);
    if ("path" in what) assert.equal(await sha256(got), await sha256(join(from.shareDir, path)), d.path);
    else await assertSameTree(got, join(from.shareDir, path));
    w.count("downloads equal");

    const again = is(await h.api("/downloads", { json: order }), 200);
    assert.equal(again.json.id, id, "what is there is not fetched again");
    await waitState(h, id, "done");
    w.count("orders of what was there");
    await remove("keep");
    rmSync(got, { recursive: true });
}

/** @param {World} w @param {Random} random */
async function large(w, random) {
    const [h, from] = downloader(w, random);
    await fetched(w, random, h, from, { path: `films/for ${h.name}.bin` }, one(random, troubles));
}

/** @param {World} w @param {Random} random */
async function album(w, random) {
    const [h, from] = downloader(w, random);
    await fetched(w, random, h, from, { folder: `album for ${h.name}` }, one(random, troubles));
}

/** Who downloads, and one of the two who have it. @param {World} w @param {Random} random */
function downloader(w, random) {
    const [a, b, c] = w.hosts;
    return random() < 0.5 ? [b, one(random, [a, c])] : [a, one(random, [b, c])];
}

/** The third host is stopped or killed while both others download from it, and it downloads itself. @param {World} w @param {Random} random */
async function outage(w, random) {
    const [a, b, c] = w.hosts;
    let middle = 0;
    let gone = () => {};
    const over = new Promise((done) => (gone = () => done(undefined)));
    const kill = random() < 0.5;
    // All of them are in the middle when it goes.
    const meet = async () => {
        if (++middle === 3) {
            await (kill ? c.kill9() : c.stop());
            await sleep(random() * 300);
            await c.start();
            w.count("outages of a host");
            gone();
        }
        await over;
    };
    const own = async () => {
        const { id } = await download(c, { host: w.id(a), path: "own.bin" });
        await waitState(c, id, (d) => d.done_bytes > 2 * MiB);
        await meet();
        const d = await waitState(c, id, "done", { timeout: 120_000 });
        assert.equal(await sha256(pathOf(c, d)), await sha256(join(a.shareDir, "own.bin")));
        w.count("downloads equal");
        is(await c.api(`/downloads/${id}`, { method: "DELETE" }), 204);
        rmSync(pathOf(c, d));
    };
    const parts = [
        fetched(w, random, b, one(random, [a, c]), { path: "films/for b.bin" }, "nothing", meet),
        fetched(w, random, a, one(random, [b, c]), { folder: "album for a" }, "nothing", meet),
        own(),
    ];
    await allOf(parts, gone);
}

/** Waits for all, also where one fails, and throws the first failure. @param {Promise<unknown>[]} all @param {() => void} [failed] */
async function allOf(all, failed = () => {}) {
    const ends = await Promise.allSettled(
        all.map((one) => one.catch((error) => (failed(), Promise.reject(error)))),
    );
    for (const end of ends) if (end.status === "rejected") throw end.reason;
}

/** A folder that was fetched is brought up to date after some of it was changed at its host. @param {World} w @param {Random} random */
async function update(w, random) {
    const [h, from] = two(w, random);
    const folder = `updated ${w.next()}`;
    const top = join(from.shareDir, folder);
    mkdirSync(top);
    for (let i = 0; i < 10; i++) writeFileSync(join(top, `${i}.txt`), `${i} of ${folder}`);
    const seen = async (/** @type {string} */ name) => {
        await shown(from, folder, name, (f) => f?.root);
        is(await h.api(`/hosts/${w.id(from)}/files/refresh`, { method: "POST" }), 202);
        await waitFor(
            async () => {
                const reply = await h.api(`/hosts/${w.id(from)}/files?folder=${encodeURIComponent(folder)}`);
                return reply.json.files.some((/** @type {any} */ f) => f.name === name && f.root);
            },
            { what: `${folder}/${name} in the list of ${from.name} at ${h.name}`, timeout: 30_000 },
        );
    };
    await seen("9.txt");
    const order = { host: w.id(from), folder };
    const first = await waitState(h, (await download(h, order)).id, "done");
    await assertSameTree(pathOf(h, first), top);
    writeFileSync(join(top, "3.txt"), `changed: ${random()}`);
    writeFileSync(join(top, "new.txt"), `new: ${random()}`);
    await seen("new.txt");
    await download(h, order);
    const second = await waitState(h, first.id, "done");
    await assertSameTree(pathOf(h, second), top);
    w.count("folders brought up to date");
    is(await h.api(`/downloads/${first.id}`, { method: "DELETE" }), 204);
    rmSync(pathOf(h, second), { recursive: true });
    rmSync(top, { recursive: true });
}

/** A file of a web server that breaks off. @param {World} w @param {Random} random */
async function fromTheWeb(w, random) {
    const h = one(random, w.hosts);
    const url = `http://127.0.0.1:${w.web}/${random() < 0.5 ? "breaks" : "whole"}/file ${w.next()}.bin`;
    const { id } = await download(h, { url: encodeURI(url) });
    if (random() < 0.3) {
        is(await h.api(`/downloads/${id}?data=remove`, { method: "DELETE" }), 204);
        w.count("downloads cancelled");
        for (const name of readdirSync(h.downloadsDir))
            if (url.endsWith(name)) rmSync(join(h.downloadsDir, name));
        return;
    }
    const d = await waitState(h, id, "done");
    assert.equal(await sha256(pathOf(h, d)), sha256Of(w.webFile));
    w.count("downloads equal");
    is(await h.api(`/downloads/${id}`, { method: "DELETE" }), 204);
    rmSync(pathOf(h, d));
}

// ---- the share ----

/**
 * Waits until the list of what `h` offers shows a file as it should be.
 * @param {Hostpair} h @param {string} folder @param {string} name @param {(file: any) => unknown} match undefined: it is not listed
 */
const shown = (h, folder, name, match) =>
    waitFor(
        async () => {
            const reply = await h.api(`/share/files?limit=1000&folder=${encodeURIComponent(folder)}`);
            if (reply.status === 404) return match(undefined);
            return match(reply.json.files.find((/** @type {any} */ f) => f.name === name));
        },
        { what: `${folder}/${name} as it should be at ${h.name}`, timeout: 30_000 },
    );

/** Somebody works in the shared folder. @param {World} w @param {Random} random */
async function desk(w, random) {
    const h = one(random, w.hosts);
    const folder = `desk ${w.next()}`;
    const top = join(h.shareDir, folder);
    mkdirSync(top);
    for (let i = 0; i < 8; i++) writeFileSync(join(top, `${i}.txt`), "x".repeat(100 + i));
    await shown(h, folder, "7.txt", (f) => f?.root);
    const { root } = (await h.api(`/share/files?folder=${encodeURIComponent(folder)}`)).json.files[2];
    writeFileSync(join(top, "2.txt"), `changed ${random()}`);
    await shown(h, folder, "2.txt", (f) => f?.root && f.root !== root);
    renameSync(join(top, "3.txt"), join(top, "three.txt"));
    rmSync(join(top, "4.txt"));
    await shown(h, folder, "three.txt", (f) => f?.root);
    await shown(h, folder, "4.txt", (f) => !f);
    const moved = `${folder} moved`;
    renameSync(top, join(h.shareDir, moved));
    await shown(h, moved, "7.txt", (f) => f?.root);
    await shown(h, folder, "7.txt", (f) => !f);
    rmSync(join(h.shareDir, moved), { recursive: true });
    await shown(h, moved, "7.txt", (f) => !f);
    w.count("folders written, changed, moved and removed");
}

/** A folder is shared where it is, and no more. @param {World} w @param {Random} random */
async function place(w, random) {
    const h = one(random, w.hosts);
    const name = `place ${w.next()}`;
    const folder = join(w.folders, name);
    mkdirSync(join(folder, "below"), { recursive: true });
    for (let i = 0; i < 8; i++) writeFileSync(join(folder, "below", `${i}.txt`), `${i} of ${name}`);
    is(await h.api("/share/folders", { json: { folder } }), 201);
    await shown(h, `${name}/below`, "7.txt", (f) => f?.root);
    is(await h.api(`/share/folders/${encodeURIComponent(name)}`, { method: "DELETE" }), 204);
    await shown(h, `${name}/below`, "7.txt", (f) => !f);
    rmSync(folder, { recursive: true });
    w.count("folders shared in place");
}

/** Files are put into the share by the dashboard, in pieces; some break off. @param {World} w @param {Random} random */
async function uploads(w, random) {
    const h = one(random, w.hosts);
    const folder = `uploads ${w.next()}`;
    const bytes = makeBytes(3 * MiB, w.next());
    const file = (/** @type {string} */ name) => `/share/files/${encodeURIComponent(folder)}/${name}`;
    const piece = (/** @type {string} */ name, /** @type {number} */ first, /** @type {number} */ end) =>
        h.api(file(name), {
            method: "PUT",
            body: bytes.subarray(first, end),
            headers: {
                "content-type": "application/octet-stream",
                "content-range": `bytes ${first}-${end - 1}/${bytes.length}`,
            },
        });
    is(await piece("whole.bin", 0, MiB), 202);
    is(await piece("half.bin", 0, MiB), 202);
    is(await piece("whole.bin", MiB, 2 * MiB), 202);
    // The connection goes in the middle of a piece.
    const raw = new Raw(h.dashboardPort);
    const headers = {
        Host: `127.0.0.1:${h.dashboardPort}`,
        "Content-Type": "application/octet-stream",
        "Content-Range": `bytes ${MiB}-${2 * MiB - 1}/${bytes.length}`,
        "Content-Length": `${MiB}`,
    };
    raw.send(ask(`/api/v1${file("half.bin")}`, { method: "PUT", headers }));
    raw.send(bytes.subarray(0, Math.floor(random() * MiB)));
    await sleep(20 * random());
    raw.close();
    is(await piece("whole.bin", 2 * MiB, 3 * MiB), 201);
    assert.equal(await sha256(join(h.shareDir, folder, "whole.bin")), sha256Of(bytes));
    is(await h.api(file("half.bin"), { method: "DELETE" }), 204, 404);
    is(await h.api(file("whole.bin"), { method: "DELETE" }), 204);
    is(
        await h.api(`/share/files/${encodeURIComponent(folder)}?recursive=true`, { method: "DELETE" }),
        204,
        404,
    );
    await waitFor(() => !existsSync(join(h.shareDir, folder)), { what: `${folder} being gone` });
    w.count("uploads");
}

// ---- the inbox ----

/** A guest offers files. @param {World} w @param {Random} random @param {Hostpair} h */
async function gift(w, random, h) {
    const name = `Anna ${w.next()}`;
    const bytes = makeBytes(MiB + 7, w.next());
    const files = [
        { name: "film.bin", size: bytes.length, sha256: sha256Of(bytes) },
        { name: "notes/note.txt", size: 5 },
    ];
    const token = await offered(h, files, { name });
    /** @param {string[]} states */
    const mine = (...states) =>
        waitFor(
            async () =>
                (await inbox(h)).find(
                    (/** @type {any} */ item) => item.from.name === name && states.includes(item.state),
                ),
            { what: `${states} of the gift of ${name}` },
        );
    const { id } = await mine("asking");
    const end = one(random, ["taken", "taken", "declined", "withdrawn", "cancelled", "broken off"]);
    if (end === "declined") is(await decide(h, id, "decline"), 200);
    else if (end === "withdrawn") is(await h.api(`/inbox/${id}`), 200);
    else is(await decide(h, id, "accept"), 200);
    if (end === "withdrawn") {
        const reply = await h.peer(`/hostpair/inbox/${token}`, { method: "DELETE" });
        assert.equal(reply.status, 204, reply.text);
    }
    if (end === "cancelled" || end === "broken off") {
        const stop = await begun(h, token, "0", bytes.subarray(0, 500_000), bytes.length);
        await sleep(30 * random());
        if (end === "cancelled") is(await decide(h, id, "cancel"), 200);
        stop();
        if (end === "broken off") {
            // Its bytes may still be taken in: a sender asks how much is there.
            await waitFor(async () => (await put(h, token, "0", bytes)).status === 200, { what: "the rest" });
        }
    }
    if (end === "taken") is(await put(h, token, "0", bytes), 200);
    if (end === "taken" || end === "broken off") {
        is(await put(h, token, "1", Buffer.from("12345")), 200);
        const done = await mine("done");
        assert.equal(await sha256(join(h.downloadsDir, done.files[0].path)), sha256Of(bytes));
        is(await h.api(`/inbox/${id}/content?file=1`), 200);
    }
    assert.ok(["done", "declined", "cancelled"].includes((await state(h, token)).json.state));
    await waitFor(() => hiddenBelow(join(h.downloadsDir, "Received", name)).length === 0, {
        what: "no part file",
    });
    rmSync(join(h.downloadsDir, "Received", name), { recursive: true, force: true });
    w.count(`gifts ${end}`);
}

/** What has a hidden name in a folder and below it. @param {string} folder @returns {string[]} */
export function hiddenBelow(folder) {
    if (!existsSync(folder)) return [];
    return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
        const path = join(folder, entry.name);
        const below = entry.isDirectory() ? hiddenBelow(path) : [];
        return entry.name.startsWith(".") ? [path, ...below] : below;
    });
}

/** One host offers files to another. @param {World} w @param {Random} random */
async function push(w, random) {
    const [from, to] = two(w, random);
    /** @param {number} id */
    const ours = async (id) =>
        (await from.api("/pushes")).json.pushes.find((/** @type {any} */ p) => p.id === id);
    const asking = async () =>
        (await inbox(to)).find(
            (/** @type {any} */ item) => item.from.host === w.id(from) && item.state === "asking",
        );
    /**
     * Offers until an offer is there: a line that breaks meanwhile ends one.
     * @param {number} [tries]
     * @returns {Promise<{ pushed: number, id: number }>}
     */
    const offer = async (tries = 5) => {
        const begun = await from.api(`/hosts/${w.id(to)}/push`, { json: { paths: ["papers", "note.txt"] } });
        const pushed = is(begun, 202).json.id;
        const state = await waitFor(
            async () => {
                const { state } = await ours(pushed);
                return ["asking", "failed"].includes(state) && state;
            },
            { what: "an offer", timeout: 60_000, detail: async () => JSON.stringify(await ours(pushed)) },
        );
        const item = await asking();
        if (state === "asking" && item) return { pushed, id: item.id };
        assert.ok(tries > 1, `pushes fail: ${JSON.stringify(await ours(pushed))}`);
        w.count("pushes broken off");
        // It may be there all the same, without its sender knowing.
        if (item) is(await decide(to, item.id, "decline"), 200);
        return await offer(tries - 1);
    };
    const { pushed, id } = await offer();
    /** @param {string[]} states */
    const here = (...states) =>
        waitFor(async () => states.includes((await ours(pushed)).state), {
            what: `a push in the state ${states}`,
            timeout: 60_000,
            detail: async () => JSON.stringify(await ours(pushed)),
        });
    const end = one(random, ["taken", "taken", "declined", "withdrawn"]);
    if (end === "declined") {
        is(await decide(to, id, "decline"), 200);
        await here("declined");
    } else if (end === "withdrawn") {
        is(await from.api(`/pushes/${pushed}`, { method: "DELETE" }), 204);
        await waitFor(async () => (await to.api(`/inbox/${id}`)).json.state === "cancelled", {
            what: "the offer being cancelled there",
        });
    } else {
        is(await decide(to, id, "accept"), 200);
        await here("done");
        const { files } = await waitFor(
            async () => {
                const item = (await to.api(`/inbox/${id}`)).json;
                return item.state === "done" && item;
            },
            { what: "the push being done there", timeout: 60_000 },
        );
        const paths = files.map((/** @type {any} */ f) => f.path);
        await assertSameTree(join(to.downloadsDir, paths[0]), join(from.shareDir, "papers"));
        assert.equal(
            readFileSync(join(to.downloadsDir, paths[1]), "utf8"),
            readFileSync(join(from.shareDir, "note.txt"), "utf8"),
        );
        const { downloads } = (await to.api("/downloads")).json;
        for (const d of downloads)
            if (paths.includes(d.path)) is(await to.api(`/downloads/${d.id}`, { method: "DELETE" }), 204);
        rmSync(join(to.downloadsDir, "Received", from.name), { recursive: true });
    }
    w.count(`pushes ${end}`);
}

// ---- messages, pairing, hosts ----

/** @param {World} w @param {Random} random */
async function message(w, random) {
    const [from, to] = two(w, random);
    const text = `message ${w.next()}`;
    const everyone = random() < 0.2;
    const sent = is(
        await from.api("/messages", {
            json: {
                to: everyone ? "everyone" : w.id(to),
                text,
                ...(random() < 0.3 ? { offer: { path: "note.txt" } } : {}),
            },
        }),
        202,
    ).json;
    await waitFor(
        async () =>
            (await from.api(`/messages/${sent.id}`)).json.deliveries.every(
                (/** @type {any} */ d) => d.state === "delivered",
            ),
        {
            what: `"${text}" being delivered`,
            timeout: 90_000,
            detail: async () => (await from.api(`/messages/${sent.id}`)).text,
        },
    );
    for (const h of everyone ? w.hosts.filter((other) => other !== from) : [to]) {
        const { messages } = (await h.api(`/messages?with=${w.id(from)}`)).json;
        const got = messages.find((/** @type {any} */ m) => m.text === text);
        assert.ok(got, `${text} at ${h.name}`);
        is(await h.api("/messages/read", { json: { up_to: got.id } }), 200);
        is(await h.api(`/messages/${got.id}`, { method: "DELETE" }), 204);
    }
    is(await from.api(`/messages/${sent.id}`, { method: "DELETE" }), 204);
    w.count("messages");
}

/** @param {World} w @param {Random} random */
async function pairing(w, random) {
    const [from, to] = two(w, random);
    const key = `${from.name} ${to.name}`;
    const count = w.pairings.get(key) ?? 0;
    if (count === PAIRINGS) return;
    w.pairings.set(key, count + 1);
    const reaches = (
        /** @type {Hostpair} */ h,
        /** @type {Hostpair} */ with_,
        /** @type {string[]} */ ...states
    ) =>
        waitFor(
            async () =>
                (await h.api("/pairings")).json.pairings.some(
                    (/** @type {any} */ p) => p.host === w.id(with_) && states.includes(p.state),
                ),
            { what: `a pairing in the state ${states} at ${h.name}`, timeout: 30_000 },
        );
    const call = (
        /** @type {Hostpair} */ h,
        /** @type {Hostpair} */ with_,
        /** @type {string} */ rest,
        method = "POST",
    ) => h.api(`/hosts/${w.id(with_)}/pair${rest}`, { method });
    is(await call(from, to, ""), 202);
    await reaches(from, to, "confirm");
    await reaches(to, from, "confirm");
    const end = one(random, ["cancelled", "refused", "paired and unpaired"]);
    if (end === "paired and unpaired") {
        is(await call(from, to, "/confirm"), 202);
        is(await call(to, from, "/confirm"), 202);
        const paired = (/** @type {boolean} */ wanted) =>
            waitFor(
                async () =>
                    (await from.api(`/hosts/${w.id(to)}`)).json.paired === wanted &&
                    (await to.api(`/hosts/${w.id(from)}`)).json.paired === wanted,
                { what: `${from.name} and ${to.name}: paired ${wanted}`, timeout: 30_000 },
            );
        await paired(true);
        is(await (random() < 0.5 ? call(from, to, "", "DELETE") : call(to, from, "", "DELETE")), 204);
        await paired(false);
    } else if (end === "cancelled") is(await call(from, to, "", "DELETE"), 204);
    else is(await call(to, from, "", "DELETE"), 204);
    w.count(`pairings ${end}`);
}

/** A host comes, is known, and is forgotten. @param {World} w @param {Random} random */
async function visitor(w, random) {
    const h = one(random, w.hosts);
    /** @type {Array<() => unknown>} */
    const ends = [];
    const fake = await fakeHost(
        { after: (fn) => ends.push(fn) },
        {
            name: `visitor ${w.next()}`,
            handler: (req, res) => {
                if (!req.url?.startsWith("/list")) return false;
                const line = (/** @type {number} */ i) =>
                    JSON.stringify({ path: `theirs/${i}.txt`, size: 5, mtime: "2020-01-01T00:00:00.000Z" });
                res.writeHead(200, { "content-type": "application/x-ndjson" });
                res.end(Array.from({ length: 50 }, (_, i) => `${line(i)}\n`).join(""));
                return true;
            },
        },
    );
    const { id } = is(await h.api("/hosts", { json: { address: `127.0.0.1:${fake.port}` } }), 201).json;
    await waitFor(async () => (await h.api(`/hosts/${id}/files?q=.txt`)).json.total === 50, {
        what: "the visitor's list",
    });
    is(await h.api(`/hosts/${id}`, { method: "DELETE" }), 204);
    for (const end of ends) await end();
    w.count("hosts that came and were forgotten");
}

// ---- who looks ----

/** Every call of the dashboard that lists something. */
const LISTINGS = [
    ..."/status /hosts /pairings /groups /downloads /downloads?state=done&limit=5 /kept /share/files".split(
        " ",
    ),
    ..."/share/folders /messages /messages?with=everyone /doctor /pushes /inbox /connections".split(" "),
    ..."/settings /traffic /log /openapi.yaml /metrics /search?q=for /search?q=1.dat&limit=5".split(" "),
    "/share/digest?path=note.txt&algorithm=sha-256",
    "/share/content/note.txt",
    "/share/files?folder=papers&sort=size&order=desc&limit=7",
];

/** @param {World} w @param {Random} random @param {Hostpair} h */
async function dashboard(w, random, h) {
    for (const path of shuffled(random, LISTINGS)) is(await h.api(path), 200, 202);
    for (const path of ["/downloads/999999999", "/messages/999999999", "/nothing"])
        is(await h.api(path), 404);
    is(await h.api("/downloads", { json: { host: "none" } }), 400, 404, 422);
    const page = await h.api("/status", { headers: { host: "elsewhere.example" } }).catch((error) => error);
    assert.ok(page.status >= 400, "another site is refused");
    w.count("rounds of the dashboard's lists");
}

/** Somebody looks through another host's files. @param {World} w @param {Random} random */
async function browsing(w, random) {
    const [h, from] = two(w, random);
    const files = `/hosts/${w.id(from)}/files`;
    is(await h.api(files), 200);
    for (const query of ["?folder=papers", "?q=1", "?sort=size&order=desc", "?folder=nowhere"])
        is(await h.api(files + query), 200, 404);
    for (let next = ""; ;) {
        const reply = is(
            await h.api(`${files}?q=.&limit=40${next && `&cursor=${encodeURIComponent(next)}`}`),
            200,
        );
        next = reply.json.next;
        if (!next || random() < 0.1) break;
    }
    is(await h.api(`${files}/refresh`, { method: "POST" }), 202);
    for (const q of ["papers", "note", "for b", "nothing like it"])
        is(await h.api(`/search?q=${encodeURIComponent(q)}`), 200);
    w.count("looks through a host's files");
}

/** Event streams are opened, read and broken off. @param {World} w @param {Random} random */
async function streams(w, random) {
    const h = one(random, w.hosts);
    const open = await Promise.all(Array.from({ length: 6 }, () => h.events()));
    for (const stream of open) await stream.next("status");
    is(await h.api("/share/files?limit=1"), 200);
    const last = open[0].events.findLast((e) => e.id)?.id;
    for (const stream of open) {
        if (random() < 0.5) await sleep(20 * random());
        stream.close();
    }
    const back = await h.events(last ? { lastEventId: last } : {});
    await sleep(20);
    back.close();
    // These are never read, and gone at once.
    for (let i = 0; i < 4; i++) {
        const raw = new Raw(h.dashboardPort, { reads: false });
        raw.send(ask("/api/v1/events", { headers: { Host: `127.0.0.1:${h.dashboardPort}` } }));
        await sleep(10 * random());
        raw.close();
    }
    w.count("event streams", 11);
}

const PROPFIND = '<?xml version="1.0"?><propfind xmlns="DAV:"><allprop/></propfind>';

/** Guests with a browser, a network folder or a program look and fetch; some go in the middle. @param {World} w @param {Random} random */
async function guests(w, random) {
    const h = one(random, w.hosts);
    const large = readdirSync(join(h.shareDir, "films"))[0];
    const film = `/films/${encodeURIComponent(large)}`;
    for (const path of ["/", "/?folder=papers", "/?q=note", "/list", "/hostpair", "/note.txt"])
        is(await h.peer(path), 200);
    is(await h.peer("/nothing/here"), 404);
    is(await h.peer("/list", { headers: { accept: "application/x-ndjson" } }), 200);
    is(await h.peer(film, { headers: { range: "bytes=5-999" } }), 206);
    is(await h.peer(film, { method: "HEAD" }), 200);
    is(await h.peer(`/torrent${film}`), 200, 503);
    const { etag } = (await h.peer("/note.txt")).headers;
    is(await h.peer("/note.txt", { headers: { "if-none-match": etag ?? "" } }), 304, 200);
    for (const kind of ["tar", "zip"]) is(await h.peer(`/files/papers/?archive=${kind}`), 200);
    is(await h.peer("/files/papers/", { method: "PROPFIND", headers: { depth: "1" }, body: PROPFIND }), 207);
    const dav = { Depth: "1", "Content-Length": `${PROPFIND.length}` };
    const away = [
        ask("/files/?archive=tar"),
        ask("/files/?archive=zip"),
        ask(film),
        ask(film, { headers: { Range: "bytes=1000000-" } }),
        ask("/list"),
        ask("/files/papers/", { method: "PROPFIND", headers: dav }) + PROPFIND,
        ask("/files/papers/", { method: "PROPFIND", headers: dav }) + PROPFIND.slice(0, 40),
    ];
    await Promise.all(
        away.map(async (request, i) => {
            const raw = new Raw(h.peerPort, { reads: random() < 0.5 });
            raw.send(request);
            await sleep(5 + 60 * ((i * 0.37 + random()) % 1));
            raw.close();
        }),
    );
    w.count("rounds of guests");
}

/** Connections that say nothing, half of something, or something else. @param {World} w @param {Random} random */
async function strays(w, random) {
    const h = one(random, w.hosts);
    const hello = Buffer.from("160301020001", "hex");
    const begins = [
        "",
        "G",
        "GET / HTTP/1.1\r\nHo",
        "POST /message HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n{",
        hello,
    ];
    const raws = begins.flatMap((begin) =>
        [h.peerPort, h.dashboardPort].map((port) => {
            const raw = new Raw(port, { reads: random() < 0.5 });
            if (begin.length) raw.send(begin);
            return raw;
        }),
    );
    const garbage = new Raw(h.peerPort)
        .send("\0\0\r\n\r\n")
        .send(createHash("sha256").update(`${random()}`).digest());
    // One stays until the person closes it.
    const kept = new Raw(h.peerPort).send(ask("/hostpair"));
    await kept.reply();
    const { connections } = (await h.api("/connections")).json;
    const port = kept.socket.localPort;
    const found = connections.find((/** @type {any} */ c) => JSON.stringify(c).includes(`${port}`));
    if (found) is(await h.api(`/connections/${found.id}`, { method: "DELETE" }), 204, 404);
    await sleep(100 + 500 * random());
    for (const raw of [...raws, garbage, kept]) raw.close();
    w.count("connections that stalled and went", raws.length + 2);
}

/** Settings are changed and changed back. @param {World} w @param {Random} random */
async function settings(w, random) {
    const h = one(random, w.hosts);
    const change = (/** @type {object} */ json) => h.api("/settings", { method: "PATCH", json });
    is(await change({ up_limit_bps: 500 * MiB }), 200);
    is(await change({ up_limit_bps: 0 }), 200);
    is(await change({ nonsense: 1 }), 422);
    w.count("changes of settings", 2);
}

/** The doctor looks at the machine. @param {World} w @param {Random} random */
async function doctor(w, random) {
    const h = one(random, w.hosts);
    const { id } = is(await h.api("/doctor", { json: {} }), 202).json;
    await waitFor(async () => !(await h.api(`/doctor/${id}`)).json.running, {
        what: "a look",
        timeout: 60_000,
    });
    w.count("looks of the doctor");
}

/**
 * What one round does beside each other, in a random order; the third host is there all the while.
 * @param {World} w
 * @param {Random} random
 * @returns {Use[]}
 */
export function usesOfRound(w, random) {
    /** @type {Use[]} */
    const uses = [];
    const add = (/** @type {(w: World, random: Random) => Promise<void>} */ run, often = 1) => {
        for (; often > 0; often--) if (random() < often) uses.push({ name: run.name, run });
    };
    add(large);
    add(album);
    add(update, 0.5);
    add(fromTheWeb, 0.7);
    add(desk, 2);
    add(place, 0.5);
    add(uploads);
    for (const h of shuffled(random, w.hosts).slice(1))
        uses.push({ name: `gift to ${h.name}`, run: (_, own) => gift(w, own, h) });
    add(push);
    add(message, 2);
    add(pairing, 0.3);
    add(visitor, 0.5);
    for (const h of w.hosts)
        uses.push({ name: `dashboard of ${h.name}`, run: (_, own) => dashboard(w, own, h) });
    add(browsing, 2);
    add(streams, 2);
    add(guests, 2);
    add(strays, 2);
    add(settings, 0.5);
    add(doctor, 0.2);
    return shuffled(random, uses);
}

/** What follows, with nothing beside it. @param {Random} random @param {number} round @returns {Use[]} */
export const usesAlone = (random, round) =>
    random() < 0.2 || round === 1 ? [{ name: "outage", run: outage }] : [];
