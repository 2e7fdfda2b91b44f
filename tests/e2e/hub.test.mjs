// The hub, talked to by members that are played here over its protocol.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { request, sleep, tempDir, waitFor } from "./harness.mjs";
import { Group, Member, rawConnection, startHub, stun } from "./hub.mjs";

const [anna, ben, cleo] = await Promise.all(["anna", "ben", "cleo"].map((name) => Member.create(name)));
const random = (/** @type {number} */ n) => randomBytes(n).toString("hex");

test("lets members of a group in, and nobody else", async (t) => {
    const hub = await startHub(t);
    const group = new Group();
    const first = await anna.join(hub, group);
    assert.equal(first.status, 200, first.body.toString());
    assert.deepEqual(first.json.stun_ports, [hub.port, hub.port + 1]);
    assert.equal(first.json.address, "127.0.0.1");
    assert.equal(first.json.members.length, 1);
    const second = await ben.join(hub, group);
    assert.deepEqual(
        second.json.members
            .map((/** @type {any} */ m) => [m.id, m.name, m.fingerprint, m.proof, m.online])
            .sort(),
        [anna, ben]
            .map((m) => [
                m.id,
                m.name,
                m.fingerprint.toString("hex"),
                group.proofOf(m).toString("hex"),
                false,
            ])
            .sort(),
    );
    const wrong = await cleo.join(hub, group, { credential: random(32) });
    assert.equal(wrong.status, 403);
    assert.match(wrong.json.detail, /credential/);
    for (const path of ["/have?tag=" + random(16), `/lists/${anna.id}`])
        assert.equal((await cleo.call(hub, "GET", group.path + path)).status, 403, path);
    // Without a certificate, and in plain.
    for (const url of [`http://127.0.0.1:${hub.port}`])
        assert.equal((await request(`${url}/hub/v1/events`)).status, 403, url);
    assert.equal((await anna.call(hub, "PUT", "/hub/v1/groups/xyz/members/self", { json: {} })).status, 404);
    assert.equal((await anna.call(hub, "GET", `${group.path}/members/self`)).status, 405);
    assert.equal((await anna.call(hub, "PUT", `${group.path}/members/self`, { body: "{" })).status, 400);
    for (const [field, value] of [
        ["credential", "ab"],
        ["proof", 5],
        ["name", ""],
        ["name", "a\u0007"],
        ["name", "a\u0084"],
    ])
        assert.equal((await anna.join(hub, group, { [field]: value })).status, 422, String(field));
});

test("tells members who comes and goes", async (t) => {
    const hub = await startHub(t);
    const group = new Group();
    await anna.join(hub, group);
    const events = await anna.listen(hub);
    assert.equal(events.status, 200);
    await ben.join(hub, group);
    const bens = await ben.listen(hub);
    const came = await events.next("member");
    assert.equal(came.id, ben.id);
    assert.equal(came.online, true);
    assert.equal(came.group, group.gid.toString("hex"));
    const { json } = await anna.join(hub, group);
    assert.deepEqual(
        json.members.map((/** @type {any} */ m) => m.online),
        [true, true],
    );
    bens.close();
    assert.deepEqual(await events.next("gone"), {
        group: group.gid.toString("hex"),
        id: ben.id,
        removed: false,
    });
    assert.equal((await ben.call(hub, "DELETE", `${group.path}/members/self`)).status, 204);
    assert.equal((await events.next("gone")).removed, true);
    assert.equal((await anna.join(hub, group)).json.members.length, 1);
    // Another group hears nothing of it.
    assert.ok(events.events.every((each) => each.data.group === group.gid.toString("hex")));
});

