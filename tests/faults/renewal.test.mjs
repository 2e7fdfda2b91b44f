// @ts-check
// A host is killed while it renews a group: before a call of the system, and before another one, until there was every
// step of it. Its next start finds the old group or the new one, whole, and its members meet there.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";

import { startHostpair, tempDir, waitFor } from "../e2e/harness.mjs";
import { startHub } from "../e2e/hub.mjs";
import { chosen, library, openSlots, preload } from "./faults.mjs";

/** @typedef {import("../e2e/harness.mjs").Hostpair} Hostpair */

/** What a renewal is made of: words to the hub and back, the database and its journal. */
const STEPS = ["db_read", "db_write", "db_sync", "db_truncate", "read", "write", "send"];

const args = ["--no-port-mapping"];
/** @param {Hostpair} h */
const groupsOf = async (h) => (await h.api("/groups")).json.groups;
/** @param {Hostpair} h @param {number} id */
const inviteOf = async (h, id) => (await h.api(`/groups/${id}/invite`)).json.invite;

/** Waits until each of both sees the other. @param {Hostpair} a @param {Hostpair} b */
async function meet(a, b) {
    const ids = [];
    for (const h of [a, b]) ids.push((await h.api("/status")).json.id);
    for (const [h, id] of /** @type {[Hostpair, string][]} */ ([
        [a, ids[1]],
        [b, ids[0]],
    ]))
        await waitFor(async () => (await h.api(`/hosts/${id}`)).json.state === "online", {
            timeout: 20_000,
            what: `${h.name} to see the other one`,
            detail: async () => [await groupsOf(a), await groupsOf(b), h.stderr().slice(-2000)],
        });
}

test(
    "a renewal that is killed leaves the old group or the new one, and its members meet",
    {
        timeout: 3_600_000,
        skip: !existsSync(library) && "there is no tests/faults library: set HP_FAULTS_LIB",
    },
    async (t) => {
        const folder = tempDir();
        const slots = openSlots(join(folder, "faults"));
        t.after(async () => {
            slots.close();
            await rm(folder, { recursive: true, force: true });
        });
        const hub = await startHub(t);
        const a = await startHostpair({ t, name: "anna", args, env: preload(join(folder, "faults")) });
        const b = await startHostpair({ t, name: "ben", args });
        const made = await a.api("/groups", { json: { hub: `127.0.0.1:${hub.port}`, name: "friends" } });
        assert.equal(made.status, 201, made.text);
        const renew = () => a.api("/groups/1/renew", { method: "POST" });
        let invite = await inviteOf(a, 1);

        /** Lets Ben into the group that Anna has now, and out of the one before it. */
        async function follow() {
            for (const { id } of await groupsOf(b)) await b.api(`/groups/${id}`, { method: "DELETE" });
            invite = await inviteOf(a, 1);
            const joined = await b.api("/groups", { json: { invite, name: "friends" } });
            assert.equal(joined.status, 201, joined.text);
            await meet(a, b);
        }
        await follow();

        const before = STEPS.map((kind) => slots.count(kind));
        assert.equal((await renew()).status, 200);
        const calls = STEPS.map((kind, i) => slots.count(kind) - before[i]);
        await follow();

        const ends = { old: 0, new: 0, answered: 0, missed: 0 };
        for (const [i, kind] of STEPS.entries())
            for (const n of calls[i] > 0 ? chosen(calls[i]) : []) {
                const where = `killed before ${kind} ${n} of ${calls[i]}`;
                slots.arm(kind, "kill", n, 1);
                const reply = await renew().catch(() => undefined);
                const killed = await waitFor(() => !a.running(), { timeout: 2000 }).catch(() => false);
                slots.clear(kind);
                if (!killed) {
                    ends.missed++; // it was one call less this time
                    assert.equal(reply?.status, 200, where);
                    await follow();
                    continue;
                }
                assert.equal((await a.exited).signal, "SIGKILL", where);
                await a.start();
                const groups = await groupsOf(a);
                assert.deepEqual(
                    groups.map((/** @type {any} */ g) => [g.id, g.name]),
                    [[1, "friends"]],
                    where,
                );
                const now = await inviteOf(a, 1);
                if (reply) {
                    ends.answered++;
                    assert.equal(reply.json.invite, now, `${where}: what was answered is kept`);
                }
                if (now === invite) {
                    ends.old++;
                    await meet(a, b);
                } else {
                    ends.new++;
                    assert.deepEqual(groups[0].members, [], where);
                    await follow();
                }
            }
        t.diagnostic(`killed ${ends.old + ends.new} times: ${JSON.stringify(ends)} of ${calls}`);
        assert.ok(ends.old > 2 && ends.new > 2, `${JSON.stringify(ends)} of ${calls}`);
    },
);
