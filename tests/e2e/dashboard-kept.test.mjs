// @ts-check
// The dashboard's list of what was kept of cancelled downloads, and second copies of what is here already.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";

import { assertAccessible, closeBrowser, openDashboard as open, skip } from "./browser.mjs";
import { MiB, download, sha256, startHostpair, waitFor, waitState } from "./harness.mjs";
import { linked, sharing } from "./hosts.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */
/** @typedef {import("playwright-core").Page} Page */

/** The dashboard, on a machine that may be busy. @type {typeof open} */
async function openDashboard(t, host, hash, options) {
    const page = await open(t, host, hash, options);
    page.setDefaultTimeout(60_000);
    return page;
}

/** A download of which something is here. @param {Hostpair} h @param {Record<string, unknown>} order @returns {Promise<number>} */
async function begun(h, order) {
    const { id } = await download(h, order);
    await waitState(h, id, (d) => d.chunks_done > 1);
    return id;
}

/** Cancels a new download of each, whose data is kept. @param {Hostpair} h @param {Record<string, unknown>[]} orders */
async function keep(h, orders) {
    const ids = [];
    for (const order of orders) {
        const id = await begun(h, order);
        assert.equal((await h.api(`/downloads/${id}?data=keep`, { method: "DELETE" })).status, 204);
        ids.push(id);
    }
    return ids;
}

/** The ids of what is kept. @param {Hostpair} h @returns {Promise<number[]>} */
const keptOf = async (h) => (await h.api("/kept")).json.kept.map((/** @type {any} */ one) => one.id);

/** The ids that the page lists. @param {Page} page */
const shownOn = (page) =>
    page.locator("[data-kept]").evaluateAll((rows) => rows.map((row) => Number(row.dataset.kept)));

/** Names below the downloads folder that have this in them. @param {Hostpair} h @param {string} part */
const onDisk = (h, part) =>
    readdirSync(h.downloadsDir, { recursive: true }).filter((name) => `${name}`.includes(part));

const FILES = Object.fromEntries(
    ["one", "two", "three"].map((name, index) => [`${name}.bin`, { size: 24 * MiB, seed: 7 + index }]),
);

