// @ts-check
// People at different hosts: messages between them, and what may be posted as one.

import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";

import {
    MiB,
    addHost,
    download,
    freePort,
    makeFile,
    pathOf,
    sha256,
    startHostpair,
    waitFor,
    waitState,
} from "./harness.mjs";
import { assertWords, fakeHost, hashed } from "./hosts.mjs";
import { startLink } from "./link.mjs";
import { TIME, ask, body, messages, post } from "./people.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */

/** An offline host that something waits for is probed every 10 seconds. */
const RETURN = { timeout: 40_000 };

/** @param {Hostpair} h @returns {Promise<string>} */
const idOf = async (h) => (await h.api("/status")).json.id;

/** What was received, in order. @param {Hostpair} h */
const received = async (h) => (await messages(h)).filter((m) => m.incoming).map((m) => m.text);

/** @param {Hostpair} h @param {string} to @param {string} text @param {object} [more] */
async function say(h, to, text, more = {}) {
    const { status, json, headers } = await h.api("/messages", { json: { to, text, ...more } });
    assert.equal(status, 202, JSON.stringify(json));
    assert.equal(headers.location, `/api/v1/messages/${json.id}`);
    return json;
}

/** Waits until every delivery of a message has this state. @param {Hostpair} h @param {number} id @param {string} state */
const delivered = (h, id, state = "delivered") =>
    waitFor(
        async () => {
            const { json } = await h.api(`/messages/${id}`);
            return json.deliveries.every((/** @type {any} */ d) => d.state === state) && json;
        },
        { ...RETURN, what: `message ${id} being ${state}`, detail: async () => messages(h) },
    );

/** Waits until a host is seen as it is. @param {Hostpair} h @param {string} id @param {"online" | "offline"} state */
const seen = (h, id, state) =>
    waitFor(async () => (await h.api(`/hosts/${id}`)).json.state === state, {
        timeout: 30_000,
        what: `${id} being ${state}`,
    });

