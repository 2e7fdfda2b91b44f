// @ts-check
// Pairing: two people compare six digits, by the API and at terminals; somebody between them, refusals, limits, the end of a
// pairing from either side, also while the other host is away.

import assert from "node:assert/strict";
import { existsSync, readFileSync, rmSync } from "node:fs";
import https from "node:https";
import { join } from "node:path";
import { describe, test } from "node:test";

import { addHost, startHostpair, waitFor } from "./harness.mjs";
import { asks, atTerminal, piped, terminal } from "./terminal.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */
/** @typedef {import("./harness.mjs").TestContext} TestContext */

/** Two hosts that know each other, with their ids. @param {TestContext} t */
async function two(t) {
    const a = await startHostpair({ t, name: "studio" });
    const b = await startHostpair({ t, name: "attic" });
    const ofB = (await addHost(a, b.peerPort)).id;
    const ofA = (await addHost(b, a.peerPort)).id;
    return { a, b, ofA, ofB };
}

/** @param {Hostpair} h @param {string} id @returns {Promise<any>} */
const pairingOf = async (h, id) =>
    (await h.api("/pairings")).json.pairings.find((/** @type {any} */ one) => one.host === id);

/** The pairing with a host, once it is in one of the states. @param {Hostpair} h @param {string} id @param {string[]} states */
const reaches = (h, id, ...states) =>
    waitFor(
        async () => {
            const now = await pairingOf(h, id);
            return states.includes(now?.state) && now;
        },
        { what: `${h.name} in the state ${states}`, detail: async () => (await h.api("/pairings")).text },
    );

/** @param {Hostpair} h @param {string} id */
const begin = async (h, id) => {
    const reply = await h.api(`/hosts/${id}/pair`, { method: "POST" });
    assert.equal(reply.status, 202, reply.text);
    return reply.json;
};
/** @param {Hostpair} h @param {string} id */
const confirm = async (h, id) => {
    const reply = await h.api(`/hosts/${id}/pair/confirm`, { method: "POST" });
    assert.equal(reply.status, 202, reply.text);
    return reply.json;
};
/** @param {Hostpair} h @param {string} id */
const end = async (h, id) => {
    const reply = await h.api(`/hosts/${id}/pair`, { method: "DELETE" });
    assert.equal(reply.status, 204, reply.text);
};
/** @param {Hostpair} h @param {string} id */
const isPaired = async (h, id) => (await h.api(`/hosts/${id}`)).json.paired;
/** @param {Hostpair} h @param {string} id @param {boolean} wanted */
const pairedIs = (h, id, wanted) =>
    waitFor(async () => (await isPaired(h, id)) === wanted, {
        timeout: 30_000,
        what: `${h.name} has paired ${wanted}`,
        detail: () => h.stderr(),
    });

/** @param {Awaited<ReturnType<typeof two>>} both */
async function pairBoth({ a, b, ofA, ofB }) {
    await begin(a, ofB);
    const here = await reaches(a, ofB, "confirm");
    const there = await reaches(b, ofA, "confirm");
    assert.match(here.code, /^\d{6}$/);
    assert.equal(there.code, here.code);
    await confirm(a, ofB);
    await confirm(b, ofA);
    await pairedIs(a, ofB, true);
    await pairedIs(b, ofA, true);
    return { here, there };
}