describe("dashboard: what was kept", { skip }, () => {
    after(closeBrowser);

    test("is listed, goes on with the next order, and is removed", { timeout: 300_000 }, async (t) => {
        const a = await sharing(t, "attic", FILES);
        const b = await startHostpair({ t, name: "own" });
        const { link, id: host } = await linked(t, b, a.peerPort, { rate: 6 * MiB, files: 3 });
        const page = await openDashboard(t, b, "#/downloads");
        await page.getByText("No downloads yet").waitFor();
        const line = page.locator(".kept-line");
        const one = await begun(b, { host, path: "one.bin" });
        assert.equal(await line.count(), 0, "nothing is kept");
        await page.getByRole("button", { name: "Cancel one.bin" }).click();
        await page.getByRole("button", { name: "Keep the data" }).click();
        await line.getByText(/^Kept of 1 cancelled download: \d+(\.\d+)? MB$/).waitFor();
        // What is cancelled elsewhere shows, too.
        const [two, three] = await keep(b, [
            { host, path: "two.bin" },
            { host, path: "three.bin", to: "elsewhere" },
        ]);
        await line.getByText(/^Kept of 3 cancelled downloads: /).click();

        await page.getByText("The next order of the same content goes on with them.").waitFor();
        await waitFor(async () => (await shownOn(page)).length === 3, { what: "three rows" });
        assert.deepEqual(await shownOn(page), [three, two, one], "the newest first");
        const row = (/** @type {number} */ id) => page.locator(`[data-kept="${id}"]`);
        const { done_bytes } = (await b.api("/kept")).json.kept.find((/** @type {any} */ k) => k.id === one);
        assert.match(await row(one).innerText(), /^one\.bin\s+\d+(\.\d+)? MB of 25\.2 MB · cancelled /);
        assert.ok(done_bytes > 0 && done_bytes < 24 * MiB, `${done_bytes}`);
        assert.match(await row(one).innerText(), new RegExp(`${(done_bytes / 1e6).toFixed(1)} MB of`));
        assert.match(await row(three).innerText(), /· elsewhere\/three\.bin$/);
        await assertAccessible(page, "what is kept");

        link.rate = 0;
        const next = await download(b, { host, path: "one.bin" });
        assert.equal(next.id, one, "it goes on as the same download");
        await row(one).waitFor({ state: "detached" });
        await waitState(b, one, "done");
        assert.equal(
            await sha256(join(b.downloadsDir, "one.bin")),
            await sha256(join(a.shareDir, "one.bin")),
        );

        assert.equal(onDisk(b, "two.bin").length, 1);
        await page.getByRole("button", { name: "Remove two.bin" }).click();
        const dialog = page.getByRole("dialog");
        await dialog.getByText("Remove what was kept of two.bin?").waitFor();
        await assertAccessible(page, "the question");
        await dialog.getByRole("button", { name: "Cancel" }).click();
        assert.deepEqual(await keptOf(b), [three, two], "nothing is removed without a yes");
        await page.getByRole("button", { name: "Remove two.bin" }).click();
        await dialog.getByRole("button", { name: "Remove", exact: true }).click();
        await page.getByText("Removed what was kept of two.bin").waitFor();
        await row(two).waitFor({ state: "detached" });
        assert.deepEqual(await keptOf(b), [three]);
        assert.deepEqual(onDisk(b, "two.bin"), []);
        assert.equal(onDisk(b, "three.bin").length, 1);
    });

    test(
        "is removed all at once, as far as that goes, in both languages",
        { timeout: 300_000 },
        async (t) => {
            const a = await sharing(t, "attic", FILES);
            const b = await startHostpair({ t, name: "own" });
            const { id: host } = await linked(t, b, a.peerPort, { rate: 6 * MiB, files: 3 });
            const [one, two] = await keep(b, [
                { host, path: "one.bin" },
                { host, path: "two.bin" },
            ]);
            const page = await openDashboard(t, b, "#/settings", { width: 390, expected: /\/kept\/\d+$/ });
            await page.getByRole("link", { name: "Kept data" }).click();
            await waitFor(async () => (await shownOn(page)).length === 2, { what: "two rows" });
            await page.route(`**/api/v1/kept/${one}`, (route) =>
                route.fulfill({
                    status: 500,
                    contentType: "application/problem+json",
                    json: {
                        type: "about:blank",
                        title: "Internal error",
                        status: 500,
                        code: "io",
                        detail: "The disk does not answer",
                    },
                }),
            );
            await page.getByRole("button", { name: "Remove all" }).click();
            const dialog = page.getByRole("dialog");
            await dialog.getByText("Remove what was kept of all 2 downloads?").waitFor();
            await dialog.getByRole("button", { name: "Remove all" }).click();
            await dialog.getByText("The disk does not answer").waitFor();
            await waitFor(async () => `${await shownOn(page)}` === `${one}`, {
                what: "the row that is left",
            });
            assert.deepEqual(await keptOf(b), [one]);
            await page.unroute(`**/api/v1/kept/${one}`);
            await dialog.getByRole("button", { name: "Cancel" }).click();

            await b.api("/settings", { method: "PATCH", json: { language: "zh-CN" } });
            await page.getByRole("heading", { name: "保留的数据" }).waitFor();
            await page.getByText("下次下载相同内容时会从这里继续").waitFor();
            await page.getByRole("button", { name: "全部移除" }).click();
            // It is gone already: that is what was wanted.
            assert.equal((await b.api(`/kept/${one}`, { method: "DELETE" })).status, 204);
            await dialog.getByRole("button", { name: "全部移除" }).click();
            await page.getByText("没有保留的数据").waitFor();
            assert.deepEqual(await keptOf(b), []);
            assert.deepEqual([...onDisk(b, "one.bin"), ...onDisk(b, "two.bin")], []);
            assert.ok(two > one);
            assert.equal(await page.getByRole("button", { name: "全部移除" }).count(), 0);
        },
    );
});