describe("messages", () => {
    test("two people write to each other", async (t) => {
        const a = await startHostpair({ t, name: "Anna" });
        const b = await startHostpair({ t, name: "Bert" });
        const toB = (await addHost(a, b.peerPort)).id;
        const toA = await idOf(a);
        const stream = await b.events();
        const mine = await a.events();
        t.after(() => (stream.close(), mine.close()));

        const sent = await say(a, toB, "你好\nBert <b>");
        assert.equal(sent.from, toA);
        assert.equal(sent.to, toB);
        assert.equal(sent.incoming, false);
        assert.match(sent.sent_at, TIME);
        const done = await delivered(a, sent.id);
        assert.deepEqual(
            done.deliveries.map((/** @type {any} */ d) => [d.host, d.state, d.reason]),
            [[toB, "delivered", null]],
        );
        // B learnt of A from the message itself.
        const [got] = await messages(b);
        assert.equal(got.text, "你好\nBert <b>");
        assert.equal(got.from, toA);
        assert.equal(got.from_name, "Anna");
        assert.equal(got.incoming, true);
        assert.equal(got.unread, true);
        assert.equal(got.offer, null);
        assert.equal(got.uid, sent.uid);
        assert.match(got.received_at, TIME);
        assert.equal((await b.api(`/hosts/${toA}`)).json.found_by, "message");
        const event = await stream.next((e) => e.event === "message");
        assert.deepEqual(event.data, got);
        await stream.next((e) => e.event === "status" && e.data.messages.unread === 1);
        await mine.next((e) => e.event === "message" && e.data.deliveries[0].state === "delivered");

        const answer = await say(b, toA, "hello");
        await delivered(b, answer.id);
        assert.deepEqual(await received(a), ["hello"]);
        assert.deepEqual(
            (await messages(b, `?with=${toA}`)).map((m) => m.text),
            ["你好\nBert <b>", "hello"],
        );

        // Unread, read, and other pages hear of it.
        const { json: before } = await b.api("/messages");
        assert.deepEqual([before.unread, before.unread_by_host], [1, { [toA]: 1 }]);
        const read = await b.api("/messages/read", { json: { with: toA } });
        assert.deepEqual([read.status, read.json], [200, { unread: 0, unread_by_host: {} }]);
        assert.equal((await b.api("/status")).json.messages.unread, 0);
        assert.equal((await messages(b))[0].unread, false);
        await stream.next((e) => e.event === "status" && e.data.messages.unread === 0);

        // Removed here, and only here.
        assert.equal((await b.api(`/messages/${got.id}`, { method: "DELETE" })).status, 204);
        assert.equal((await b.api(`/messages/${got.id}`)).status, 404);
        await stream.next((e) => e.event === "message" && e.data.removed && e.data.id === got.id);
        assert.equal((await messages(a)).length, 2);
    });

    test("everyone gets what is sent to everyone, and each state is seen", async (t) => {
        const [a, b, c, d] = await Promise.all(
            ["a", "b", "c", "d"].map((name) => startHostpair({ t, name })),
        );
        /** @type {string[]} */
        const ids = [];
        for (const h of [b, c, d]) ids.push((await addHost(a, h.peerPort)).id);
        await d.stop();
        await a.api("/scan", { method: "GET" }); // refused: no network is scanned by a test
        const sent = await say(a, "everyone", "lunch?");
        assert.equal(sent.to, "everyone");
        assert.deepEqual(sent.deliveries.map((/** @type {any} */ one) => one.host).sort(), [...ids].sort());
        const now = await waitFor(
            async () => {
                const { json } = await a.api(`/messages/${sent.id}`);
                const done = json.deliveries.filter((/** @type {any} */ one) => one.state === "delivered");
                const waits = json.deliveries.find((/** @type {any} */ one) => one.host === ids[2]);
                return done.length === 2 && waits.reason && json;
            },
            { what: "two of three having it", detail: () => messages(a) },
        );
        const waits = now.deliveries.find((/** @type {any} */ one) => one.host === ids[2]);
        assert.equal(waits.state, "queued");
        assertWords(waits.reason);
        assert.deepEqual(await received(b), ["lunch?"]);
        assert.deepEqual(await received(c), ["lunch?"]);
        for (const id of [...ids, "everyone"])
            assert.deepEqual(
                (await messages(a, `?with=${id}`)).map((m) => m.id),
                [sent.id],
                id,
            );
        await d.start();
        await delivered(a, sent.id);
        assert.deepEqual(await received(d), ["lunch?"]);
    });

    test("an offline host gets all in order, over restarts of both sides", async (t) => {
        const a = await startHostpair({ t, name: "a" });
        const b = await startHostpair({ t, name: "b" });
        const { id } = await addHost(a, b.peerPort);
        await b.stop();
        const texts = [];
        for (let i = 0; i < 6; i++) {
            texts.push(`before ${i}`);
            await say(a, id, texts[i]);
        }
        await seen(a, id, "offline");
        const [first] = await messages(a);
        assert.equal(first.deliveries[0].state, "queued");
        assert.equal(first.deliveries[0].reason, "it is offline");
        await a.kill9();
        await a.start();
        for (let i = 6; i < 9; i++) {
            texts.push(`after ${i}`);
            await say(a, id, texts[i]);
        }
        await a.restart();
        assert.equal((await messages(a)).filter((m) => m.deliveries[0].state === "queued").length, 9);
        await b.start();
        const last = (await messages(a))[8];
        await delivered(a, last.id);
        assert.deepEqual(await received(b), texts);
        await b.restart();
        await a.restart();
        assert.deepEqual(await received(b), texts, "nothing comes twice");
        assert.equal((await b.api("/messages")).json.unread, 9);
    });

    test("a restart in the middle of a delivery: exactly once at the receiver", async (t) => {
        const a = await startHostpair({ t, name: "a" });
        const b = await startHostpair({ t, name: "b" });
        // Hands everything on, but loses the reply to a message once it has come.
        const link = await startLink({ t, to: b.peerPort });
        let lost = 0;
        link.onReply = (request) => {
            if (!lose || request.method !== "POST") return true;
            lost++;
            return false;
        };
        let lose = false;
        const { id } = await addHost(a, link.port);

        lose = true;
        const one = await say(a, id, "one");
        await waitFor(() => lost > 0, { what: "a reply being lost" });
        await a.kill9();
        lose = false;
        await a.start();
        await delivered(a, one.id);
        assert.deepEqual(await received(b), ["one"]);

        lose = true;
        const before = lost;
        const two = await say(a, id, "two");
        await waitFor(() => lost > before, { what: "a reply being lost" });
        await b.kill9();
        lose = false;
        await say(a, id, "three");
        await b.start();
        await delivered(a, two.id);
        await waitFor(async () => (await received(b)).length === 3, RETURN);
        assert.deepEqual(await received(b), ["one", "two", "three"]);
    });

    test("kills at random moments lose nothing, double nothing and keep the order", async (t) => {
        const a = await startHostpair({ t, name: "a" });
        const b = await startHostpair({ t, name: "b" });
        const { id } = await addHost(a, b.peerPort);
        const texts = [];
        for (let round = 0; round < 6; round++) {
            texts.push(`${round}`);
            const sending = say(a, id, texts[round]);
            const victim = round % 2 === 0 ? b : a;
            if (victim === a) await sending; // 202: it is kept
            await new Promise((done) => setTimeout(done, (round * 7) % 20)); // any moment will do
            await victim.kill9();
            await sending;
            await victim.start();
        }
        const last = await waitFor(async () => (await messages(a)).at(-1));
        await delivered(a, last.id);
        assert.deepEqual(await received(b), texts);
    });

    test("an offered file is downloaded with what the message says", async (t) => {
        const a = await startHostpair({ t, name: "a" });
        const b = await startHostpair({ t, name: "b" });
        await makeFile(join(a.shareDir, "films/a b.bin"), 3 * MiB, 7);
        await hashed(a, 1);
        const { id } = await addHost(a, b.peerPort);
        const { json: list } = await a.api("/share/files?folder=films");
        const sent = await say(a, id, "as promised", { offer: { path: "films/a b.bin" } });
        assert.deepEqual(sent.offer, {
            path: "films/a b.bin",
            size: 3 * MiB,
            root: list.files[0].root,
        });
        await delivered(a, sent.id);
        const [got] = await messages(b);
        assert.deepEqual(got.offer, sent.offer);
        const d = await download(b, { host: got.from, path: got.offer.path });
        const done = await waitState(b, d.id, "done");
        assert.equal(done.root, got.offer.root);
        assert.equal(await sha256(pathOf(b, done)), await sha256(join(a.shareDir, "films/a b.bin")));

        const alone = await a.api("/messages", { json: { to: id, offer: { path: "films/a b.bin" } } });
        assert.equal(alone.status, 202);
        for (const path of ["films", "nothing", "../secret", "/etc/passwd", "films/../films/a b.bin"]) {
            const refused = await a.api("/messages", { json: { to: id, text: "x", offer: { path } } });
            assert.equal(refused.status, 404, path);
            assert.match(refused.json.detail, /^offer\.path: /);
        }
    });

    test("what cannot be sent is refused with the field's name", async (t) => {
        const a = await startHostpair({ t, name: "a" });
        const b = await startHostpair({ t, name: "b" });
        const { id } = await addHost(a, b.peerPort);
        for (const [json, status, words] of /** @type {[any, number, RegExp][]} */ ([
            [{ text: "x" }, 422, /^to: /],
            [{ to: id }, 422, /^text: /],
            [{ to: id, text: "" }, 422, /^text: /],
            [{ to: id, text: "😀".repeat(4001) }, 422, /^text: .*4000/],
            [{ to: id, text: 7 }, 422, /^text: /],
            [{ to: "nobody", text: "x" }, 422, /^to: /],
            [{ to: id, text: "x", more: 1 }, 422, /^more: /],
            [{ to: id, text: "x", offer: "a" }, 422, /^offer: /],
            [{ to: id, text: "x", offer: {} }, 422, /^offer\.path: /],
        ])) {
            const reply = await a.api("/messages", { json });
            assert.equal(reply.status, status, JSON.stringify(json).slice(0, 80));
            assert.match(reply.json.detail, words);
        }
        for (const query of ["limit=0", "limit=1001", "before=x", "before=0"])
            assert.equal((await a.api(`/messages?${query}`)).status, 422, query);
        assert.equal((await a.api("/messages/999/retry", { method: "POST" })).status, 404);
        assert.equal((await a.api("/messages/999", { method: "DELETE" })).status, 404);
        assert.equal((await a.api("/messages/read", { json: { up_to: -1 } })).status, 422);
        assert.deepEqual(await messages(a), []);
        const long = await say(a, id, "😀".repeat(4000));
        await delivered(a, long.id);
        assert.equal((await received(b))[0].length, 8000);
    });

    test("pages of messages follow each other", async (t) => {
        const a = await startHostpair({ t, name: "a" });
        for (let i = 0; i < 7; i++) await say(a, "everyone", `${i}`);
        const first = (await a.api("/messages?limit=3")).json;
        assert.deepEqual(
            first.messages.map((/** @type {any} */ m) => m.text),
            ["4", "5", "6"],
        );
        assert.equal(first.more, true);
        const second = (await a.api(`/messages?limit=4&before=${first.messages[0].id}`)).json;
        assert.deepEqual(
            second.messages.map((/** @type {any} */ m) => m.text),
            ["0", "1", "2", "3"],
        );
        assert.equal(second.more, false);
    });

    test("a copied data folder delivers what waits only once", async (t) => {
        const a = await startHostpair({ t, name: "a" });
        const b = await startHostpair({ t, name: "b" });
        const { id } = await addHost(b, a.peerPort);
        await a.stop();
        const sent = await say(b, id, "once");
        await seen(b, id, "offline");
        await b.stop();
        const data = join(b.root, "copy");
        cpSync(b.dataDir, data, { recursive: true });
        const copy = await startHostpair({ t, name: "b", data });
        await b.start();
        await a.start();
        await delivered(b, sent.id);
        await delivered(copy, sent.id);
        assert.deepEqual(await received(a), ["once"]);
    });
});

