// @ts-check
// Groups: hosts that share no network find each other at a hub. Here they run on one machine with neither scan nor beacon, so
// that the hub is all they have; tests/lan puts real routers between them.

import assert from "node:assert/strict";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";

import {
    MiB,
    download,
    makeFile,
    pathOf,
    runHostpair,
    sha256,
    startHostpair,
    waitFor,
    waitState,
} from "./harness.mjs";
import { Group, Member, startHub } from "./hub.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */

/** @param {import("node:test").TestContext} t @param {string} name @param {string[]} [args] */
const start = (t, name, args = []) => startHostpair({ t, name, args: ["--no-port-mapping", ...args] });

/** @param {Hostpair} h */
const ownId = async (h) => (await h.api("/status")).json.id;

/** Waits until `h` sees the host with this id online. @param {Hostpair} h @param {string} id */
const sees = (h, id, state = "online") =>
    waitFor(
        async () => {
            const { json } = await h.api(`/hosts/${id}`);
            return json.state === state && json;
        },
        { timeout: 20_000, what: `${h.name} to see ${id} ${state}`, detail: () => h.stderr().slice(-3000) },
    );

/** A group of these hosts at a hub; the group as each of them has it. @param {import("./hub.mjs").Hub} hub @param {Hostpair[]} hosts */
async function grouped(hub, hosts) {
    const made = await hosts[0].api("/groups", { json: { hub: `127.0.0.1:${hub.port}`, name: "friends" } });
    assert.equal(made.status, 201, JSON.stringify(made.json));
    const { invite } = (await hosts[0].api(`/groups/${made.json.id}/invite`)).json;
    const groups = [made.json];
    for (const host of hosts.slice(1)) {
        const joined = await host.api("/groups", { json: { invite, name: "friends" } });
        assert.equal(joined.status, 201, JSON.stringify(joined.json));
        groups.push(joined.json);
    }
    return { invite, groups };
}

test("lets hosts find each other, browse, download and write", { timeout: 120_000 }, async (t) => {
    const hub = await startHub(t);
    const [a, b] = [await start(t, "anna"), await start(t, "ben")];
    await makeFile(join(a.shareDir, "film.bin"), 20 * MiB, 7);
    await makeFile(join(a.shareDir, "photos/one.jpg"), 5000, 8);
    const { groups } = await grouped(hub, [a, b]);
    assert.deepEqual(groups[1].members, [await ownId(a)]);
    const host = await sees(b, await ownId(a));
    await sees(a, await ownId(b));
    assert.equal(host.found_by, "group");
    assert.equal(host.proven, true);
    assert.ok(["direct", "relayed", "lan"].includes(host.path), host.path);
    await waitFor(async () => (await b.api(`/hosts/${host.id}`)).json.listed, { what: "its list" });
    assert.equal((await b.api(`/hosts/${host.id}`)).json.files, 2);
    const d = await download(b, { host: host.id, path: "film.bin" });
    const done = await waitState(b, d.id, "done");
    assert.equal(done.verified, true);
    assert.equal(await sha256(pathOf(b, done)), await sha256(join(a.shareDir, "film.bin")));
    await b.api("/messages", { json: { to: host.id, text: "From far away" } });
    await waitFor(
        async () =>
            (await a.api("/messages")).json.messages.some(
                (/** @type {any} */ m) => m.text === "From far away",
            ),
        { what: "the message" },
    );
});

test("downloads through the relay, and goes on after the hub was away", { timeout: 120_000 }, async (t) => {
    const hub = await startHub(t);
    const [a, b] = [await start(t, "anna"), await start(t, "ben")];
    await makeFile(join(a.shareDir, "film.bin"), 60 * MiB, 7);
    await grouped(hub, [a, b]);
    const host = await sees(b, await ownId(a));
    const d = await download(b, { host: host.id, path: "film.bin", limit_bps: 8 * MiB });
    await waitFor(async () => (await b.api(`/downloads/${d.id}`)).json.done_bytes > 4 * MiB, {
        what: "its first bytes",
    });
    await hub.stop();
    await waitFor(async () => (await b.api("/groups")).json.groups[0].state !== "connected", {
        what: "the hub to be missed",
    });
    const again = await startHub(t, { data: hub.data, port: hub.port });
    assert.equal(again.fingerprint, hub.fingerprint);
    await waitFor(async () => (await b.api("/groups")).json.groups[0].state === "connected", {
        timeout: 30_000,
        what: "the hub to be found again",
    });
    await b.api(`/downloads/${d.id}`, { method: "PATCH", json: { limit_bps: 0 } });
    const done = await waitState(b, d.id, "done", { timeout: 60_000 });
    assert.equal(done.verified, true);
    assert.equal(await sha256(pathOf(b, done)), await sha256(join(a.shareDir, "film.bin")));
});