test("passes offers on, and says go to both with one key", async (t) => {
    const hub = await startHub(t);
    const group = new Group();
    const other = new Group();
    for (const member of [anna, ben]) await member.join(hub, group);
    await cleo.join(hub, other);
    const [annas, bens] = [await anna.listen(hub), await ben.listen(hub)];
    await cleo.listen(hub);
    const session = random(16);
    const offer = (/** @type {Member} */ to, changes = {}) => ({
        to: to.id,
        session,
        mapping: "fixed",
        candidates: [{ kind: "mapped", address: "192.0.2.7", port: 5000 }],
        ...changes,
    });
    const links = `${group.path}/links`;
    assert.equal((await anna.call(hub, "POST", links, { json: offer(ben) })).status, 202);
    const heard = await bens.next("offer");
    assert.equal(heard.from, anna.id);
    assert.equal(heard.session, session);
    assert.deepEqual(heard.candidates, [{ kind: "mapped", address: "192.0.2.7", port: 5000 }]);
    // A third one cannot answer in Ben's place, nor reach another group's members.
    assert.equal((await cleo.call(hub, "POST", links, { json: offer(anna) })).status, 403);
    assert.equal((await cleo.call(hub, "POST", `${other.path}/links`, { json: offer(anna) })).status, 404);
    const answer = offer(anna, {
        candidates: [{ kind: "local", address: "fd00::1", port: 6000 }],
        mapping: "varying",
    });
    assert.equal((await ben.call(hub, "POST", links, { json: answer })).status, 202);
    const [goA, goB] = [await annas.next("go"), await bens.next("go")];
    assert.match(goA.key, /^[0-9a-f]{64}$/);
    assert.equal(goA.key, goB.key);
    assert.equal(goA.from, ben.id);
    assert.equal(goB.from, anna.id);
    assert.equal(goA.mapping, "varying");
    assert.deepEqual(goA.candidates, answer.candidates);
    assert.ok(goA.wait_ms === 0 || goB.wait_ms === 0, "the farther one begins at once");
    // What is no offer.
    for (const bad of [
        { session: "x" },
        { mapping: "odd" },
        { candidates: "none" },
        { candidates: [{ kind: "mapped", address: "example.org", port: 1 }] },
        { candidates: [{ kind: "mapped", address: "192.0.2.7", port: 0 }] },
        { candidates: Array(25).fill({ kind: "mapped", address: "192.0.2.7", port: 1 }) },
    ])
        assert.equal(
            (await anna.call(hub, "POST", links, { json: offer(ben, bad) })).status,
            422,
            JSON.stringify(bad),
        );
    assert.equal((await anna.call(hub, "POST", links, { json: offer(cleo) })).status, 404);
});

test("joins two members by tokens that count once", async (t) => {
    const hub = await startHub(t);
    const group = new Group();
    for (const member of [anna, ben]) await member.join(hub, group);
    const ask = () => anna.call(hub, "POST", `${group.path}/relays`, { json: { to: ben.id } });
    assert.equal((await ask()).status, 404, "ben is away");
    const bens = await ben.listen(hub);
    const answer = await ask();
    assert.equal(answer.status, 201);
    const event = await bens.next("relay");
    assert.equal(event.from, anna.id);
    assert.notEqual(event.token, answer.json.token);
    const one = await rawConnection(hub.port, `HOSTPAIR-RELAY/1 ${answer.json.token}\r\n`);
    const thief = await rawConnection(hub.port, `HOSTPAIR-RELAY/1 ${answer.json.token}\r\n`);
    await waitFor(() => thief.ended(), { what: "the thief to be turned away" });
    assert.equal(thief.got().length, 0);
    const two = await rawConnection(hub.port, `HOSTPAIR-RELAY/1 ${event.token}\r\n`);
    await waitFor(() => one.got().length === 4 && two.got().length === 4, { what: "both to be joined" });
    assert.equal(one.got().toString(), "OK\r\n");
    const sent = randomBytes(3_000_000);
    two.socket.write(sent);
    await waitFor(() => one.got().length === sent.length + 4, { what: "all bytes" });
    assert.ok(one.got().subarray(4).equals(sent));
    one.socket.end();
    await waitFor(() => two.socket.readableEnded || two.ended(), { what: "the end to pass" });
    two.socket.end();
    for (const line of [
        "HOSTPAIR-RELAY/1 \r\n",
        "HOSTPAIR-RELAY/2 " + random(16) + "\r\n",
        `HOSTPAIR-RELAY/1 ${random(16)}\r\n`,
    ]) {
        const stranger = await rawConnection(hub.port, line.padEnd(60, "x"));
        await waitFor(() => stranger.ended(), { what: `${line.trim()} to be refused` });
        assert.equal(stranger.got().length, 0);
    }
    const metrics = (await request(`http://127.0.0.1:${hub.port}/metrics`)).text;
    assert.match(metrics, /hostpair_hub_relays_total 1\n/);
    assert.match(metrics, new RegExp(`hostpair_hub_relay_bytes_total ${sent.length}\n`));
});

