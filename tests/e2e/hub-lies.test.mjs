// @ts-check
// Hubs and members that lie, and strangers: nothing is let in, and what was refused is said plainly.

import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { randomBytes } from "node:crypto";
import { readFileSync, readdirSync, readlinkSync } from "node:fs";
import { createServer } from "node:https";
import { connect } from "node:net";
import { join } from "node:path";
import { test } from "node:test";

import { MiB, download, makeFile, request, sleep, startHostpair, waitFor } from "./harness.mjs";
import { Group, startHub } from "./hub.mjs";
import { identityIn, makeIdentity } from "./identities.mjs";
import { callThrough, memberOf, sealedList, startLyingHub } from "./lying-hub.mjs";

/**
 * @typedef {import("./harness.mjs").Hostpair} Hostpair
 * @typedef {Awaited<ReturnType<typeof startLyingHub>>} LyingHub
 */

const ben = makeIdentity();
const mallory = makeIdentity();
const hex = (/** @type {number} */ n) => randomBytes(n).toString("hex");

/** Waits for a line of the log. @param {Hostpair} h @param {RegExp} line */
const logs = (h, line) =>
    waitFor(() => line.test(h.stderr()), {
        timeout: 20_000,
        what: `the log to say ${line}`,
        detail: () => h.stderr().slice(-3000),
    });

/** The group as the host has it. @param {Hostpair} h */
const groupOf = async (h) => (await h.api("/groups")).json.groups[0];

/** Waits until the group is in this state, and returns it. @param {Hostpair} h @param {string} state */
const inState = (h, state) =>
    waitFor(
        async () => {
            const group = await groupOf(h);
            return group.state === state && group;
        },
        { timeout: 20_000, what: `the group to be ${state}`, detail: () => groupOf(h) },
    );

/**
 * A host in a group at a hub that lies.
 * @param {import("node:test").TestContext} t @param {(hub: LyingHub, group: Group) => void} [prepare]
 */
async function victim(t, prepare) {
    const hub = await startLyingHub(t);
    const group = new Group();
    prepare?.(hub, group);
    const a = await startHostpair({ t, name: "anna", args: ["--no-port-mapping"] });
    const joined = await a.api("/groups", { json: { invite: group.invite(/** @type {any} */ (hub)) } });
    assert.equal(joined.status, 201, joined.text);
    const own = identityIn(a.dataDir);
    await waitFor(() => hub.hears(own.id), { what: "its event stream" });
    const gid = group.gid.toString("hex");
    return { hub, group, a, own, gid };
}

