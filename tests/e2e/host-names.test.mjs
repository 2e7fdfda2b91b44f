// @ts-check
// Hosts that are added by their names.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";

import { startHostpair, tempDir, waitFor } from "./harness.mjs";
import { assertWords } from "./hosts.mjs";

/** @param {import("./harness.mjs").Hostpair} h @param {string} address */
const add = (h, address) => h.api("/hosts", { json: { address } });

/**
 * A command that runs a program with a file of its own as /etc/hosts; undefined where that needs rights that are not here.
 * @param {string} file
 */
const withHosts = (file) =>
    process.getuid?.() === 0
        ? ["unshare", "-m", "sh", "-c", `mount --bind '${file}' /etc/hosts && exec "$@"`, "sh"]
        : undefined;

describe("a host", { concurrency: 4 }, () => {
    test("is added by every way to write where it is", { timeout: 60_000 }, async (t) => {
        const [a, b] = [await startHostpair({ t, name: "a" }), await startHostpair({ t, name: "b" })];
        const port = a.peerPort;
        const first = await add(b, `localhost:${port}`);
        assert.equal(first.status, 201, first.text);
        assert.equal(first.json.added_as, `localhost:${port}`);
        assert.equal(first.json.name, "a");
        for (const text of [
            `  localhost:${port}\n`,
            `LOCALHOST:${port}`,
            `http://localhost:${port}`,
            `http://localhost:${port}/`,
            `https://localhost:${port}/files/sub/?archive=zip`,
            ` http://127.0.0.1:${port}/ `,
            `127.0.0.1:${port}`,
        ]) {
            const again = await add(b, text);
            assert.equal(again.status, 200, `"${text}": ${again.text}`);
            assert.equal(again.json.id, first.json.id);
        }
        await b.restart();
        const kept = (await b.api(`/hosts/${first.json.id}`)).json;
        assert.match(kept.added_as, new RegExp(`^localhost:${port}$`, "i"));
    });

    test("that is no place is refused with a sentence", { timeout: 60_000 }, async (t) => {
        const b = await startHostpair({ t, name: "b" });
        for (const text of [
            "",
            " ",
            "attic:0",
            "attic:99999",
            "attic:http",
            "attic lounge",
            "300.1.2.3",
            "1.2.3",
            "a..b",
            ".",
            "-rf",
            "ftp://attic",
            "http://",
            "[::1",
            `${"l".repeat(64)}.local`,
            `${"long.".repeat(60)}local`,
            "attic\u0000",
        ]) {
            const { status, json } = await add(b, text);
            assert.ok([400, 422].includes(status), `"${text}": ${status}`);
            assertWords(json.detail);
        }
        const unknown = await add(b, "nosuchhost.invalid");
        assert.equal(unknown.status, 502);
        assert.equal(unknown.json.code, "no-such-name");
        assert.match(unknown.json.detail, /nosuchhost\.invalid/);
        const silent = await add(b, "localhost:9");
        assert.equal(silent.status, 502);
        assert.match(silent.json.detail, /^localhost: /);
    });

    test("is named at the start", { timeout: 60_000 }, async (t) => {
        const a = await startHostpair({ t, name: "a" });
        const b = await startHostpair({ t, name: "b", args: ["--host", `localhost:${a.peerPort}`] });
        await waitFor(async () => (await b.api("/hosts")).json.hosts[0]?.name === "a", { what: "the host" });
    });

    test("is found at another address under its name", { timeout: 60_000 }, async (t) => {
        const hosts = join(tempDir(t), "hosts");
        const wrap = withHosts(hosts);
        if (!wrap) return t.skip("another /etc/hosts for one process needs root");
        const at = (/** @type {string} */ address) =>
            writeFileSync(hosts, `127.0.0.1 localhost\n${address} attic attic.lan\n`);
        at("127.0.0.2");
        const b = await startHostpair({ t, name: "b", wrap });
        const listen = (/** @type {string} */ address, port = 0) => ["--peer-listen", `${address}:${port}`];
        const dashboard = ["--dashboard-listen", "127.0.0.1:0"];
        const a = await startHostpair({ t, name: "a", args: [...listen("127.0.0.2"), ...dashboard] });
        const added = await add(b, `attic.lan:${a.peerPort}`);
        assert.equal(added.status, 201, added.text);
        const { id } = added.json;
        assert.deepEqual(added.json.addresses, [`127.0.0.2:${a.peerPort}`]);
        await a.stop();
        const { peerPort, dataDir, shareDir, downloadsDir } = a;
        await startHostpair({
            t,
            name: "a",
            data: dataDir,
            share: shareDir,
            downloads: downloadsDir,
            args: [...listen("127.0.0.3", peerPort), ...dashboard],
        });
        at("127.0.0.3");
        await b.restart();
        const found = await waitFor(
            async () => {
                await b.api("/scan", { method: "POST" });
                const { json } = await b.api(`/hosts/${id}`);
                return json.state === "online" && json;
            },
            { timeout: 20_000, interval: 300, what: "the host at its new address" },
        );
        assert.equal(found.addresses[0], `127.0.0.3:${peerPort}`);
    });
});