test("relays nothing where it is told so, and only to its limit", async (t) => {
    const closed = await startHub(t, { args: ["--no-relay"] });
    const group = new Group();
    for (const member of [anna, ben]) await member.join(closed, group);
    await ben.listen(closed);
    const refused = await anna.call(closed, "POST", `${group.path}/relays`, { json: { to: ben.id } });
    assert.equal(refused.status, 503);
    assert.match(refused.json.detail, /relays nothing/);

    const hub = await startHub(t, { args: ["--relay-limit", "1M"] });
    for (const member of [anna, ben]) await member.join(hub, group);
    const bens = await ben.listen(hub);
    const { json } = await anna.call(hub, "POST", `${group.path}/relays`, { json: { to: ben.id } });
    const one = await rawConnection(hub.port, `HOSTPAIR-RELAY/1 ${json.token}\r\n`);
    const two = await rawConnection(hub.port, `HOSTPAIR-RELAY/1 ${(await bens.next("relay")).token}\r\n`);
    await waitFor(() => one.got().length === 4, { what: "both to be joined" });
    const begun = Date.now();
    one.socket.write(randomBytes(2_000_000));
    await waitFor(() => two.got().length === 2_000_004, { what: "all bytes", timeout: 20_000 });
    const seconds = (Date.now() - begun) / 1000;
    assert.ok(seconds > 1.4, `2 MB at 1 MB/s took ${seconds} s`);
});

test("keeps sealed lists and tags for members alone", async (t) => {
    const hub = await startHub(t);
    const group = new Group();
    for (const member of [anna, ben]) await member.join(hub, group);
    const bens = await ben.listen(hub);
    const list = randomBytes(1_300_000);
    const piece = 512 * 1024;
    const put = (/** @type {number} */ at, etag = "00aa00aa", end = Math.min(at + piece, list.length)) =>
        anna.call(hub, "PUT", `${group.path}/lists/self?etag=${etag}`, {
            body: list.subarray(at, end),
            headers: { "Content-Range": `bytes ${at}-${end - 1}/${list.length}` },
        });
    const get = (headers = {}) => ben.call(hub, "GET", `${group.path}/lists/${anna.id}`, { headers });
    assert.equal((await get()).status, 404);
    assert.equal((await put(piece)).status, 409, "out of order");
    assert.equal((await put(0)).status, 204);
    assert.equal((await get()).status, 404, "half a list is none");
    assert.equal((await put(piece)).status, 204);
    assert.equal((await put(2 * piece)).status, 204);
    const whole = await get();
    assert.equal(whole.status, 200);
    assert.ok(whole.body.equals(list));
    assert.equal(whole.headers.etag, '"00aa00aa"');
    assert.equal((await get({ "If-None-Match": '"00aa00aa"' })).status, 304);
    assert.deepEqual((await bens.next("list")).list, { etag: "00aa00aa", size: list.length });
    assert.equal((await put(0, "zz")).status, 422);
    const large = await anna.call(hub, "PUT", `${group.path}/lists/self?etag=00bb00bb`, {
        body: list.subarray(0, piece),
        headers: { "Content-Range": `bytes 0-${piece - 1}/17000000` },
    });
    assert.equal(large.status, 413);

    const tags = [random(16), random(16)];
    const have = (/** @type {string} */ tag) => ben.call(hub, "GET", `${group.path}/have?tag=${tag}`);
    const change = (/** @type {object} */ json) => anna.call(hub, "POST", `${group.path}/have`, { json });
    assert.equal((await change({ add: tags })).status, 204);
    assert.deepEqual((await have(tags[0])).json, { hosts: [anna.id] });
    assert.equal((await change({ remove: [tags[0]] })).status, 204);
    assert.deepEqual((await have(tags[0])).json, { hosts: [] });
    assert.deepEqual((await have(tags[1])).json, { hosts: [anna.id] });
    assert.equal((await change({ add: ["x"] })).status, 422);
    assert.equal((await change({ add: Array(4097).fill(tags[0]) })).status, 422);
    // Whoever leaves takes both along.
    await anna.call(hub, "DELETE", `${group.path}/members/self`);
    assert.equal((await get()).status, 404);
    assert.deepEqual((await have(tags[1])).json, { hosts: [] });
});

