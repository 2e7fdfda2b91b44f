// @ts-check
// Every call that hostpair makes of the system may fail. Whatever fails, and whenever: hostpair runs on, calls nothing
// done that is not, says what failed, and finishes once the fault is gone.
//
// Each case makes one call fail, or all from one on, while a job runs, and then compares all bytes. HP_FAULTS_ALL=1 tries
// every call of a job, which takes an hour; without it a few of each kind are tried: the first, the last, one between.

import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import {
    MiB,
    addHost,
    limitFile,
    makeBytes,
    makeFile,
    pathOf,
    sha256,
    sha256Of,
    sleep,
    startHostpair,
    tempDir,
    waitFor,
} from "../e2e/harness.mjs";
import { FAULTS, chosen, everyCall, library, openSlots, preload } from "./faults.mjs";
import { receiveJob } from "./receive.mjs";

const FOREVER = 0x7fffffff;
if (everyCall) limitFile(300);

/**
 * @typedef {Awaited<ReturnType<typeof startHostpair>>} Hostpair
 * @typedef {ReturnType<typeof openSlots>} Slots
 *
 * @typedef {object} Job  what a person asks of hostpair
 * @property {string} name
 * @property {() => Promise<void>} prepare makes it as if it had never been done
 * @property {() => Promise<string | undefined>} run does it; what hostpair says went wrong, or nothing
 * @property {() => Promise<void>} finish sees to it that it is done, when nothing fails any more
 */

/** A call that a fault may cut off is made again. @template T @param {() => Promise<T>} call */
async function insist(call) {
    return await waitFor(
        () =>
            call().catch((error) =>
                /ECONN|socket hang up/.test(error.message) ? undefined : Promise.reject(error),
            ),
        { timeout: 20_000, interval: 20 },
    );
}

