// @ts-check
// Beacons of a host that somebody has recorded and sends again from another address: that host stays what it is, alive or
// dead, and nothing that is meant for it goes elsewhere.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { MiB, makeBytes, sha256, sha256Of, sleep, tempDir, waitFor } from "../e2e/harness.mjs";
import { Lan, whyNot } from "./lan.mjs";

const skip = whyNot() || false;
const BEACON_ONLY = ["--no-scan"];

/** @param {Lan} lan @param {{ after(fn: () => unknown): unknown }} t @param {boolean} tls */
function startImpostor(lan, t, tls) {
    const program = fileURLToPath(new URL("impostor.mjs", import.meta.url));
    const config = {
        victim: "10.77.0.2",
        own: "10.77.0.3",
        to: ["10.77.0.1", "239.192.90.0"],
        tls,
    };
    const command = [process.execPath, program, JSON.stringify(config)];
    const child = spawn("ip", ["netns", "exec", lan.namespaceOf("evil"), ...command], {
        stdio: ["ignore", "pipe", "inherit"],
    });
    t.after(() => child.kill());
    /** @type {{ recorded: number, sent: number, asked: string[] }} */
    const impostor = { recorded: 0, sent: 0, asked: [] };
    let rest = "";
    child.stdout.on("data", (text) => {
        const lines = (rest + text).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) {
            const said = JSON.parse(line);
            if (said.asked) impostor.asked.push(said.asked);
            else Object.assign(impostor, said);
        }
    });
    return impostor;
}

for (const tls of [true, false])
    test(
        `recorded beacons, sent again by one who answers ${tls ? "with another key" : "in plain HTTP"}, change nothing`,
        { skip, timeout: 150_000 },
        async (t) => {
            const lan = new Lan(t);
            lan.network("home");
            ["a", "attic", "evil"].forEach((name, i) => lan.host(name, { home: `10.77.0.${i + 1}/24` }));
            const bytes = makeBytes(24 * MiB, 3);
            const root = tempDir(t);
            mkdirSync(join(root, "share"), { recursive: true });
            writeFileSync(join(root, "share", "f.bin"), bytes);
            const impostor = startImpostor(lan, t, tls);
            const a = await lan.start("a", { args: BEACON_ONLY });
            let attic = await lan.start("attic", { root, args: BEACON_ONLY });
            await waitFor(() => a.find("attic"), { what: "the attic" });
            const { id, fingerprint } = (await attic.api("/status")).json;
            const host = async () => (await a.api(`/hosts/${id}`)).json;
            await waitFor(async () => (await attic.api("/status")).json.share.hashed_bytes === bytes.length, {
                what: "its file being hashed",
            });
            await waitFor(
                async () => {
                    const { json } = await a.api(`/hosts/${id}/files`);
                    const known = json.files?.some((/** @type {any} */ f) => f.root);
                    if (!known) await a.api(`/hosts/${id}/files/refresh`, { method: "POST" });
                    return known;
                },
                { what: "its list", interval: 300 },
            );

            /** Nothing of it is the impostor's. @param {any} now */
            const assertItself = (now) => {
                const shown = JSON.stringify(now);
                assert.equal(now.name, "attic", shown);
                assert.ok(Math.abs(now.clock_offset_ms) < 60_000, `its clock: ${shown}`);
                assert.ok(now.addresses.includes("10.77.0.2:9000"), shown);
                const others = now.addresses.filter((/** @type {string} */ at) => at.includes("10.77.0.3"));
                assert.deepEqual(others, [], shown);
                assert.equal(now.proven, true, shown);
                assert.equal(now.fingerprint, fingerprint ?? now.fingerprint, shown);
                assert.equal(now.files, 1, shown);
            };
            /** For so long. @param {number} ms @param {(now: any) => void} [more] */
            const stays = async (ms, more = () => {}) => {
                for (const end = performance.now() + ms; performance.now() < end; await sleep(200)) {
                    const now = await host();
                    assertItself(now);
                    more(now);
                }
            };

            // While the attic is there.
            const ordered = await a.api("/downloads", {
                json: { host: id, path: "f.bin", limit_bps: 2 * MiB },
            });
            assert.equal(ordered.status, 201, ordered.text);
            const download = async () => (await a.api(`/downloads/${ordered.json.id}`)).json;
            await waitFor(() => impostor.recorded > 0 && impostor.asked.length > 0, {
                what: "the impostor being asked who it is",
                timeout: 20_000,
                detail: () => impostor,
            });
            const before = impostor.sent;
            await stays(5000, (now) => assert.equal(now.state, "online"));
            assert.ok(impostor.sent >= before + 20, `${impostor.sent - before} datagrams`);
            const one = (await a.api("/messages", { json: { to: id, text: "are you there?" } })).json;
            const delivered = (/** @type {number} */ message) =>
                waitFor(
                    async () =>
                        (await a.api(`/messages/${message}`)).json.deliveries[0].state === "delivered",
                    { timeout: 40_000, what: "a message being delivered" },
                );
            await delivered(one.id);

            // While it is not.
            await attic.kill9();
            const two = (
                await a.api("/messages", {
                    json: { to: id, text: "for the attic alone" },
                })
            ).json;
            await waitFor(async () => (await host()).state === "offline", {
                timeout: 60_000,
                what: "the attic to be missed",
            });
            await stays(4000, (now) => assert.equal(now.state, "offline"));
            assert.equal((await a.api(`/messages/${two.id}`)).json.deliveries[0].state, "queued");
            assert.equal((await download()).state, "running");

            // And when it is back.
            attic = await lan.start("attic", { root, args: BEACON_ONLY });
            await delivered(two.id);
            await a.api(`/downloads/${ordered.json.id}`, {
                method: "PATCH",
                json: { limit_bps: 0 },
            });
            const done = await waitFor(
                async () => ((await download()).state === "done" ? download() : false),
                {
                    timeout: 40_000,
                    what: "the download",
                    detail: download,
                },
            );
            assert.equal(await sha256(join(a.root, "downloads", "f.bin")), sha256Of(bytes));
            assert.deepEqual(
                done.sources.map((/** @type {any} */ s) => s.host),
                [id],
            );
            await stays(1000);
            assert.deepEqual(
                (await attic.api("/messages")).json.messages
                    .filter((/** @type {any} */ m) => m.incoming)
                    .map((/** @type {any} */ m) => m.text)
                    .sort(),
                ["are you there?", "for the attic alone"],
            );
            const asked = [...new Set(impostor.asked)];
            t.diagnostic(`${impostor.sent} datagrams; it was asked ${asked.join(", ")}`);
            assert.deepEqual(
                asked.filter((what) => !/^GET \/(hostpair|list)$/.test(what)),
                [],
                "it is asked who it is, and for nothing of the attic's",
            );
            const others = (await a.hosts()).filter((h) => h.id !== id);
            for (const other of others) assert.notEqual(other.name, "attic");
        },
    );