test("shows and searches the list of a member that is away", { timeout: 120_000 }, async (t) => {
    const hub = await startHub(t);
    const [a, b] = [await start(t, "anna"), await start(t, "ben")];
    await makeFile(join(a.shareDir, "summer/beach.jpg"), 5000, 1);
    await grouped(hub, [a]);
    const { invite } = (await a.api("/groups/1/invite")).json;
    const metrics = async () =>
        (await (await fetch(`http://127.0.0.1:${hub.port}/metrics`)).text()).match(/list_bytes (\d+)/)?.[1];
    await waitFor(async () => Number(await metrics()) > 50, {
        timeout: 30_000,
        what: "the list at the hub",
        detail: () => a.stderr(),
    });
    const id = await ownId(a);
    await a.stop();
    // Ben joins when Anna is gone.
    await b.api("/groups", { json: { invite } });
    await waitFor(async () => (await b.api(`/hosts/${id}/files?folder=summer`)).json.files?.length === 1, {
        timeout: 20_000,
        what: "the list of a host that was never met",
        detail: () => b.stderr(),
    });
    const { results } = (await b.api("/search?q=beach")).json;
    assert.equal(results[0].copies[0].host, id);
    // Nothing of it can be read at the hub.
    const found = await import("node:child_process").then(({ execFileSync }) =>
        execFileSync("sh", ["-c", `cat ${hub.data}/* | grep -c -a beach || true`])
            .toString()
            .trim(),
    );
    assert.equal(found, "0", "the hub knows a file's name");
});

test(
    "believes no hub that adds a member, and drops one that the secret left behind",
    { timeout: 120_000 },
    async (t) => {
        const hub = await startHub(t);
        const [a, b] = [await start(t, "anna"), await start(t, "ben")];
        const { invite } = await grouped(hub, [a, b]);
        await sees(b, await ownId(a));
        // Somebody who has the hub's credential of the group, as a hub could, but not its secret.
        const mallory = await Member.create("mallory");
        const group = new Group(secretOf(invite));
        const stranger = new Group();
        const joined = await mallory.join(hub, group, { proof: stranger.proofOf(mallory).toString("hex") });
        assert.equal(joined.status, 200);
        await mallory.listen(hub);
        await waitFor(() => a.stderr().includes("mallory"), {
            what: "the log to name it",
            detail: () => a.stderr(),
        });
        assert.match(a.stderr(), /nobody of the group has let it in/);
        assert.equal((await a.api(`/hosts/${mallory.id}`)).status, 404);

        const renewed = await a.api("/groups/1/renew", { method: "POST" });
        assert.equal(renewed.status, 200, JSON.stringify(renewed.json));
        assert.notEqual(renewed.json.invite, invite);
        assert.deepEqual((await a.api("/groups/1")).json.members, []);
        await waitFor(async () => (await a.api(`/hosts/${await ownId(b)}`)).status === 404, {
            what: "ben to be forgotten",
        });
        // Ben gets in again with the new invite alone.
        assert.equal((await b.api("/groups", { json: { invite: renewed.json.invite } })).status, 201);
        await sees(b, await ownId(a));
    },
);

/** How many connections of this host another one has to it. @param {Hostpair} h @param {string} id */
const connectionsOf = async (h, id) =>
    (await h.api("/connections")).json.connections.filter((/** @type {any} */ c) => c.host === id).length;

for (const [how, method, path] of [
    ["that is left", "DELETE", "/groups/1"],
    ["whose secret is renewed", "POST", "/groups/1/renew"],
])
    test(`a group ${how} lets nobody go on reading`, { timeout: 120_000 }, async (t) => {
        const hub = await startHub(t);
        const [a, b] = [await start(t, "anna"), await start(t, "ben")];
        await makeFile(join(a.shareDir, "film.bin"), 60 * MiB, 7);
        await grouped(hub, [a, b]);
        const host = await sees(b, await ownId(a));
        const id = await ownId(b);
        await sees(a, id);
        const d = await download(b, { host: host.id, path: "film.bin", limit_bps: 2 * MiB });
        const done = async () => (await b.api(`/downloads/${d.id}`)).json.done_bytes;
        await waitFor(async () => (await done()) > MiB, { what: "its first bytes" });
        assert.ok((await connectionsOf(a, id)) > 0);
        assert.ok((await a.api(path, { method })).status < 300);
        await waitFor(async () => (await connectionsOf(a, id)) === 0, { what: "Ben to be cut off" });
        const left = await done();
        await waitFor(async () => (await b.api(`/hosts/${host.id}`)).json.state !== "online", {
            what: "Ben to miss Anna",
        });
        assert.ok((await done()) - left <= 4 * MiB, "what was on its way came, and no more");
        assert.notEqual((await b.api(`/downloads/${d.id}`)).json.state, "done");
    });