test("makes groups only for those who have the token", async (t) => {
    const { writeFile } = await import("node:fs/promises");
    const file = `${tempDir()}/token`;
    const token = random(16);
    await writeFile(file, `${token}\n`, { mode: 0o600 });
    const hub = await startHub(t, { args: ["--groups", "token", "--token-file", file] });
    const group = new Group();
    assert.equal((await anna.join(hub, group)).status, 404);
    assert.equal((await anna.join(hub, group, { token: random(16) })).status, 404);
    assert.equal((await anna.join(hub, group, { token })).status, 200);
    assert.equal((await ben.join(hub, group)).status, 200, "members need no token");
});

test("limits the groups that one address makes, and the calls of one host", async (t) => {
    const hub = await startHub(t);
    const statuses = [];
    for (let i = 0; i < 52; i++) statuses.push((await anna.join(hub, new Group())).status);
    assert.deepEqual(statuses.slice(0, 50), Array(50).fill(200));
    assert.deepEqual(statuses.slice(50), [429, 429]);
    const flood = await Promise.all(
        Array.from({ length: 300 }, () =>
            cleo.call(hub, "GET", `${new Group().path}/have?tag=${random(16)}`),
        ),
    );
    const many = flood.filter((each) => each.status === 429);
    assert.ok(many.length > 30, `${many.length} of 300 calls were refused`);
    assert.equal(many[0].headers["retry-after"], "5");
    assert.equal((await ben.join(hub, new Group())).status, 429, "same address, and its groups are used up");
});

test("keeps its groups and its key over a restart", async (t) => {
    const data = `${tempDir()}/hub`;
    const hub = await startHub(t, { data });
    const group = new Group();
    await anna.join(hub, group);
    const events = await anna.listen(hub);
    const { code } = await hub.stop();
    assert.equal(code, 0);
    await waitFor(() => events.closed(), { what: "the stream to end" });
    const again = await startHub(t, { data, port: hub.port });
    assert.equal(again.fingerprint, hub.fingerprint);
    assert.equal((await ben.join(again, group)).json.members.length, 2);
    assert.equal(
        (await anna.call(again, "GET", `${group.path}/have?tag=${random(16)}`)).status,
        403,
        "join again",
    );
    await assert.rejects(startHub(t, { data }), /uses the data folder/);
    await assert.rejects(startHub(t, { port: again.port }), /cannot be used/);
    await again.stop("SIGKILL");
    const third = await startHub(t, { data });
    assert.equal((await ben.join(third, group)).json.members.length, 2);
});

test("goes on after whatever strangers send", async (t) => {
    const hub = await startHub(t);
    const group = new Group();
    const garbage = [
        randomBytes(1000),
        Buffer.concat([Buffer.from([0x16, 3, 1, 2, 0]), randomBytes(600)]),
        "H",
        "HO",
        "HOSTPAIR",
        "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /" + "x".repeat(100_000),
        "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n",
    ];
    const connections = [];
    for (let i = 0; i < 200; i++)
        connections.push(await rawConnection(hub.port, garbage[i % garbage.length]));
    assert.equal((await anna.join(hub, group)).status, 200);
    for (const { socket } of connections) socket.destroy();
    assert.equal((await anna.join(hub, group)).status, 200);
    assert.equal((await request(`http://127.0.0.1:${hub.port}/healthz`)).text, "ok\n");
});

test("tells hosts their address by STUN on two ports, and does not amplify", async (t) => {
    const hub = await startHub(t);
    for (const port of [hub.port, hub.port + 1]) {
        const answer = await stun(port);
        assert.equal(answer.answers, 1);
        assert.equal(answer.port, answer.own);
        assert.ok((answer.bytes ?? 99) <= 28 + 24, `${answer.bytes} bytes for a question of 28`);
    }
    assert.equal((await stun(hub.port, { datagram: randomBytes(100) })).answers, 0);
    await sleep(1100);
    const flood = await stun(hub.port, { count: 200 });
    assert.ok(flood.answers <= 40, `${flood.answers} answers to 200 questions`);
});