describe("pairing", () => {
    test("two hosts pair when both people confirm the same digits, and stay paired over a restart", async (t) => {
        const both = await two(t);
        const { a, b, ofA, ofB } = both;
        const events = await b.events();
        const started = await begin(a, ofB);
        assert.equal(started.incoming, false);
        const here = await reaches(a, ofB, "confirm");
        const there = await reaches(b, ofA, "confirm");
        assert.equal(there.incoming, true);
        assert.match(here.code, /^\d{6}$/);
        assert.equal(there.code, here.code);
        const left = new Date(there.expires_at).getTime() - Date.now();
        assert.ok(left > 90_000 && left <= 120_000, `${left} ms are left`);
        await events.next(
            (e) => e.event === "pairing" && e.data.state === "confirm" && e.data.code === here.code,
        );
        assert.equal((await confirm(a, ofB)).state, "confirmed");
        assert.equal((await confirm(a, ofB)).state, "confirmed", "twice is no more than once");
        assert.equal(await isPaired(a, ofB), false, "one person is not enough");
        assert.equal((await pairingOf(b, ofA)).state, "confirm");
        await confirm(b, ofA);
        await reaches(a, ofB, "paired");
        await reaches(b, ofA, "paired");
        await events.next((e) => e.event === "pairing" && e.data.state === "paired");
        await events.next((e) => e.event === "host" && e.data.id === ofA && e.data.paired === true);
        events.close();
        const again = await a.api(`/hosts/${ofB}/pair`, { method: "POST" });
        assert.equal(again.status, 409);
        assert.match(again.json.detail, /paired already/);
        const removed = await a.api(`/hosts/${ofB}`, { method: "DELETE" });
        assert.equal(removed.status, 409);
        assert.match(removed.json.detail, /unpair it first/);
        await a.restart();
        await b.kill9();
        await b.start();
        assert.equal(await isPaired(a, ofB), true);
        assert.equal(await isPaired(b, ofA), true);
    });

    test("two people pair their hosts at two terminals", async (t) => {
        const { a, b, ofA, ofB } = await two(t);
        const first = terminal(["pair", "attic"], { env: asks(a) });
        await first.shows(/Does attic show the same digits\? \[y\/n\]/);
        const second = terminal(["pair", "studio"], { env: asks(b) });
        await second.shows(/Does studio show the same digits\? \[y\/n\]/);
        const digits = (/** @type {string} */ screen) => /^(\d{3} \d{3})$/m.exec(screen)?.[1];
        assert.ok(digits(first.screen()), first.screen());
        assert.equal(digits(second.screen()), digits(first.screen()));
        first.type("perhaps\r");
        await waitFor(() => first.screen().match(/same digits/g)?.length === 2, {
            what: "being asked again",
        });
        first.type("y\r");
        await first.shows(/Waiting for the person at attic to confirm\./);
        second.type("yes\r");
        const one = await first.ended;
        const other = await second.ended;
        assert.equal(one.code, 0, one.screen);
        assert.equal(other.code, 0, other.screen);
        assert.match(one.screen, /attic is paired\./);
        assert.match(other.screen, /studio is paired\./);
        assert.equal(await isPaired(a, ofB), true);
        assert.equal(await isPaired(b, ofA), true);
        const hosts = await atTerminal(["hosts"], { columns: 120, env: asks(a) });
        assert.match(hosts.screen, /^NAME .* PAIRED *$/m);
        assert.match(hosts.screen, /^attic .* yes *$/m);
        assert.match(
            (await piped(["pair", "attic"], { env: asks(a) })).stdout,
            /^attic is paired already\.\n$/,
        );
        const unpaired = await piped(["unpair", "attic"], { env: asks(a) });
        assert.equal(unpaired.stdout, "attic is not paired any more.\n");
        await pairedIs(b, ofA, false);
        assert.doesNotMatch((await piped(["hosts"], { env: asks(a) })).stdout, /yes/);
    });

    test("no at a terminal refuses on both sides", async (t) => {
        const { a, b, ofA, ofB } = await two(t);
        const first = terminal(["pair", "attic"], { env: asks(a) });
        await first.shows(/same digits/);
        const second = terminal(["pair", "studio"], { env: asks(b) });
        await second.shows(/same digits/);
        second.type("n\r");
        assert.equal((await second.ended).code, 1);
        const { code, screen } = await first.ended;
        assert.equal(code, 1, screen);
        assert.match(screen, /attic is not paired: It was refused on the other side/);
        const third = terminal(["pair", "attic"], { env: asks(a) });
        await third.shows(/same digits/);
        third.type("\u0003");
        await third.ended;
        await reaches(b, ofA, "refused");
        assert.equal(await isPaired(a, ofB), false);
        assert.equal(await isPaired(b, ofA), false);
    });

    test("a host that was confirmed only here is not paired when the other person refuses", async (t) => {
        const { a, b, ofA, ofB } = await two(t);
        await begin(a, ofB);
        await reaches(b, ofA, "confirm");
        await reaches(a, ofB, "confirm");
        await confirm(a, ofB);
        await end(b, ofA);
        assert.match((await reaches(a, ofB, "refused")).reason, /refused on the other side/);
        assert.equal((await pairingOf(b, ofA)).state, "refused");
        assert.equal(await isPaired(a, ofB), false);
        const late = await a.api(`/hosts/${ofB}/pair/confirm`, { method: "POST" });
        assert.equal(late.status, 409);
    });

    test("both people begin at the same moment, and it is one pairing", async (t) => {
        const both = await two(t);
        const { a, b, ofA, ofB } = both;
        for (let round = 0; round < 5; round++) {
            await Promise.all([begin(a, ofB), begin(b, ofA)]);
            const here = await reaches(a, ofB, "confirm");
            const there = await reaches(b, ofA, "confirm");
            assert.equal(here.code, there.code);
            assert.notEqual(here.incoming, there.incoming, "one of them began");
            await Promise.all([confirm(a, ofB), confirm(b, ofA)]);
            await reaches(a, ofB, "paired");
            await reaches(b, ofA, "paired");
            await end(round % 2 ? a : b, round % 2 ? ofB : ofA);
            await pairedIs(a, ofB, false);
            await pairedIs(b, ofA, false);
        }
    });

    test("the 11th try within an hour is refused", async (t) => {
        const { a, b, ofA, ofB } = await two(t);
        for (let i = 0; i < 10; i++) {
            await begin(a, ofB);
            await reaches(a, ofB, "confirm");
            await end(a, ofB);
            await reaches(b, ofA, "refused");
        }
        await begin(a, ofB);
        assert.match((await reaches(a, ofB, "failed")).reason, /10 tries an hour/);
        await begin(b, ofA);
        await reaches(b, ofA, "confirm");
    });

    test("what cannot be paired is said", async (t) => {
        const { a, b, ofB } = await two(t);
        assert.equal((await a.api(`/hosts/${"0".repeat(32)}/pair`, { method: "POST" })).status, 404);
        assert.equal((await a.api(`/hosts/${"0".repeat(32)}/pair`, { method: "DELETE" })).status, 404);
        assert.equal((await a.api(`/hosts/${ofB}/pair/confirm`, { method: "POST" })).status, 404);
        assert.equal((await a.api(`/hosts/${ofB}/pair`, { method: "DELETE" })).status, 204);
        // Without TLS nobody is anybody.
        const plain = await b.peer("/hostpair/pair", { json: { step: 1, commitment: "00".repeat(32) } });
        assert.equal(plain.status, 403);
        assert.match(plain.text, /proves its key/);
        assert.equal((await b.peer("/hostpair/pair", { method: "DELETE" })).status, 403);
        const wrong = await b.peer("/hostpair/pair");
        assert.equal(wrong.status, 405);
        assert.equal(wrong.headers.allow, "POST, DELETE");
        await b.stop();
        await begin(a, ofB);
        assert.match((await reaches(a, ofB, "failed")).reason, /connect|refused|answer/i);
    });

    test("somebody between two hosts makes them show different digits", async (t) => {
        const a = await startHostpair({ t, name: "studio" });
        const b = await startHostpair({ t, name: "attic" });
        const between = await manInTheMiddle(t, a, b);
        const ofM = (await addHost(a, between.toB)).id;
        assert.equal(ofM, between.id, "the key that answers is what a host is known by");
        await begin(a, ofM);
        const here = await reaches(a, ofM, "confirm");
        const there = await reaches(b, between.id, "confirm");
        assert.match(here.code, /^\d{6}$/);
        assert.match(there.code, /^\d{6}$/);
        assert.notEqual(here.code, there.code);
        await end(b, between.id);
        await reaches(a, ofM, "refused");
    });
});