describe(
    "a call that fails",
    { skip: !existsSync(library) && "there is no tests/faults library: set HP_FAULTS_LIB" },
    () => {
        const folder = tempDir();
        /** @type {Slots} */
        let slots;
        /** @type {Hostpair} */
        let a;
        /** @type {Hostpair} */
        let b;
        let host = "";
        const small = Array.from({ length: 24 }, (_, i) => ({
            path: `many/${i % 3}/${i}.bin`,
            size: i === 23 ? 90_000 : 4096,
            seed: i + 1,
        }));
        let sum = "";

        before(async () => {
            slots = openSlots(join(folder, "faults"));
            a = await startHostpair({ name: "a" });
            await makeFile(join(a.shareDir, "big.bin"), 6 * MiB, 5);
            sum = await sha256(join(a.shareDir, "big.bin"));
            for (const { path, size, seed } of small) await makeFile(join(a.shareDir, path), size, seed);
            const whole = 6 * MiB + small.reduce((all, { size }) => all + size, 0);
            await waitFor(async () => (await a.api("/status")).json.share.hashed_bytes === whole, {
                timeout: 30_000,
            });
            b = await startHostpair({
                name: "b",
                env: preload(join(folder, "faults")),
            });
            host = (await addHost(b, a.peerPort)).id;
            await waitFor(async () => (await b.api(`/hosts/${host}/files`)).json.files?.length > 0);
        });
        after(async () => {
            slots.close();
            for (const h of [a, b]) await h?.dispose();
            await rm(folder, { recursive: true, force: true });
        });

        const partsOf = (/** @type {string} */ dir) =>
            readdirSync(dir, { recursive: true, encoding: "utf8" }).filter((name) =>
                name.endsWith(".hostpair-part"),
            );

        /**
         * @param {string} name
         * @param {Record<string, string>} order
         * @param {(d: any) => Promise<void>} compare
         * @returns {Job}
         */
        function downloadJob(name, order, compare) {
            /** @type {number | undefined} */
            let id;
            const look = async () => (await insist(() => b.api(`/downloads/${id}`))).json;
            return {
                name,
                async prepare() {
                    if (id !== undefined)
                        await insist(() => b.api(`/downloads/${id}?data=remove`, { method: "DELETE" }));
                    id = undefined;
                    for (const name of readdirSync(b.downloadsDir))
                        await rm(join(b.downloadsDir, name), { recursive: true });
                },
                async run() {
                    const reply = await insist(() => b.api("/downloads", { json: { host, ...order } }));
                    if (reply.status !== 201) return reply.json.detail;
                    id = reply.json.id;
                    const d = await waitFor(
                        async () => {
                            const now = await look();
                            return now.state === "done" || now.state === "failed" || now.reason
                                ? now
                                : undefined;
                        },
                        { timeout: 20_000, interval: 20, detail: () => b.stderr().slice(-1500) },
                    );
                    if (d.state === "done") await compare(d);
                    return d.state === "done" ? undefined : d.reason;
                },
                async finish() {
                    if (id === undefined) {
                        const reply = await insist(() => b.api("/downloads", { json: { host, ...order } }));
                        assert.ok([200, 201].includes(reply.status), reply.text);
                        id = reply.json.id;
                    }
                    /** @type {any} */
                    let d;
                    await waitFor(
                        async () => {
                            d = await look();
                            if (d.state === "failed")
                                await b.api(`/downloads/${id}/retry`, { method: "POST" });
                            if (d.state === "paused")
                                await b.api(`/downloads/${id}`, {
                                    method: "PATCH",
                                    json: { state: "queued" },
                                });
                            return d.state === "done";
                        },
                        {
                            timeout: 30_000,
                            interval: 100,
                            detail: () => ({ d, log: b.stderr().slice(-1500) }),
                        },
                    );
                    await compare(d);
                    assert.deepEqual(partsOf(b.downloadsDir), []);
                },
            };
        }

        const bytes = makeBytes(3 * MiB + 11, 9);
        const upload = () =>
            b.api("/share/files/put.bin", {
                method: "PUT",
                body: bytes,
                headers: { "content-type": "application/octet-stream" },
            });
        /** @type {Job[]} */
        const jobs = [
            downloadJob("a download of a large file", { path: "big.bin" }, async (d) => {
                assert.equal(await sha256(pathOf(b, d)), sum);
            }),
            downloadJob("a download of a folder of small files", { folder: "many" }, async (d) => {
                for (const { path, size, seed } of small)
                    assert.equal(
                        sha256Of(readFileSync(join(pathOf(b, d), path.replace("many/", "")))),
                        sha256Of(makeBytes(size, seed)),
                        path,
                    );
            }),
            {
                name: "an upload into the shared folder",
                prepare: async () => rm(join(b.shareDir, "put.bin"), { force: true }),
                async run() {
                    const reply = await insist(upload);
                    if (reply.status >= 400) return reply.json.detail;
                    assert.equal(sha256Of(readFileSync(join(b.shareDir, "put.bin"))), sha256Of(bytes));
                },
                async finish() {
                    if (!existsSync(join(b.shareDir, "put.bin")))
                        assert.ok((await insist(upload)).status < 300);
                    assert.equal(sha256Of(readFileSync(join(b.shareDir, "put.bin"))), sha256Of(bytes));
                    assert.deepEqual(partsOf(b.shareDir), []);
                },
            },
            receiveJob(() => b, insist),
        ];

        for (const job of jobs)
            test(
                `in ${job.name} is told, and the job is done once nothing fails`,
                { timeout: 3_600_000 },
                async (t) => {
                    /** @type {Record<string, number>} */
                    const calls = {};
                    // The second time everything is open and cached that will be.
                    for (let i = 0; i < 2; i++) {
                        await job.prepare();
                        for (const { kind } of FAULTS) calls[kind] = slots.count(kind);
                        await job.run();
                        await job.finish();
                        for (const { kind } of FAULTS)
                            calls[kind] = slots.count(kind) - (i === 0 ? 0 : calls[kind]);
                    }
                    let cases = 0;
                    let hit = 0;
                    let told = 0;
                    const pid = b.pid;
                    for (const { kind, error } of FAULTS) {
                        if (calls[kind] === 0) continue;
                        const tries = [
                            ...chosen(calls[kind]).map((n) => ({ n, times: 1 })),
                            { n: 1, times: FOREVER },
                        ];
                        for (const { n, times } of tries) {
                            // Interrupted again and again is no fault that goes away by trying again.
                            // A file that is locked once is another program's, which is no fault.
                            if (times === 1 && kind === "flock") continue;
                            if (times === FOREVER && ["EINTR", "EAGAIN", "short"].includes(error)) continue;
                            const where = `${kind} ${error}, call ${n} of ${calls[kind]}${times === 1 ? "" : " and all after it"}`;
                            await job.prepare();
                            const before = slots.hits(kind);
                            slots.arm(kind, error, n, times);
                            try {
                                const running = job.run();
                                // What fails for good can keep every call from being answered.
                                const said = await (times === 1
                                    ? running
                                    : Promise.race([running.catch(() => "no answer"), sleep(1500)]));
                                slots.clear(kind);
                                await running.catch(() => undefined);
                                if (said) told++;
                                cases++;
                                if (slots.hits(kind) > before) hit++;
                                await job.finish();
                            } catch (problem) {
                                slots.clear(kind);
                                throw new Error(
                                    `${where}: ${problem instanceof Error ? problem.stack : problem}\n${b.stderr().slice(-2000)}`,
                                );
                            }
                            assert.ok(
                                b.running() && b.pid === pid,
                                `${where}: hostpair ended\n${b.stderr().slice(-2000)}`,
                            );
                        }
                    }
                    t.diagnostic(
                        `${job.name}: ${cases} cases, ${hit} calls failed, ${told} told, no byte lost`,
                    );
                    assert.ok(hit > cases / 3, `only ${hit} of ${cases} faults were met`);
                },
            );

        test("while it starts is told, and the next start works", { timeout: 3_600_000 }, async (t) => {
            const where = {
                share: join(folder, "s"),
                downloads: join(folder, "d"),
                data: join(folder, "data"),
            };
            const path = join(folder, "start");
            const start = async (/** @type {boolean} */ faulty) =>
                startHostpair({ ...where, env: faulty ? preload(path) : {} });
            const fresh = async () => {
                for (const dir of Object.values(where)) await rm(dir, { recursive: true, force: true });
            };
            const own = openSlots(path);
            await fresh();
            await (await start(true)).dispose();
            /** @type {Record<string, number>} */
            const calls = Object.fromEntries(FAULTS.map(({ kind }) => [kind, own.count(kind)]));
            own.close();
            let cases = 0;
            let refused = 0;
            for (const { kind, error } of FAULTS)
                // libuv ends the process where its pool gets no thread; hostpair asks for all of them before.
                for (const n of kind === "pthread_create" ? [1] : chosen(calls[kind])) {
                    if (calls[kind] === 0) continue;
                    const what = `${kind} ${error}, call ${n} of ${calls[kind]}`;
                    await fresh();
                    const slots = openSlots(path);
                    slots.arm(kind, error, n, 1);
                    cases++;
                    const problem = await start(true).then(
                        (h) =>
                            insist(() => h.api("/status")).then(
                                () => h.dispose(),
                                (late) => h.dispose().then(() => late.message),
                            ),
                        (failure) => failure.message,
                    );
                    slots.close();
                    if (problem === undefined) continue;
                    refused++;
                    assert.match(problem, /it ended at start: .*"code":[1-9]/, what);
                    assert.match(problem, /hostpair: .*\w/, what);
                    await (await start(false)).dispose();
                }
            assert.ok(refused > 10, `only ${refused} of ${cases} faults were met`);
            t.diagnostic(
                `start: ${cases} cases, ${refused} starts refused with a reason, all started afterwards`,
            );
        });
    },
);