test("another group keeps a member's way open", { timeout: 120_000 }, async (t) => {
    const hub = await startHub(t);
    const [a, b] = [await start(t, "anna"), await start(t, "ben")];
    await makeFile(join(a.shareDir, "film.bin"), 8 * MiB, 7);
    await waitFor(async () => (await a.api("/status")).json.share.hashed_bytes === 8 * MiB, {
        what: "the file's hash tree",
    });
    await grouped(hub, [a, b]);
    const second = await a.api("/groups", { json: { hub: `127.0.0.1:${hub.port}`, name: "family" } });
    const { invite } = (await a.api(`/groups/${second.json.id}/invite`)).json;
    await b.api("/groups", { json: { invite } });
    const host = await sees(b, await ownId(a));
    const d = await download(b, { host: host.id, path: "film.bin", limit_bps: 2 * MiB });
    await waitFor(async () => (await b.api(`/downloads/${d.id}`)).json.done_bytes > MiB, {
        what: "its first bytes",
    });
    assert.equal((await a.api("/groups/1", { method: "DELETE" })).status, 204);
    const done = await waitState(b, d.id, "done");
    assert.equal(done.verified, true);
    assert.equal(done.error ?? null, null);
});

test("a new name reaches the members by the hub", { timeout: 60_000 }, async (t) => {
    const hub = await startHub(t);
    const a = await start(t, "anna");
    const { groups } = await grouped(hub, [a]);
    const { invite } = (await a.api(`/groups/${groups[0].id}/invite`)).json;
    const group = new Group(secretOf(invite));
    const cleo = await Member.create("cleo");
    await cleo.join(hub, group);
    const events = await cleo.listen(hub);
    assert.equal(
        (await a.api("/settings", { method: "PATCH", json: { name: "anna's new one" } })).status,
        200,
    );
    await waitFor(() => events.events.some((e) => e.event === "member" && e.data.name === "anna's new one"), {
        what: "the name",
        detail: () => JSON.stringify(events.events),
    });
    events.close();
});

/** A line to a hub. Its first connection is a host's event stream. @param {import("node:test").TestContext} t @param {number} port */
async function lineTo(t, port) {
    /** @type {import("node:net").Socket[]} */
    const callers = [];
    let lost = false;
    const server = createServer((caller) => {
        callers.push(caller);
        const onward = connect(port, "127.0.0.1");
        const pass = (/** @type {import("node:net").Socket} */ to) => (/** @type {Buffer} */ data) =>
            lost || to.write(data);
        caller.on("data", pass(onward)).on("close", () => onward.destroy());
        onward.on("data", pass(caller)).on("close", () => lost || caller.destroy());
        for (const socket of [caller, onward]) socket.on("error", () => {});
        if (lost) caller.destroy();
    });
    await new Promise((done) => server.listen(0, "127.0.0.1", () => done(undefined)));
    t.after(() => {
        server.close();
        for (const socket of callers) socket.destroy();
    });
    return {
        port: /** @type {import("node:net").AddressInfo} */ (server.address()).port,
        /** The network has forgotten the stream, and lets nothing new through. */
        lose: () => {
            lost = true;
            for (const socket of callers.slice(1)) socket.destroy();
        },
        find: () => (lost = false),
    };
}

test(
    "a call that fails tells that the hub is gone, long before its silence does",
    { timeout: 60_000 },
    async (t) => {
        const hub = await startHub(t);
        const line = await lineTo(t, hub.port);
        const a = await start(t, "anna");
        const group = async () => (await a.api("/groups")).json.groups[0];
        assert.equal(
            (await a.api("/groups", { json: { hub: `127.0.0.1:${line.port}`, name: "friends" } })).status,
            201,
        );
        line.lose();
        const begun = Date.now();
        assert.equal((await group()).state, "connected", "nothing tells it yet");
        await a.api("/settings", { method: "PATCH", json: { name: "anna again" } }); // which it tells the hub
        const state = await waitFor(
            async () => {
                const now = await group();
                return now.state === "unreachable" && now;
            },
            { timeout: 20_000, what: "the hub to be missed", detail: () => a.stderr() },
        );
        assert.ok(state.reason, "and why");
        t.diagnostic(`missed ${Date.now() - begun} ms after it was lost`);
        line.find();
        await waitFor(async () => (await group()).state === "connected", {
            timeout: 20_000,
            what: "it to come back",
        });
    },
);

