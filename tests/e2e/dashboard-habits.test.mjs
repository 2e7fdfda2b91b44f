// @ts-check
// What people stumble over when they use the dashboard for a while: where a view is scrolled to, what a notice covers,
// long lists, mistyped settings, searches by several words, hosts that are gone.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, describe, test } from "node:test";

import { assertAccessible, closeBrowser, openDashboard, skip } from "./browser.mjs";
import { addHost, download, startHostpair, tempDir, waitFor, waitState } from "./harness.mjs";

/** @typedef {import("playwright-core").Page} Page */

/** @param {Page} page */
const place = (page) => page.evaluate(() => Math.round(scrollY));

/**
 * Whether the page is scrolled to a place, give or take a row: where a line above the files appears late, the browser
 * keeps the files where they are on the screen.
 * @param {import("playwright-core").Page} page @param {number} at
 */
const isNear = async (page, at) => Math.abs((await place(page)) - at) <= 48;

/**
 * A host with these files, each of one byte unless it is given.
 * @param {import("node:test").TestContext} t @param {string} name @param {string[]} files
 */
async function sharing(t, name, files) {
    const share = tempDir(t);
    for (const file of files) {
        await mkdir(join(share, file, ".."), { recursive: true });
        await writeFile(join(share, file), file);
    }
    const host = await startHostpair({ t, name, share });
    await waitFor(async () => (await host.api("/status")).json.share.files === files.length, {
        what: `${files.length} shared files`,
    });
    return host;
}

/** Points of the page where a click would not reach the button, link or box that is drawn there. @param {Page} page */
const covered = (page) =>
    page.evaluate(() =>
        [
            ...document.querySelectorAll(
                "main button, main a, main input, .nav a, .nav button, .identity button",
            ),
        ]
            .filter((one) => {
                const { left, top, width, height } = one.getBoundingClientRect();
                const [x, y] = [left + width / 2, top + height / 2];
                if (width === 0 || x < 0 || y < 0 || x > innerWidth || y > innerHeight) return false;
                return document.elementFromPoint(x, y)?.closest(".notices") !== null;
            })
            .map((one) => one.outerHTML.slice(0, 120)),
    );

