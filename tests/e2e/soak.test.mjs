// @ts-check
// A day of use in minutes: memory, descriptors, threads and the database do not grow. HP_E2E_SOAK_MINUTES sets how many minutes
// (default: six rounds, a quarter of one), and has each round printed; HP_E2E_SEED sets the order.

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";

import {
    MiB,
    addHost,
    download,
    limitFile,
    makeFile,
    sleep,
    startHostpair,
    waitFor,
    waitState,
} from "./harness.mjs";
import { hashed, listed } from "./hosts.mjs";
import { GIVES_BACK, measured, plainBin, soak } from "./soak.mjs";
import { startWire } from "./soak-wire.mjs";

const minutes = Number(process.env.HP_E2E_SOAK_MINUTES || 0.2);
const seed = Number(process.env.HP_E2E_SEED || Math.floor(Math.random() * 1e6));
const say = process.env.HP_E2E_SOAK_MINUTES ? console.log : undefined;

limitFile(minutes + 10);

test(`nothing grows in ${minutes} minutes of use`, { timeout: (minutes + 8) * 60_000 }, async (t) => {
    t.diagnostic(`seed ${seed}`);
    for (const line of await soak(t, { minutes, seed, say })) t.diagnostic(line);
});

test("what came of the chunks of a download leaves the memory with it", { timeout: 60_000 }, async (t) => {
    const a = await startHostpair({ t, name: "a", bin: plainBin });
    const b = await startHostpair({ t, name: "b", bin: plainBin, env: GIVES_BACK });
    await makeFile(join(a.shareDir, "film.bin"), 64 * MiB, 1);
    await hashed(a, 1, 64 * MiB);
    const wire = await startWire({ t, to: a.peerPort, rate: 24 * MiB });
    const host = await addHost(b, wire.port);
    await listed(b, host.id, 1);
    await b.api("/settings", { method: "PATCH", json: { connections_per_source: 8 } });
    const { id } = await download(b, { host: host.id, path: "film.bin" });
    await waitState(b, id, (d) => d.done_bytes >= 16 * MiB);
    assert.equal((await b.api(`/downloads/${id}?data=keep`, { method: "DELETE" })).status, 204);
    await sleep(500); // what no chunk was kept in is free by then
    const kept = measured(b).memory;
    assert.equal((await b.api(`/kept/${id}`, { method: "DELETE" })).status, 204);
    await waitFor(() => kept === 0 || measured(b).memory < kept - 2 * MiB, {
        what: `less memory than ${kept} bytes`,
        detail: () => `${measured(b).memory} bytes`,
    });
    const removed = measured(b).memory;
    t.diagnostic(`${(kept / MiB).toFixed(1)} MiB, and ${(removed / MiB).toFixed(1)} when it is gone`);
});