test("says what is wrong with an invite, a hub, a name", { timeout: 60_000 }, async (t) => {
    const hub = await startHub(t);
    const a = await start(t, "anna");
    const { invite } = await grouped(hub, [a]);
    const post = async (/** @type {object} */ json) => (await a.api("/groups", { json })).json;
    assert.match(
        (await post({ invite: invite.replace(/.$/, invite.endsWith("a") ? "b" : "a") })).detail,
        /mistyped/,
    );
    assert.match((await post({ invite })).detail, /already/);
    assert.match((await post({ hub: "a b", name: "x" })).detail, /address of a hub/);
    assert.match((await post({ hub: "127.0.0.1:1", name: "x" })).detail, /cannot be reached/);
    assert.match((await post({ hub: `127.0.0.1:${hub.port}`, name: "" })).detail, /name/);
    assert.match((await post({})).detail, /hub and name/);
    // Another hub than the invite names.
    const other = await startHub(t);
    const fake = new Group().invite({ ...hub, port: other.port });
    const wrong = await a.api("/groups", { json: { invite: fake } });
    assert.equal(wrong.status, 502, JSON.stringify(wrong.json));
    assert.match(wrong.json.detail, /another host answers/);
    assert.equal((await a.api("/groups")).json.groups.length, 1);
});

test("keeps groups over a restart, and leaves one while the hub is away", { timeout: 90_000 }, async (t) => {
    const hub = await startHub(t);
    const [a, b] = [await start(t, "anna"), await start(t, "ben")];
    await grouped(hub, [a, b]);
    await sees(b, await ownId(a));
    await b.restart();
    await sees(b, await ownId(a));
    await hub.stop();
    assert.equal((await b.api("/groups/1", { method: "DELETE" })).status, 204);
    assert.deepEqual((await b.api("/groups")).json.groups, []);
    await b.restart();
    assert.deepEqual((await b.api("/groups")).json.groups, []);
    await startHub(t, { data: hub.data, port: hub.port });
    await waitFor(async () => (await a.api("/groups/1")).json.members.length === 0, {
        timeout: 40_000,
        what: "the hub to be told",
        detail: () => b.stderr().slice(-2000),
    });
});

test("works on a terminal", { timeout: 60_000 }, async (t) => {
    const hub = await startHub(t);
    const [a, b] = [await start(t, "anna"), await start(t, "ben")];
    const run = (/** @type {Hostpair} */ h, /** @type {string[]} */ ...words) =>
        runHostpair([...words, "--data", h.dataDir]);
    const made = await run(a, "group", "create", "friends", "--hub", `127.0.0.1:${hub.port}`);
    assert.equal(made.code, 0, made.stderr);
    assert.match(made.stdout, /^hostpair:\/\/join\/\S+\n$/);
    const joined = await run(b, "group", "join", made.stdout.trim(), "mates");
    assert.equal(joined.code, 0, joined.stderr);
    assert.match(joined.stdout, /Joined "mates": 1 other/);
    await sees(b, await ownId(a));
    assert.match((await run(b, "group")).stdout, /mates\tconnected\t2\t127\.0\.0\.1/);
    assert.match((await run(b, "hosts")).stdout, /anna\tonline/);
    assert.equal((await run(b, "group", "invite", "MATES")).stdout, made.stdout);
    assert.equal((await run(b, "group", "leave", "mates")).code, 0);
    const none = await run(b, "group", "leave", "mates");
    assert.equal(none.code, 1);
    assert.match(none.stderr, /in no group "mates"/);
    assert.equal((await run(a, "group", "create", "x")).code, 2);
});

/** The secret in an invite. @param {string} invite */
function secretOf(invite) {
    const bits = [...invite.slice(invite.lastIndexOf("/") + 1)]
        .map((letter) => "abcdefghijklmnopqrstuvwxyz234567".indexOf(letter).toString(2).padStart(5, "0"))
        .join("");
    const bytes = (bits.match(/.{8}/g) ?? []).map((eight) => parseInt(eight, 2));
    return Buffer.from(bytes.slice(1, 17));
}