test("where paired hosts alone are let in, pairing opens the door, and its end closes it", async (t) => {
    const both = await two(t);
    const { a, b, ofA, ofB } = both;
    await a.api("/settings", { method: "PATCH", json: { access: "paired" } });
    /** What the other host's list says after it was asked for: an error, or null. */
    const refusal = async () => {
        const asked = await b.api(`/hosts/${ofA}/files/refresh`, { method: "POST" });
        assert.equal(asked.status, 202, asked.text);
        const host = await waitFor(
            async () => {
                const { json } = await b.api(`/hosts/${ofA}`);
                return !json.listing && json;
            },
            { what: "the list" },
        );
        return host.list_error;
    };
    assert.match(String(await refusal()), /403|paired/);
    await pairBoth(both);
    assert.equal(await refusal(), null);
    await end(a, ofB);
    await pairedIs(b, ofA, false);
    assert.match(String(await refusal()), /403|paired/);
    await pairBoth(both);
    assert.equal(await refusal(), null);
    await end(b, ofA);
    await pairedIs(a, ofB, false);
    assert.match(String(await refusal()), /403|paired/);
});

describe("the end of a pairing", () => {
    for (const ender of ["the one that began", "the other one"])
        test(`reaches both sides when it comes from ${ender}`, async (t) => {
            const both = await two(t);
            await pairBoth(both);
            const { a, b, ofA, ofB } = both;
            await (ender === "the one that began" ? end(a, ofB) : end(b, ofA));
            await pairedIs(a, ofB, false);
            await pairedIs(b, ofA, false);
            await pairBoth(both);
        });

    test("waits for a host that is away, also over a restart", async (t) => {
        const both = await two(t);
        await pairBoth(both);
        const { a, b, ofA, ofB } = both;
        await b.stop();
        await waitFor(
            async () =>
                (await a.api(`/hosts/${ofB}`)).json.state === "offline" ||
                a.api("/scan", { method: "POST" }).then(() => false),
            {
                timeout: 30_000,
                interval: 300,
                what: "it is seen that the host is away",
            },
        );
        const said = await piped(["unpair", "attic"], { env: asks(a) });
        assert.equal(said.stdout, "attic is not paired any more; it hears of it when it is back.\n");
        assert.equal(await isPaired(a, ofB), false);
        await a.stop();
        await b.start();
        assert.equal(await isPaired(b, ofA), true, "it cannot know yet");
        await a.start();
        await pairedIs(b, ofA, false);
        await pairBoth(both);
    });
});

