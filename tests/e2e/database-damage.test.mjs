// @ts-check
// Every page of the database damaged in turn, and the file cut after every fourth. hostpair starts, or says in one line
// why not; it answers every call; and the download that was under way ends with the right bytes or is not there any more.
// HP_E2E_DAMAGE=all damages each page in three ways, not in one.

import assert from "node:assert/strict";
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import {
    MiB,
    addHost,
    download,
    makeFile,
    pathOf,
    sha256,
    startHostpair,
    tempDir,
    waitFor,
    waitState,
} from "./harness.mjs";
import { startLink } from "./link.mjs";

const PAGE = 4096;

/** Bytes that differ from what was there, spread by `seed`. @param {Buffer} page @param {number} seed */
function flipBits(page, seed) {
    for (let i = 0, at = seed; i < 24; i++, at += 977) page[at % page.length] ^= 1 << (i % 8);
}

/** @type {[string, (page: Buffer, number: number) => void][]} */
const damages = [
    ["bits flipped", (page, number) => flipBits(page, number * 31)],
    ["zeroes", (page) => page.fill(0)],
    [
        "a cell pointer that leads out of the page",
        (page, number) => page.fill(0xff, number === 1 ? 100 : 0, number === 1 ? 140 : 40),
    ],
];

describe("a database that is damaged", () => {
    const folder = tempDir();
    // The database names the downloads folder, so all of them run in the same one.
    const where = { data: join(folder, "run/data"), downloads: join(folder, "run/downloads") };
    const kept = join(folder, "kept");
    const keptDatabase = join(kept, "data/hostpair.db");
    let sum = "";
    let id = 0;
    /** @type {Awaited<ReturnType<typeof startHostpair>>} */
    let a;
    let address = "";

    /** @type {Awaited<ReturnType<typeof startHostpair>> | undefined} */
    let running;
    before(async () => {
        a = await startHostpair({ name: "a" });
        await makeFile(join(a.shareDir, "big.bin"), 8 * MiB, 3);
        for (let i = 0; i < 300; i++)
            await makeFile(join(a.shareDir, `many/file number ${i} of a folder.bin`), 40, i);
        sum = await sha256(join(a.shareDir, "big.bin"));
        await waitFor(async () => (await a.api("/status")).json.share.hashed_bytes === 8 * MiB + 300 * 40);
        const link = await startLink({ to: a.peerPort, rate: 4 * MiB });
        const b = await startHostpair({ ...where, name: "b" });
        const host = await addHost(b, link.port);
        await b.api(`/hosts/${host.id}/messages`, { json: { text: "a message" } });
        await waitFor(async () => (await b.api(`/hosts/${host.id}/files`)).json.files?.length > 0);
        const order = await download(b, { host: host.id, path: "big.bin" });
        await waitState(b, order.id, (d) => d.done_bytes >= 2 * MiB);
        await b.api(`/downloads/${order.id}`, { method: "PATCH", json: { state: "paused" } });
        id = order.id;
        address = `127.0.0.1:${a.peerPort}`;
        await b.dispose();
        await link.close();
        cpSync(join(folder, "run"), kept, { recursive: true });
    });
    after(async () => {
        await running?.dispose();
        await a?.dispose();
        rmSync(folder, { recursive: true, force: true });
    });

    /**
     * Starts on copies of the folders with this database; whether it ran, and whether it knew the download.
     * @param {string} what
     * @param {(file: string) => void} damage
     */
    async function tryOn(what, damage) {
        rmSync(join(folder, "run"), { recursive: true });
        cpSync(kept, join(folder, "run"), { recursive: true });
        damage(join(where.data, "hostpair.db"));
        /** @type {Awaited<ReturnType<typeof startHostpair>>} */
        let h;
        try {
            h = running = await startHostpair({ ...where, name: "b" });
        } catch (error) {
            const said = error instanceof Error ? error.message : String(error);
            assert.match(said, /it ended at start: \{"code":[1-9][0-9]*,"signal":null\}/, what);
            assert.match(said, /hostpair: .*database/, what);
            return { ran: false, knew: false };
        }
        for (const call of [
            "/status",
            "/hosts",
            "/downloads",
            "/messages",
            "/settings",
            "/share/files",
            "/groups",
            "/traffic",
        ]) {
            // A list that breaks off is cut where no client takes it for the whole.
            const reply = await h.api(call).catch((error) => error);
            if (reply instanceof Error)
                await waitFor(() => /is cut short: .*malformed/.test(h.stderr()), {
                    what: `${what}: ${call}: the reason of: ${reply.message}`,
                    detail: () => h.stderr(),
                });
            else
                assert.ok(
                    reply.status === 200 || reply.json?.code === "database-damaged",
                    `${what}: ${call}: ${reply.text}`,
                );
        }
        const state = async () => {
            const { status, json } = await h.api(`/downloads/${id}`);
            return status === 200 ? json : { state: "unknown" };
        };
        const resume = async () => {
            await addHost(h, address);
            await h.api(`/downloads/${id}`, { method: "PATCH", json: { state: "queued" } });
        };
        const over = () =>
            waitFor(
                async () => {
                    const d = await state();
                    const stuck = d.state === "paused" && /database is damaged/.test(d.reason);
                    return stuck || ["done", "failed", "unknown"].includes(d.state) ? d : undefined;
                },
                { timeout: 30_000, what: `${what}: the end`, detail: () => h.stderr().slice(-1500) },
            );
        await resume();
        let d = await over();
        if (d.state === "paused") {
            assert.match(d.reason, /started again/, what);
            await h.restart();
            await resume();
            d = await over();
        }
        if (d.state === "done") assert.equal(await sha256(pathOf(h, d)), sum, what);
        else if (d.state === "failed") assert.match(d.reason, /damaged|malformed/, what);
        else assert.equal(d.state, "unknown", what);
        const knew = d.state === "done";
        await h.dispose();
        running = undefined;
        return { ran: true, knew };
    }

    const pages = () => readFileSync(keptDatabase).length / PAGE;
    test("on any of its pages", { timeout: 1_200_000 }, async (t) => {
        let cases = 0;
        let ran = 0;
        let knew = 0;
        for (let number = 1; number <= pages(); number++)
            for (const [damage, act] of process.env.HP_E2E_DAMAGE === "all"
                ? damages
                : [damages[number % damages.length]]) {
                const result = await tryOn(`${damage} on page ${number}`, (file) => {
                    const bytes = readFileSync(file);
                    act(bytes.subarray((number - 1) * PAGE, number * PAGE), number);
                    writeFileSync(file, bytes);
                });
                cases++;
                ran += Number(result.ran);
                knew += Number(result.knew);
            }
        t.diagnostic(`${cases} cases: ${ran} times it ran, ${knew} times it went on with the download`);
        assert.ok(knew > cases / 2, `only ${knew} of ${cases}`);
    });

    test("by a cut after every fourth page", { timeout: 300_000 }, async (t) => {
        let ran = 0;
        for (let number = 0; number < pages(); number += 4) {
            const result = await tryOn(`cut after page ${number}`, (file) =>
                writeFileSync(file, readFileSync(file).subarray(0, number * PAGE + 100)),
            );
            ran += Number(result.ran);
        }
        t.diagnostic(`${Math.ceil(pages() / 4)} cuts: ${ran} times it ran`);
    });
});