describe("POST /message", () => {
    test("each answer is the one that the protocol names", async (t) => {
        const h = await startHostpair({ t, name: "h" });
        const fake = await fakeHost(t);
        const { id, identity: as } = fake;
        const headers = { "hostpair-port": String(fake.port) };
        const own = await idOf(h);

        const first = body(id, { text: "x".repeat(4000) });
        const taken = await post(h, first, { headers, as });
        assert.deepEqual([taken.status, taken.text], [202, ""]);
        assert.equal((await post(h, first, { headers, as })).status, 202, "seen before");
        assert.equal((await messages(h)).length, 1);

        for (const [what, status] of /** @type {[string, number][]} */ ([
            ["", 400],
            ["{", 400],
            ['{"text": "\ud800"', 400],
            ["[".repeat(10000), 400],
            ["[]", 422],
            [body(id, { text: "x".repeat(4001) }), 422],
            [body(id, { text: undefined }), 422],
            [body(id, { id: 17 }), 422],
            [body(id, { id: "x".repeat(129) }), 422],
            [body(id, { sent_at: "tomorrow" }), 422],
            [body(id, { offer: { path: "../x", size: 1 } }), 422],
            [body(own), 403],
        ])) {
            const reply = await post(h, what, { headers, as });
            assert.equal(reply.status, status, what.slice(0, 80));
        }
        assert.equal((await post(h, body(id, { to: own }), { headers, as })).status, 202);
        assert.equal((await post(h, body(id, { to: "cd".repeat(16) }), { headers, as })).status, 421);
        assert.equal((await post(h, "x".repeat(32 * 1024 + 1), { headers, as })).status, 413);
        const page = await post(h, body(id), { as, headers: { ...headers, origin: "http://evil.example" } });
        assert.equal(page.status, 403, "a page in somebody's browser");
        assert.equal((await messages(h)).length, 2);

        for (const method of ["GET", "HEAD", "PUT", "DELETE"]) {
            const reply = await ask(h, "/message", { method });
            assert.equal(reply.status, 405, method);
            assert.equal(reply.headers.allow, "POST");
        }
        assert.equal((await ask(h, "/list", { method: "POST", body: "{}" })).status, 405);
        assert.equal((await ask(h, "/message/x", { method: "GET" })).status, 404);
    });

    test("times far off do not change the order of arrival", async (t) => {
        const h = await startHostpair({ t, name: "h" });
        const fake = await fakeHost(t);
        const { id, identity: as } = fake;
        const headers = { "hostpair-port": String(fake.port) };
        for (const sent_at of [
            "9999-12-31T23:59:59.999-23:59",
            "0000-01-01T00:00:00Z",
            "2026-11-21T00:00:00Z",
        ])
            assert.equal((await post(h, body(id, { sent_at, text: sent_at }), { headers, as })).status, 202);
        const list = await messages(h);
        assert.deepEqual(
            list.map((m) => m.sent_at),
            ["9999-12-31T23:59:59.999Z", "0000-01-01T00:00:00.000Z", "2026-11-21T00:00:00.000Z"],
        );
    });

    test("a sender that is not who it says is refused", async (t) => {
        const h = await startHostpair({ t, name: "h" });
        const real = await startHostpair({ t, name: "real" });
        const id = await idOf(real);
        const fake = await fakeHost(t, { address: "127.0.0.66" });
        const { id: mine, identity: as } = fake;
        const from = "127.0.0.66";
        const claims = { "hostpair-port": String(fake.port) };

        // It proves nothing: a page, curl, hostpair 0.1, or somebody at the host's own address.
        for (const at of [from, "127.0.0.1"]) {
            const unproven = await post(h, body(id), { from: at, headers: claims });
            assert.equal(unproven.status, 403);
            assert.match(unproven.text, /hostpair 0\.2/);
        }
        // It proves that it is another one, known or not.
        assert.equal((await post(h, body(id), { from, as, headers: claims })).status, 403);
        await addHost(h, real.peerPort);
        const other = await post(h, body(id), { from, as, headers: claims });
        assert.equal(other.status, 403);
        assert.match(other.text, /not the one that the message names/);
        // Nobody knows it, and it does not say where it listens, or nobody listens there.
        const silent = await post(h, body(mine), { from, as });
        assert.equal(silent.status, 403);
        assert.match(silent.text, /does not say where it listens/);
        const nobody = { "hostpair-port": String(await freePort()) };
        assert.equal((await post(h, body(mine), { from, as, headers: nobody })).status, 403);
        for (const bad of ["0", "-1", "65536", "9000x", "", " "])
            assert.equal(
                (await post(h, body(mine), { from, as, headers: { "hostpair-port": bad } })).status,
                403,
            );
        assert.deepEqual(await messages(h), []);
        // Under its own name it may speak.
        assert.equal((await post(h, body(mine), { from, as, headers: claims })).status, 202);
        const [one] = await messages(h);
        assert.equal(one.from, mine);
    });

    test("a flood from one address is held off, and others get through", async (t) => {
        const h = await startHostpair({ t, name: "h" });
        const other = await startHostpair({ t, name: "other" });
        const fake = await fakeHost(t, { address: "127.0.0.77" });
        const { id, identity: as } = fake;
        const from = "127.0.0.77";
        const headers = { "hostpair-port": String(fake.port) };
        const replies = await Promise.all(
            Array.from({ length: 200 }, () => post(h, body(id), { from, headers, as })),
        );
        const count = (/** @type {number} */ status) => replies.filter((r) => r.status === status).length;
        assert.equal(count(202), 20, JSON.stringify(replies.map((r) => r.status)));
        assert.equal(count(429), 180);
        for (const reply of replies.filter((r) => r.status === 429)) {
            const wait = Number(reply.headers["retry-after"]);
            assert.ok(wait >= 1 && wait <= 60, `Retry-After: ${reply.headers["retry-after"]}`);
        }
        assert.equal((await received(h)).length, 20);
        const { id: there } = await addHost(other, h.peerPort);
        const sent = await say(other, there, "still here?");
        await delivered(other, sent.id);
        assert.equal((await received(h)).at(-1), "still here?");
    });
});