test(
    "digits that nobody confirms are worth nothing after two minutes",
    { skip: !!process.env.HP_E2E_QUICK },
    async (t) => {
        const { a, b, ofA, ofB } = await two(t);
        await begin(a, ofB);
        await reaches(a, ofB, "confirm");
        await confirm(a, ofB);
        await waitFor(async () => (await pairingOf(a, ofB)).state === "expired", {
            timeout: 140_000,
            interval: 1000,
            what: "the end",
        });
        await reaches(b, ofA, "expired", "refused");
        assert.equal((await b.api(`/hosts/${ofA}/pair/confirm`, { method: "POST" })).status, 409);
        assert.equal(await isPaired(a, ofB), false);
        assert.equal(await isPaired(b, ofA), false);
    },
);

/**
 * Somebody who answers both hosts in the other's name, with a key of its own, and passes on what they say.
 * @param {TestContext} t
 * @param {Hostpair} a
 * @param {Hostpair} b
 */
async function manInTheMiddle(t, a, b) {
    const owner = await startHostpair({ name: "between" });
    const id = (await owner.peer("/hostpair")).headers["hostpair-id"];
    await owner.stop();
    const file = join(owner.dataDir, "identity.pem");
    assert.ok(existsSync(file));
    const pem = readFileSync(file, "utf8");
    await owner.dispose();
    rmSync(owner.root, { recursive: true, force: true });
    /** @type {Record<string, number>} */
    const ports = {};
    /** @param {string} name @param {Hostpair} to @param {string} back */
    const listen = async (name, to, back) => {
        const server = https.createServer(
            {
                key: pem,
                cert: pem,
                requestCert: true,
                rejectUnauthorized: false,
                minVersion: "TLSv1.3",
                ALPNProtocols: ["http/1.1"],
            },
            (req, res) => {
                /** @type {import("node:http").OutgoingHttpHeaders} */
                const headers = { ...req.headers, host: `127.0.0.1:${to.peerPort}` };
                if (headers["hostpair-port"]) headers["hostpair-port"] = String(ports[back]);
                const out = https.request(
                    {
                        host: "127.0.0.1",
                        port: to.peerPort,
                        method: req.method,
                        path: req.url,
                        headers,
                        key: pem,
                        cert: pem,
                        rejectUnauthorized: false,
                        agent: false,
                    },
                    (answer) => {
                        /** @type {Buffer[]} */
                        const parts = [];
                        answer.on("data", (part) => parts.push(part));
                        answer.on("end", () => {
                            let body = Buffer.concat(parts);
                            const fields = { ...answer.headers };
                            if (fields["hostpair-id"]) fields["hostpair-id"] = id;
                            if (req.url === "/hostpair" && body.length > 0) {
                                body = Buffer.from(JSON.stringify({ ...JSON.parse(body.toString()), id }));
                                fields["content-length"] = String(body.length);
                            }
                            res.writeHead(answer.statusCode ?? 502, fields);
                            res.end(body);
                        });
                    },
                );
                out.on("error", () => res.destroy());
                req.pipe(out);
            },
        );
        await new Promise((done) => server.listen(0, "127.0.0.1", () => done(undefined)));
        ports[name] = /** @type {import("node:net").AddressInfo} */ (server.address()).port;
        t.after(() => {
            server.close();
            server.closeAllConnections();
        });
    };
    await listen("toA", a, "toB");
    await listen("toB", b, "toA");
    return { id: String(id), toA: ports.toA, toB: ports.toB };
}