describe("dashboard: a second copy", { skip }, () => {
    after(closeBrowser);

    test("of what a host has and is here already", { timeout: 300_000 }, async (t) => {
        const a = await sharing(t, "attic", {
            "notes.txt": Buffer.from("as shared"),
            "plan.txt": Buffer.from("a plan"),
            "album/x.txt": Buffer.from("in a folder"),
        });
        const b = await startHostpair({ t, name: "own" });
        const { id: host } = await linked(t, b, a.peerPort, { files: 3 });
        for (const order of [{ path: "notes.txt" }, { folder: "album" }])
            await waitState(b, (await download(b, { host, ...order })).id, "done");
        const page = await openDashboard(t, b, `#/hosts/${host}`);
        const dialog = page.getByRole("dialog");
        const here = page.getByRole("button", { name: "Here" });
        const count = async () => (await b.api("/downloads")).json.downloads.length;

        await here.click();
        await dialog.getByRole("heading", { name: "notes.txt is already here" }).waitFor();
        await assertAccessible(page, "the choice of a second copy");
        await dialog.getByRole("button", { name: "Cancel" }).click();
        assert.equal(await count(), 2, "nothing is ordered without a yes");
        await here.click();
        await dialog.getByRole("button", { name: "Make a second copy" }).click();
        await page.getByText("Downloading notes (1).txt").waitFor();
        await waitFor(async () => onDisk(b, "notes (1).txt").length === 1, { what: "the copy" });
        assert.equal(readFileSync(join(b.downloadsDir, "notes (1).txt"), "utf8"), "as shared");

        await page.getByRole("button", { name: "Download album" }).click();
        await dialog.getByRole("heading", { name: "album is already here" }).waitFor();
        await dialog.getByRole("button", { name: "Make a second copy" }).click();
        await waitFor(async () => onDisk(b, "x.txt").length === 2, { what: "the copy of the folder" });
        assert.equal(readFileSync(join(b.downloadsDir, "album (1)/x.txt"), "utf8"), "in a folder");
        await waitFor(
            async () =>
                (await b.api("/downloads")).json.downloads.every(
                    (/** @type {any} */ d) => d.state === "done",
                ),
            { what: "all to be done" },
        );

        // Of several, what is new is ordered at once; the others are asked about.
        for (const name of ["notes.txt", "plan.txt"])
            await page.getByRole("checkbox", { name: `Select ${name}` }).check();
        await page.getByRole("button", { name: /^Download 2 / }).click();
        await dialog.getByRole("heading", { name: "notes (1).txt is already here" }).waitFor();
        await page.getByText("1 download started").waitFor();
        await waitFor(async () => onDisk(b, "plan.txt").length === 1, { what: "what was not here" });
        await dialog.getByRole("button", { name: "Cancel" }).click();
        await waitFor(async () => (await here.count()) === 2, { what: "both to be here" });

        await b.api("/settings", { method: "PATCH", json: { language: "zh-CN" } });
        for (const name of ["notes.txt", "plan.txt"]) await page.getByRole("checkbox", { name }).check();
        await page.getByRole("button", { name: /^下载 2 / }).click();
        await dialog.getByRole("heading", { name: "其中 2 个已经在本机" }).waitFor();
        await dialog.getByText(/(notes \(1\).txt, plan|plan.txt, notes).*的第二份/).waitFor();
        await dialog.getByRole("button", { name: "各再下载一份" }).click();
        for (const name of ["notes (2).txt", "plan (1).txt"])
            await waitFor(async () => onDisk(b, name).length === 1, { what: name });
    });

    test("of what a link to a host leads to", { timeout: 300_000 }, async (t) => {
        const a = await sharing(t, "attic", { "notes.txt": Buffer.from("as shared") });
        const b = await startHostpair({ t, name: "own" });
        const { link, id: host } = await linked(t, b, a.peerPort);
        await waitState(b, (await download(b, { host, path: "notes.txt" })).id, "done");
        const page = await openDashboard(t, b, "#/downloads");
        const dialog = page.getByRole("dialog");
        await page.getByRole("button", { name: "Add URL" }).click();
        await dialog.getByLabel("URL").fill(`http://127.0.0.1:${link.port}/notes.txt`);
        await dialog.getByRole("button", { name: "Download" }).click();
        await dialog.getByRole("heading", { name: "notes.txt is already here" }).waitFor();
        await dialog.getByRole("button", { name: "Make a second copy" }).click();
        await page.locator(".download").getByText("notes (1).txt").waitFor();
        await waitFor(async () => onDisk(b, "notes (1).txt").join() === "notes (1).txt", {
            what: "the copy",
        });
        assert.equal(readFileSync(join(b.downloadsDir, "notes (1).txt"), "utf8"), "as shared");
    });
});
