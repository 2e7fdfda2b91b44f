// @ts-check
// The list of downloads and the details of one, in a browser, with real hosts: what it is, what it waits for, where it
// came from, how it is removed from the list.

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";

import { assertAccessible, closeBrowser, openDashboard, skip } from "./browser.mjs";
import {
    MiB,
    download,
    freePort,
    makeBytes,
    sha256Of,
    startHostpair,
    waitFor,
    waitState,
} from "./harness.mjs";
import { linked, sharing } from "./hosts.mjs";
import { assertFile, give, listen } from "./web.mjs";

/** @param {import("playwright-core").Page} page @param {number} id */
const rowOf = (page, id) => page.locator(`[data-download="${id}"]`);

describe("dashboard: downloads", { skip }, () => {
    after(closeBrowser);

    test("tells a folder from a file, also one that holds one file", async (t) => {
        const a = await sharing(t, "studio", {
            "album/only.bin": { size: MiB, seed: 1 },
            "single.bin": { size: MiB, seed: 2 },
        });
        const b = await startHostpair({ t, name: "workbench" });
        const { id: host } = await linked(t, b, a.peerPort, { files: 2 });
        const folder = await download(b, { host, folder: "album" });
        const file = await download(b, { host, path: "single.bin" });
        for (const { id } of [folder, file]) await waitState(b, id, "done");
        const page = await openDashboard(t, b, "#/downloads");
        await rowOf(page, folder.id).locator(".icon-folder").waitFor();
        await rowOf(page, file.id).locator(".icon-file").waitFor();
        await rowOf(page, folder.id).getByText("1 file", { exact: false }).waitFor();
        const save = { name: /from the browser/ };
        assert.equal(await rowOf(page, file.id).getByRole("link", save).count(), 1);
        assert.equal(await rowOf(page, folder.id).getByRole("link", save).count(), 0, "a folder is no file");
    });

    test("shows how far a folder is where it was ordered, and lets it be ordered again when it is here", async (t) => {
        const a = await sharing(t, "studio", {
            "album/one.bin": { size: 4 * MiB, seed: 3 },
            "album/two.bin": { size: 4 * MiB, seed: 4 },
        });
        const b = await startHostpair({ t, name: "workbench" });
        const { link, id: host } = await linked(t, b, a.peerPort, { rate: MiB, files: 2 });
        const page = await openDashboard(t, b, `#/hosts/${host}`);
        const order = page.getByRole("button", { name: "Download album" });
        await order.click();
        await page.locator('[data-row="0"] .file-state.busy').waitFor();
        assert.equal(await order.count(), 0, "a second click orders no second folder");
        link.rate = 0;
        await order.waitFor();
        const [{ state, name }] = (await b.api("/downloads")).json.downloads;
        assert.deepEqual([name, state], ["album", "done"]);
    });

    test("says who gave how much of what was finished, also after a restart", async (t) => {
        const size = 64 * MiB;
        const b = await startHostpair({ t, name: "workbench" });
        const hosts = [];
        for (const [seed, name] of ["studio", "attic"].entries()) {
            const a = await sharing(t, name, {
                "film.bin": { size, seed: 5 },
                [`${name}.bin`]: { size: 3 * MiB, seed: 6 + seed },
            });
            hosts.push((await linked(t, b, a.peerPort, { rate: 24 * MiB, files: 2 })).id);
        }
        const film = await download(b, { host: hosts[0], path: "film.bin" });
        await waitState(b, film.id, "done");
        const alone = await download(b, { host: hosts[0], path: "studio.bin" });
        await waitState(b, alone.id, "done");
        await b.restart();

        const page = await openDashboard(t, b, `#/downloads/${film.id}`);
        const given = page.locator(".given");
        await given.getByRole("heading", { name: "Where it came from" }).waitFor();
        const { sources } = (await b.api(`/downloads/${film.id}/sources`)).json;
        assert.equal(sources.length, 2);
        const lines = await given.locator("li").allInnerTexts();
        assert.equal(lines.length, 2);
        for (const [i, { host, bytes }] of sources.entries()) {
            const name = host === hosts[0] ? "studio" : "attic";
            assert.match(lines[i] ?? "", new RegExp(`^${name}\\s+\\d+ %\\s+${(bytes / 1e6).toFixed(1)} MB$`));
        }
        const widths = await given
            .locator(".given-bar span")
            .evaluateAll((parts) => parts.map((part) => part.getBoundingClientRect().width));
        assert.ok(widths[0] >= widths[1], `${widths}`);
        await assertAccessible(page, "the details of a finished download");
        await page.evaluate((id) => (location.hash = `#/downloads/${id}`), alone.id);
        await given.getByText("All of it from studio.", { exact: true }).waitFor();
    });

    test("says what it waits for in one word, and counts it apart", async (t) => {
        const a = await sharing(t, "studio", { "far.bin": { size: 8 * MiB, seed: 8 } });
        const b = await startHostpair({ t, name: "workbench" });
        const { id: host } = await linked(t, b, a.peerPort, { files: 1 });
        await a.kill9();
        const { id } = await download(b, { host, path: "far.bin" });
        const page = await openDashboard(t, b, "#/downloads");
        const state = rowOf(page, id).locator(".state");
        await waitFor(async () => (await state.innerText()) === "Waiting for studio", {
            what: "the state",
            timeout: 30_000,
            detail: () => rowOf(page, id).innerText(),
        });
        await waitFor(async () => /^1 waiting$/.test(await page.locator(".view-head p").innerText()), {
            what: "the count",
        });
    });

    test("removes what failed from the list without a question, for nothing is there", async (t) => {
        const a = await sharing(t, "studio", { "there.bin": { size: MiB, seed: 9 } });
        const b = await startHostpair({ t, name: "workbench" });
        const { id: host } = await linked(t, b, a.peerPort, { files: 1 });
        const { id } = await download(b, { host, path: "never was.bin" });
        await waitState(b, id, "failed");
        const page = await openDashboard(t, b, "#/downloads");
        await rowOf(page, id).getByRole("button", { name: "Remove never was.bin from the list" }).click();
        await page.getByText("No downloads yet").waitFor();
        assert.equal(await page.locator("dialog").count(), 0);
        assert.equal(await page.getByRole("button", { name: "Pause all" }).count(), 0, "nothing to pause");
        assert.equal((await b.api(`/downloads/${id}`)).status, 404);
    });

    test("takes another address of a file whose link has expired", async (t) => {
        const bytes = makeBytes(2 * MiB, 10);
        const port = await listen(t, (req, res) => {
            if (req.url?.endsWith("key=new")) give(req, res, bytes);
            else res.writeHead(403, { "Content-Length": 0 }).end();
        });
        const b = await startHostpair({ t, name: "workbench" });
        const { id } = await download(b, { url: `http://127.0.0.1:${port}/f.bin?key=old` });
        await waitState(b, id, "failed");
        const page = await openDashboard(t, b, `#/downloads/${id}`);
        await page.getByText("HTTP 403").first().waitFor();
        await page.getByLabel("Another address of the file").fill(` http://127.0.0.1:${port}/f.bin?key=new`);
        await page.getByRole("button", { name: "Go on there" }).click();
        await assertFile(b, await waitState(b, id, "done"), sha256Of(bytes));
    });

    test("says why a web server is waited for", async (t) => {
        const b = await startHostpair({ t, name: "workbench" });
        const port = await freePort();
        await download(b, { url: `http://127.0.0.1:${port}/f.bin` });
        const page = await openDashboard(t, b, "#/downloads");
        await page
            .getByText(/Waiting for http:\/\/127\.0\.0\.1:\d+: .*refused/)
            .first()
            .waitFor();
    });

    test("closes a dialog when the browser goes back", async (t) => {
        const b = await startHostpair({ t, name: "workbench" });
        const page = await openDashboard(t, b, "#/hosts");
        await page.getByText("No other hosts yet").waitFor();
        await page.evaluate(() => (location.hash = "#/downloads"));
        await page.getByRole("button", { name: "Add URL" }).click();
        await page.locator("dialog").waitFor();
        await page.goBack();
        await page.getByText("No other hosts yet").waitFor();
        await page.locator("dialog").waitFor({ state: "detached" });
    });
});
