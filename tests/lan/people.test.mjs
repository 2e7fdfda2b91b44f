// @ts-check
// Messages between hosts that have addresses of their own, on networks made of namespaces.
import assert from "node:assert/strict";
import { test } from "node:test";

import { waitFor } from "../e2e/harness.mjs";
import { Lan, whyNot } from "./lan.mjs";

const skip = whyNot() || false;
const QUIET = ["--no-scan", "--no-beacon"];

/** @param {import("./lan.mjs").LanHost} h @returns {Promise<string[]>} */
const received = async (h) =>
    (await h.api("/messages")).json.messages
        .filter((/** @type {any} */ m) => m.incoming)
        .map((/** @type {any} */ m) => m.text);

/** @param {import("./lan.mjs").LanHost} h @param {number} id @param {string} state */
const settled = (h, id, state) =>
    waitFor(
        async () => {
            const { json } = await h.api(`/messages/${id}`);
            return json.deliveries.every((/** @type {any} */ d) => d.state === state) && json;
        },
        {
            timeout: 15_000,
            what: `message ${id} being ${state}`,
            detail: async () => (await h.api("/messages")).text,
        },
    );

test(
    "a stranger cannot speak in another host's name, and a block shuts out one host alone",
    { skip },
    async (t) => {
        const lan = new Lan(t);
        lan.network("home");
        ["a", "b", "c"].forEach((name, i) => lan.host(name, { home: `10.77.0.${i + 1}/24` }));
        const [a, b, c] = [
            await lan.start("a", { args: QUIET }),
            await lan.start("b", { args: QUIET }),
            await lan.start("c", { args: QUIET }),
        ];
        const toA = `10.77.0.1:${a.peerPort}`;
        for (const h of [b, c]) assert.equal((await h.api("/hosts", { json: { address: toA } })).status, 201);
        const id = (await a.api("/status")).json.id;
        const idB = (await b.api("/status")).json.id;

        const first = await b.api("/messages", { json: { to: id, text: "from b" } });
        await settled(b, first.json.id, "delivered");
        assert.deepEqual(await received(a), ["from b"]);

        // In b's name, from c's address: with b's port, with c's own, and with none.
        const body = JSON.stringify({
            id: "x",
            from: idB,
            name: "b",
            text: "fake",
            sent_at: "2026-11-21T00:00:00Z",
        });
        for (const port of [b.peerPort, c.peerPort, 0]) {
            const status = lan.on(
                "c",
                ...["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-d", body],
                ...["-H", `Hostpair-Port: ${port}`, `http://${toA}/message`],
            );
            assert.equal(status, "403", `port ${port}`);
        }
        assert.deepEqual(await received(a), ["from b"]);

        assert.equal(
            (await a.api(`/hosts/${idB}`, { method: "PATCH", json: { blocked: true } })).status,
            200,
        );
        const second = await b.api("/messages", { json: { to: id, text: "again" } });
        const failed = await settled(b, second.json.id, "failed");
        assert.match(failed.deliveries[0].reason, /403/);
        const third = await c.api("/messages", { json: { to: id, text: "from c" } });
        await settled(c, third.json.id, "delivered");
        assert.deepEqual(await received(a), ["from b", "from c"]);

        await a.api(`/hosts/${idB}`, { method: "PATCH", json: { blocked: false } });
        await b.api(`/messages/${second.json.id}/retry`, { method: "POST" });
        await settled(b, second.json.id, "delivered");
        assert.deepEqual(await received(a), ["from b", "from c", "again"]);
    },
);

test("hosts write to each other at their link-local addresses", { skip }, async (t) => {
    const lan = new Lan(t);
    lan.network("home");
    ["a", "b"].forEach((name, i) => lan.host(name, { home: `10.77.0.${i + 1}/24` }));
    const [atA, atB] = ["a", "b"].map(
        (name) => /fe80::[0-9a-f:]+/.exec(lan.on(name, "ip", "-6", "address", "show", "dev", "home"))?.[0],
    );
    const a = await lan.start("a", { args: QUIET });
    const b = await lan.start("b", { args: QUIET });
    const added = await b.api("/hosts", { json: { address: `[${atA}%home]:${a.peerPort}` } });
    assert.equal(added.status, 201, added.text);
    const sent = await b.api("/messages", { json: { to: added.json.id, text: "hello" } });
    await settled(b, sent.json.id, "delivered");
    assert.deepEqual(await received(a), ["hello"]);
    const [host] = (await a.api("/hosts")).json.hosts;
    assert.deepEqual(host.addresses, [`[${atB}%home]:${b.peerPort}`]);
    assert.equal(host.found_by, "message");
    const answer = await a.api("/messages", { json: { to: host.id, text: "hello yourself" } });
    await settled(a, answer.json.id, "delivered");
    assert.deepEqual(await received(b), ["hello yourself"]);
});