describe("dashboard habits", { skip }, () => {
    after(closeBrowser);

    test("starts a view at its top, and finds the old place when a person goes back", async (t) => {
        const files = Array.from({ length: 120 }, (_, i) => `file ${String(i).padStart(3, "0")}.bin`);
        const a = await sharing(t, "studio", [...files, "zoo/lion.txt"]);
        const b = await startHostpair({ t, name: "workbench" });
        const host = await addHost(b, a.peerPort);
        const page = await openDashboard(t, b, `#/hosts/${host.id}`);
        await page.getByText("file 003.bin").waitFor();
        await page.evaluate(() => scrollTo(0, 2000));
        await page.getByText("file 045.bin").waitFor();
        await page.getByRole("link", { name: "Settings" }).click();
        await page.getByRole("textbox", { name: "Name", exact: true }).waitFor();
        await waitFor(async () => (await place(page)) === 0, { what: "the top of the settings" });
        await page.goBack();
        await waitFor(() => isNear(page, 2000), { what: "the place in the files" });
        await page.getByText("file 045.bin").waitFor();
        await page.goForward();
        await page.getByRole("textbox", { name: "Name", exact: true }).waitFor();
        await waitFor(async () => (await place(page)) === 0, { what: "the top of the settings again" });
        await page.goBack();
        await waitFor(() => isNear(page, 2000), { what: "the place in the files again" });
        await page.reload();
        await waitFor(() => isNear(page, 2000), { what: "the place after a reload" });
    });

    test("keeps its place in the downloads while one is looked at beside them", async (t) => {
        const names = Array.from({ length: 40 }, (_, i) => `one ${i}.bin`);
        const a = await sharing(t, "studio", names);
        const b = await startHostpair({ t, name: "workbench" });
        const host = await addHost(b, a.peerPort);
        for (const path of names) await download(b, { host: host.id, path });
        const page = await openDashboard(t, b, "#/downloads");
        await page.getByText("one 39.bin").waitFor();
        await page.evaluate(() => scrollTo(0, 900));
        await page.getByRole("link", { name: "one 22.bin", exact: true }).click();
        await page.getByRole("heading", { name: "one 22.bin" }).waitFor();
        assert.equal(await place(page), 900);
    });

    for (const [width, height] of [
        [1280, 800],
        [900, 700],
        [390, 800],
    ])
        test(`covers no button with notices, ${width} pixels wide`, async (t) => {
            const b = await startHostpair({ t, name: "workbench" });
            const page = await openDashboard(t, b, "#/settings", {
                width,
                height,
                permissions: ["clipboard-write"],
            });
            const folder = page.getByRole("textbox", { name: "Shared folder" });
            await folder.waitFor();
            const name = page.getByRole("textbox", { name: "Name", exact: true });
            await name.fill("a host with a longer name");
            await name.press("Enter");
            const notice = page.locator(".notice").getByText("Saved");
            await notice.waitFor();
            if (width > 1040) assert.deepEqual(await covered(page), []);
            // Where there is no room beside the view, the view ends above the notice.
            await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
            await waitFor(async () => (await covered(page)).length === 0, {
                what: "nothing below the notice",
            });
            assert.ok(await notice.isVisible(), "the notice is still there");
            const { x, width: wide } = (await page.locator(".notice").boundingBox()) ?? { x: -1, width: 0 };
            assert.ok(x >= 0 && x + wide <= width, `the notice is within the window: ${x} + ${wide}`);
        });

    test("removes all finished downloads by one request", async (t) => {
        const names = Array.from({ length: 300 }, (_, i) => `n${i}.txt`);
        const a = await sharing(t, "studio", names);
        const b = await startHostpair({ t, name: "workbench" });
        const host = await addHost(b, a.peerPort);
        for (const path of names) await download(b, { host: host.id, path });
        await waitFor(
            async () =>
                (await b.api("/downloads")).json.downloads.every(
                    (/** @type {any} */ d) => d.state === "done",
                ),
            { what: "all to be done", timeout: 60_000 },
        );
        await download(b, { url: `http://127.0.0.1:${b.peerPort}/files/not-there.txt` });
        const page = await openDashboard(t, b, "#/downloads");
        /** @type {string[]} */
        const asked = [];
        page.on("request", (one) => {
            if (one.method() === "DELETE")
                asked.push(new URL(one.url()).pathname + new URL(one.url()).search);
        });
        await page.getByRole("button", { name: "More actions", exact: true }).click();
        await page.getByRole("menuitem", { name: "Remove 300 finished from the list" }).click();
        await page.getByText("300 finished downloads were removed from the list.").waitFor();
        assert.deepEqual(asked, ["/api/v1/downloads?state=finished"]);
        const left = (await b.api("/downloads")).json.downloads;
        assert.deepEqual(
            left.map((/** @type {any} */ one) => one.name),
            ["not-there.txt"],
        );
        assert.equal(await page.locator(".download").count(), 1);
        assert.equal((await b.api("/downloads", { method: "DELETE" })).status, 422);
        assert.equal((await b.api("/downloads?state=all", { method: "DELETE" })).status, 422);
    });

    test("finds folders, and words in any order, and more than the first 200", async (t) => {
        const many = Array.from({ length: 450 }, (_, i) => `many/leaf ${i}.txt`);
        const a = await sharing(t, "studio", [
            ...many,
            "Lofoten 2026/day one/boat.jpg",
            "notes on boats.txt",
        ]);
        const b = await startHostpair({ t, name: "workbench" });
        const host = await addHost(b, a.peerPort);
        await waitFor(async () => (await b.api(`/hosts/${host.id}`)).json.listed, { what: "the list" });
        const page = await openDashboard(t, b, "#/search/boat%20lofoten");
        await page.locator(".results li").getByText("boat.jpg").waitFor();
        assert.equal(await page.locator(".results li").count(), 1);
        await assertAccessible(page, "search results");
        await page.goto(`${b.dashboardUrl}/#/search/${encodeURIComponent("2026 lofoten")}`);
        await page.locator(".results").getByRole("link", { name: "Lofoten 2026" }).click();
        await page.getByRole("link", { name: "day one" }).waitFor();
        await page.goto(`${b.dashboardUrl}/#/search/leaf`);
        await waitFor(async () => (await page.locator(".results li").count()) === 200, {
            what: "200 results",
        });
        await page.getByRole("button", { name: "Show more" }).click();
        await waitFor(async () => (await page.locator(".results li").count()) === 450, {
            what: "all results",
        });
        assert.equal(await page.getByRole("button", { name: "Show more" }).count(), 0);
    });

    test("objects to a setting only for as long as it is wrong", async (t) => {
        const b = await startHostpair({ t, name: "workbench" });
        const page = await openDashboard(t, b, "#/settings", { expected: /\/settings$/ });
        const error = page.locator(".field .error");
        for (const [label, wrong, right, sentence] of [
            ["Downloads at the same time", "-3", "3", "Give a whole number from 1 to 100."],
            ["Downloads at the same time", "two", "3", "Give a whole number from 1 to 100."],
            ["Receive at most, MB a second", "-3", "0", "Give a number of at least 0, such as 2.5."],
            ["Name", "", "workbench", "This must have 1 to 255 bytes"],
        ]) {
            const field = page.getByRole("textbox", { name: label, exact: true });
            await field.fill(wrong);
            await field.press("Enter");
            await error.getByText(sentence).waitFor();
            assert.equal(await field.inputValue(), wrong, "what was typed stays");
            await field.fill(right);
            await error.waitFor({ state: "detached" });
        }
        const limit = page.getByRole("textbox", { name: "Receive at most, MB a second" });
        await limit.fill("2,5");
        await limit.blur();
        await page.getByText("2.5 MB/s now; 0 is no limit.").waitFor();
        assert.equal((await b.api("/settings")).json.down_limit_bps, 2_500_000);
    });

    test("says of several files that they are deleted", async (t) => {
        const b = await startHostpair({ t, name: "workbench" });
        for (const name of ["one.txt", "two.txt"]) writeFileSync(join(b.shareDir, name), name);
        const page = await openDashboard(t, b, "#/share");
        await page.getByText("two.txt").waitFor();
        await page.getByRole("checkbox", { name: "Select one.txt" }).check();
        await page.getByRole("checkbox", { name: "Select two.txt" }).check();
        await page.getByRole("group", { name: "Selection" }).getByRole("button", { name: "Delete" }).click();
        const dialog = page.getByRole("dialog", { name: "Delete 2 files?" });
        await dialog.getByText("They are deleted from the disk of this host").waitFor();
    });

    test("says in words that the disk is full", async (t) => {
        const a = await sharing(t, "studio", ["film.bin"]);
        const b = await startHostpair({ t, name: "workbench" });
        const host = await addHost(b, a.peerPort);
        const { id } = await download(b, { host: host.id, path: "film.bin" });
        const done = await waitState(b, id, "done");
        const error = { code: "no-space", detail: "Writing film.bin: no space left on device" };
        const page = await openDashboard(t, b, "#/downloads", {
            prepare: (opened) =>
                opened.route("**/api/v1/downloads", (route) =>
                    route.fulfill({
                        json: { downloads: [{ ...done, state: "paused", done_bytes: 0, error }] },
                    }),
                ),
        });
        await page.getByText("The disk is full (Writing film.bin: no space left on device)").waitFor();
    });

    test("folds hosts that are offline away, with when each was seen", async (t) => {
        const a = await sharing(t, "studio", ["film.bin"]);
        const c = await sharing(t, "attic", ["old.bin"]);
        const b = await startHostpair({ t, name: "workbench" });
        await addHost(b, a.peerPort);
        const gone = await addHost(b, c.peerPort);
        const page = await openDashboard(t, b, "#/hosts");
        await page.locator(".card.host").getByText("attic").waitFor();
        await c.stop();
        // Somebody wants something of it, and it does not answer.
        await download(b, { host: gone.id, path: "old.bin" });
        const summary = page.getByText("1 host offline");
        await summary.waitFor({ timeout: 60_000 });
        assert.equal(await page.locator(".card.host").count(), 1);
        const line = page.locator(`.offline-hosts [data-host="${gone.id}"]`);
        assert.equal(await line.isVisible(), false, "folded away");
        await summary.click();
        await line.getByText("Last seen: just now").waitFor();
        await assertAccessible(page, "hosts with one that is offline");
        await line.getByRole("link", { name: "attic" }).click();
        await page.getByText("attic is offline").waitFor();
        await page.getByText("old.bin").waitFor();
        await page.getByRole("button", { name: "More actions for attic" }).click();
        await page.getByRole("menuitem", { name: "Copy address" }).waitFor();
        const archive = page.getByRole("menuitem", { name: "Get this folder as zip" });
        assert.equal(await archive.count(), 0, "a host that is away has nothing to hand out");
    });
});