test("a hub cannot add a member, swap a fingerprint or take a proof from another", async (t) => {
    const other = new Group();
    const { hub, group, a, own, gid } = await victim(t, (hub, group) => {
        hub.members = [
            memberOf(group, ben, "ben"),
            memberOf(other, mallory, "mallory"), // proven with another group's secret
            memberOf(group, ben, "swapped", { fingerprint: mallory.fingerprint }),
            { ...memberOf(group, ben, "ben's proof"), id: mallory.id, fingerprint: mallory.fingerprint },
            { id: ben.id, name: 5 },
            "nobody",
        ];
    });
    assert.deepEqual((await groupOf(a)).members, [ben.id]);
    await logs(a, /names .{32} \(mallory\) as a member .* nobody of the group has let it in: ignored/);
    await logs(a, /names .{32} \(ben's proof\) as a member/);
    await logs(a, /what it names as a member of .* is none: the hub gives a wrong "id"/);
    await logs(a, /is none: the hub gives a wrong "fingerprint"/);
    // The same by events, also about members that are there.
    const before = (await a.api(`/hosts/${ben.id}`)).json;
    for (const each of hub.members) hub.tell(own.id, "member", { ...Object(each), group: gid });
    hub.tell(own.id, "member", { ...memberOf(group, ben, "ben"), proof: hex(32), group: gid });
    hub.tell(own.id, "member", {
        ...memberOf(group, makeIdentity(), "cleo"),
        group: other.gid.toString("hex"),
    });
    hub.tell(own.id, "member", { ...memberOf(group, ben, "last"), group: gid });
    await waitFor(async () => (await a.api(`/hosts/${ben.id}`)).json.name === "last", {
        what: "the last event",
    });
    assert.deepEqual((await groupOf(a)).members, [ben.id]);
    assert.equal((await a.api(`/hosts/${ben.id}`)).json.fingerprint, before.fingerprint);
    const { hosts } = (await a.api("/hosts")).json;
    assert.deepEqual(
        hosts.map((/** @type {any} */ h) => h.id),
        [ben.id],
    );
});

test("a hub that keeps a member in after the secret was renewed is not believed", async (t) => {
    const { hub, a, own, gid } = await victim(t, (hub, group) => {
        hub.members = [memberOf(group, ben, "ben")];
    });
    assert.deepEqual((await groupOf(a)).members, [ben.id]);
    const renewed = await a.api("/groups/1/renew", { method: "POST" });
    assert.equal(renewed.status, 200, renewed.text);
    assert.deepEqual((await groupOf(a)).members, []);
    assert.equal((await a.api(`/hosts/${ben.id}`)).status, 404);
    await logs(a, /names .{32} \(ben\) as a member .* nobody of the group has let it in: ignored/);
    // Nor do events of the old group count any more.
    hub.tell(own.id, "member", { ...Object(hub.members[0]), group: gid });
    hub.tell(own.id, "relay", { group: gid, from: ben.id, token: hex(16), address: null });
    await logs(a, /relay is ignored: .* is no member of a group/);
    assert.deepEqual((await groupOf(a)).members, []);
});

test("an old, swapped or forged list is refused, and the newer one stays", async (t) => {
    const file = (/** @type {string} */ path) => ({
        path,
        size: 5,
        mtime: 1700000000000,
        type: "text/plain",
        root: null,
    });
    const { hub, group, a, own, gid } = await victim(t, (hub, group) => {
        hub.members = [memberOf(group, ben, "ben", { list: { etag: "aa", size: 200 } })];
        hub.lists.set(ben.id, sealedList(group, ben, 7, [file("new.txt")]));
    });
    const names = async () =>
        ((await a.api(`/hosts/${ben.id}/files`)).json.files ?? []).map(
            (/** @type {any} */ f) => f.name ?? f.path,
        );
    // Ben himself is tried first, through the relay.
    await waitFor(async () => (await names()).length === 1, {
        what: "the list",
        timeout: 30_000,
        detail: () => a.stderr(),
    });
    let etag = 0;
    /** @param {Buffer} list @param {RegExp} said */
    const refuses = async (list, said) => {
        hub.lists.set(ben.id, list);
        const asked = hub.asked.length;
        hub.tell(own.id, "list", { group: gid, id: ben.id, list: { etag: `b${etag++}`, size: list.length } });
        await waitFor(() => hub.asked.length > asked, { what: "the list to be fetched" });
        await logs(a, said);
        assert.deepEqual(await names(), ["new.txt"]);
    };
    const old = sealedList(group, ben, 6, [file("old.txt")]);
    await refuses(old, /the hub shows an older list than before \(revision 6, known is 7\)/);
    const forged = Buffer.from(old);
    forged[11] = 9; // an old one under a newer number
    await refuses(forged, /the list that .{32} left at the hub is not taken: .*not sealed/);
    await refuses(sealedList(group, mallory, 8, [file("x")]), /not sealed/);
    await refuses(sealedList(new Group(), ben, 9, [file("x")]), /not sealed/);
    await refuses(randomBytes(300), /not sealed|no sealed list/);
    hub.lists.set(ben.id, sealedList(group, ben, 10, [file("newest.txt")]));
    hub.tell(own.id, "list", { group: gid, id: ben.id, list: { etag: "cc", size: 200 } });
    await waitFor(async () => (await names())[0] === "newest.txt", { what: "a newer list to be taken" });
});

test("who comes through a relay without being a member reads nothing", async (t) => {
    const { hub, a, own, gid } = await victim(t, (hub, group) => {
        hub.members = [memberOf(group, ben, "ben")];
    });
    await makeFile(join(a.shareDir, "secret.bin"), 5000, 3);
    await waitFor(async () => (await a.api("/files")).json.files?.length !== 0, { what: "its file" });
    // The hub, or whoever has stolen Ben's token from it, meets Anna at the relay with a key of its own.
    /** @param {string} path @returns {Promise<string>} */
    const ask = (path) =>
        new Promise((done, fail) => {
            hub.relayed = (socket, line) => {
                assert.match(line, /^HOSTPAIR-RELAY\/1 [0-9a-f]{32}\r\n$/);
                const channel = callThrough(socket, mallory);
                let text = "";
                channel.on("error", fail);
                channel.on("data", (piece) => (text += piece));
                channel.on("close", () => done(text));
                channel.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
            };
            hub.tell(own.id, "relay", { group: gid, from: ben.id, token: hex(16), address: null });
        });
    for (const path of ["/secret.bin", "/files/secret.bin", "/list", "/", "/hostpair", "/hostpair/pair"]) {
        const reply = await ask(path);
        assert.match(reply, /^HTTP\/1\.1 403 /, path);
        assert.match(reply, /From other networks this host lets in members of its groups only/);
    }
    assert.match(a.stderr(), new RegExp(`host ${mallory.id} came through a hub's relay.*refused`));
    assert.equal((await a.api(`/hosts/${mallory.id}`)).status, 404);
    // In plain it is not even answered.
    const silence = new Promise((done) => {
        hub.relayed = (socket) => {
            let text = "";
            socket.resume();
            socket.on("data", (piece) => (text += piece)).on("close", () => done(text));
            socket.write("OK\r\nGET /secret.bin HTTP/1.1\r\nHost: x\r\n\r\n");
        };
    });
    hub.tell(own.id, "relay", { group: gid, from: ben.id, token: hex(16), address: null });
    assert.equal(await silence, "");
});

test("a hub that leads to another machine leads nowhere", async (t) => {
    let reached = 0;
    const stranger = createServer({ key: mallory.key, cert: mallory.cert }, () =>
        assert.fail("it was asked"),
    );
    stranger.on("connection", () => reached++);
    const { hub, a, own, gid } = await victim(t, (hub, group) => {
        hub.members = [memberOf(group, ben, "ben", { online: true })];
        hub.answer = (call, response) => {
            if (!call.path.endsWith("/relays")) return false;
            const body = JSON.stringify({ token: hex(16), address: null });
            response.writeHead(201, { "Content-Type": "application/json" }).end(body);
            return true;
        };
        hub.relayed = (socket) => {
            socket.write("OK\r\n");
            stranger.emit("connection", socket);
        };
    });
    await waitFor(() => reached > 0, {
        timeout: 30_000,
        what: "Anna to come to the relay",
        detail: () => a.stderr(),
    });
    await waitFor(
        async () => /does not have its key/.test((await a.api(`/hosts/${ben.id}`)).json.problem ?? ""),
        {
            timeout: 20_000,
            what: "the problem to be shown",
            detail: async () => [(await a.api(`/hosts/${ben.id}`)).json, a.stderr()],
        },
    );
    assert.notEqual((await a.api(`/hosts/${ben.id}`)).json.state, "online");
    const sent = await a.api("/messages", { json: { to: ben.id, text: "for Ben alone" } });
    assert.equal(sent.status, 202, sent.text);
    await sleep(1500);
    // A relay at the address of something that is none, and at one that is no address.
    const bystander = await request(`http://127.0.0.1:${a.dashboardPort}/api/v1/status`);
    assert.equal(bystander.status, 200);
    for (const address of [`127.0.0.1:${a.dashboardPort}`, "no address", "x".repeat(5000), 5])
        hub.tell(own.id, "relay", { group: gid, from: ben.id, token: hex(16), address });
    await logs(a, /a relay to .{32} cannot be used: the hub gives a wrong "address"/);
    await logs(
        a,
        /what answers at the hub's relay is none|the hub's relay refused the connection|hub's relay broke off/,
    );
    assert.equal((await groupOf(a)).state, "connected");
});

test("a relay that was refused while the other host was away is asked for again when it is back", async (t) => {
    let asked = 0;
    const { hub, group, own, a, gid } = await victim(t, (hub, group) => {
        hub.members = [memberOf(group, ben, "ben", { online: true })];
        hub.answer = (call, response) => {
            const relay = call.path.endsWith("/relays");
            if (!relay && !call.path.endsWith("/links")) return false;
            asked += Number(relay);
            const body = JSON.stringify({ code: "not_found", detail: "that member is away" });
            response.writeHead(404, { "Content-Type": "application/problem+json" }).end(body);
            return true;
        };
    });
    await waitFor(() => asked > 0, { timeout: 30_000, what: "the wish for a relay", detail: a.stderr });
    await logs(a, /no relayed connection: that member is away/);
    const refused = Date.now();
    hub.tell(own.id, "gone", { group: gid, id: ben.id, removed: false });
    hub.tell(own.id, "member", { ...memberOf(group, ben, "ben", { online: true }), group: gid });
    await waitFor(() => asked > 1, {
        timeout: 10_000, // 35 s where nobody tells that it is back
        what: "the wish for another relay",
        detail: a.stderr,
    });
    t.diagnostic(`asked again after ${Date.now() - refused} ms`);
});

test("a hub that says the same untruth all the time does not fill the log", async (t) => {
    const { hub, group, own, a, gid } = await victim(t);
    for (let i = 0; i < 500; i++) hub.say(own.id, `event: member\ndata: ${i % 2 ? "{" : "5"}\n\n`);
    for (let i = 0; i < 500; i++) hub.tell(own.id, "go", { group: gid, from: hex(16) });
    for (let i = 0; i < 500; i++)
        hub.tell(own.id, "member", { ...memberOf(new Group(), makeIdentity(), `m${i}`), group: gid });
    hub.tell(own.id, "member", { ...memberOf(group, ben, "ben"), group: gid });
    await waitFor(async () => (await groupOf(a)).members.length === 1, {
        timeout: 20_000,
        what: "the last event",
    });
    const lines = a.stderr().split("\n").length;
    assert.match(a.stderr(), /more lines like the ones before are left out for up to a minute/);
    assert.ok(lines < 120, `${lines} lines in the log`);
});

test(
    "garbage, huge and endless answers and events end nothing but the hub's own word",
    { timeout: 120_000 },
    async (t) => {
        const { hub, a, own, gid, group } = await victim(t, (hub, group) => {
            hub.members = [memberOf(group, ben, "ben")];
        });
        const nested = (/** @type {number} */ n) => "[".repeat(n) + "]".repeat(n);
        const offer = { group: gid, from: ben.id, session: hex(16), mapping: "fixed" };
        for (const [event, data] of [
            ["member", "{"],
            ["member", "5"],
            ["member", nested(1000)],
            ["member", nested(100_000)],
            [
                "offer",
                JSON.stringify({
                    ...offer,
                    candidates: Array(4000).fill({ kind: "mapped", address: "::", port: 1 }),
                }),
            ],
            ["offer", JSON.stringify({ ...offer, candidates: [null, 5, { kind: "x" }], mapping: "odd" })],
            ["go", JSON.stringify({ ...offer, candidates: [], key: hex(32), wait_ms: -1 })],
            ["go", JSON.stringify({ ...offer, candidates: [], key: "short", wait_ms: 1 })],
            ["relay", JSON.stringify({ group: gid, from: "me" })],
            ["gone", JSON.stringify({ group: gid, id: own.id, removed: true })],
            ["list", JSON.stringify({ group: gid, id: ben.id, list: { etag: "ZZ", size: -1 } })],
            ["nothing", "{}"],
            ["e".repeat(5000), "{}"],
        ])
            hub.say(own.id, `event: ${event}\ndata: ${data}\n\n`);
        hub.say(
            own.id,
            randomBytes(50_000)
                .toString("latin1")
                .replace(/[\r\n]/g, "x") + "\n\n",
        );
        hub.tell(own.id, "member", { ...memberOf(group, ben, "n".repeat(100_000)), group: gid });
        hub.tell(own.id, "member", { ...memberOf(group, ben, "still ben"), group: gid });
        await waitFor(async () => (await a.api(`/hosts/${ben.id}`)).json.name === "still ben", {
            timeout: 20_000,
            what: "the last event",
            detail: () => a.stderr().slice(-2000),
        });
        assert.match(a.stderr(), /an event is not JSON/);
        assert.match(a.stderr(), /go is ignored: the hub gives a wrong "wait_ms"/);
        assert.equal((await groupOf(a)).state, "connected");

        // An event that does not end: the stream is given up with a reason, and opened again.
        hub.say(own.id, `data: ${"x".repeat(400_000)}`);
        await inState(a, "unreachable");
        assert.match((await groupOf(a)).reason, /the hub has sent an event that is too long/);
        await inState(a, "connected");

        // Answers that are none.
        /** @type {[(r: import("node:http").ServerResponse) => void, RegExp][]} */
        const answers = [
            [(r) => r.writeHead(200).end("{"), /not JSON/],
            [(r) => r.writeHead(200).end('{"members":5}'), /does not say who is in the group/],
            [(r) => r.writeHead(200).end(Buffer.alloc(5 * MiB, 0x20)), /longer|too large/i],
            [(r) => r.writeHead(500).end(), /status 500/],
            [(r) => r.writeHead(302, { Location: "https://127.0.0.1:1/" }).end(), /status 302/],
            [
                (r) =>
                    r
                        .writeHead(403, { "Content-Type": "application/problem+json" })
                        .end('{"code":"forbidden","detail":"Not you"}'),
                /Not you/,
            ],
        ];
        for (const [give, said] of answers) {
            hub.answer = (call, response) => {
                if (call.method !== "PUT" || !call.path.endsWith("/members/self")) return false;
                give(response);
                return true;
            };
            await a.api("/settings", { method: "PATCH", json: { name: `anna ${hex(2)}` } }); // which it tells the hub
            await waitFor(async () => said.test((await groupOf(a)).reason ?? ""), {
                timeout: 20_000,
                what: `the reason to be ${said}`,
                detail: () => groupOf(a),
            });
            assert.deepEqual((await groupOf(a)).members, [ben.id], "the members that are known stay");
        }
        hub.answer = () => false;
        assert.equal((await a.api("/status")).status, 200);
    },
);

/** Ports on which a process listens, by protocol. @param {number} pid */
function portsOf(pid) {
    const inodes = new Set(
        readdirSync(`/proc/${pid}/fd`).map((fd) => {
            try {
                return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
            } catch {
                return undefined; // closed meanwhile
            }
        }),
    );
    const ports = (/** @type {string} */ kind, /** @type {string} */ state) =>
        readFileSync(`/proc/${pid}/net/${kind}`, "utf8")
            .split("\n")
            .map((line) => line.trim().split(/\s+/))
            .filter((fields) => fields[3] === state && inodes.has(fields[9]))
            .map((fields) => parseInt(fields[1].split(":")[1], 16));
    return {
        tcp: [...new Set([...ports("tcp", "0A"), ...ports("tcp6", "0A")])],
        udp: [...new Set([...ports("udp", "07"), ...ports("udp6", "07")])],
    };
}

test(
    "a stranger at every port of a host in a group learns and opens nothing",
    { timeout: 90_000 },
    async (t) => {
        const hub = await startHub(t);
        const [a, b] = [
            await startHostpair({ t, name: "anna", args: ["--no-port-mapping"] }),
            await startHostpair({ t, name: "ben", args: ["--no-port-mapping"] }),
        ];
        await makeFile(join(a.shareDir, "film.bin"), 30 * MiB, 3);
        const made = await a.api("/groups", { json: { hub: `127.0.0.1:${hub.port}`, name: "friends" } });
        const { invite } = (await a.api(`/groups/${made.json.id}/invite`)).json;
        await b.api("/groups", { json: { invite } });
        await a.api("/settings", { method: "PATCH", json: { access: "paired" } });
        const id = identityIn(a.dataDir).id;
        await waitFor(async () => (await b.api(`/hosts/${id}`)).json.state === "online", {
            what: "Ben to see Anna",
        });
        const d = await download(b, { host: id, path: "film.bin", limit_bps: 2 * MiB });
        await waitFor(async () => (await b.api(`/downloads/${d.id}`)).json.done_bytes > 0, {
            what: "its first bytes",
        });

        const { tcp, udp } = portsOf(a.pid);
        assert.ok(udp.length > 0, "its UDP ports are open while they are in use");
        assert.ok(tcp.includes(a.peerPort) && tcp.length >= 3, `it listens on ${tcp}`);

        // UDP: STUN without a key, QUIC's first packet, QUIC of a version that nobody speaks, STUN's answer, noise.
        const initial = Buffer.alloc(1200);
        randomBytes(1200).copy(initial);
        Buffer.from("c300000001" + "08" + hex(8) + "00" + "00" + "449e", "hex").copy(initial);
        const strange = Buffer.from(initial);
        strange.writeUInt32BE(0x1a2a3a4a, 1);
        const stun = Buffer.from("0001000c2112a442" + hex(12) + "00060008" + hex(8), "hex");
        const datagrams = [
            initial,
            strange,
            stun,
            Buffer.from("0101000021 12a442".replace(" ", "") + hex(12), "hex"),
        ];
        for (let i = 0; i < 40; i++) datagrams.push(randomBytes(1 + i * 30));
        const socket = createSocket("udp4");
        /** @type {number[]} */
        const answers = [];
        socket.on("message", (_, from) => answers.push(from.port)).on("error", () => {});
        for (const port of udp) for (const datagram of datagrams) socket.send(datagram, port, "127.0.0.1");

        // TCP: every port but the two that answer everybody gives nothing at all.
        for (const port of tcp) {
            for (const first of ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", randomBytes(500)]) {
                const stranger = connect(port, "127.0.0.1");
                let text = "";
                const closed = new Promise((done) => stranger.on("close", done).on("error", done));
                stranger.on("data", (piece) => (text += piece));
                stranger.write(first);
                stranger.setTimeout(1500, () => stranger.destroy());
                await closed;
                if (port !== a.peerPort && port !== a.dashboardPort) assert.equal(text, "", `port ${port}`);
                else assert.doesNotMatch(text, /film\.bin/, `port ${port}`);
            }
        }
        assert.equal((await request(`http://127.0.0.1:${a.peerPort}/film.bin`)).status, 403);
        await sleep(500);
        socket.close();
        assert.deepEqual(answers, [], "nothing answers a stranger on UDP");
        const before = (await b.api(`/downloads/${d.id}`)).json.done_bytes;
        await waitFor(async () => (await b.api(`/downloads/${d.id}`)).json.done_bytes > before, {
            what: "the download to go on",
        });
    },
);
