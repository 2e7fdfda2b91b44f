// @ts-check
// The list of downloads and the details of one, in a browser, with real hosts: what it is, what it waits for, where it
// came from, how it is removed from the list.

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
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
import { makeIdentity } from "./identities.mjs";
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
        const { link, id: host } = await linked(t, b, a.peerPort, { rate: MiB / 4, files: 2 });
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

    test("gives a web server what it asks for, and shows it never again", { timeout: 120_000 }, async (t) => {
        const bytes = makeBytes(50_000, 11);
        const login = `Basic ${Buffer.from("ann:s3cret/x").toString("base64")}`;
        /** @type {import("node:http").IncomingHttpHeaders[]} */
        const heads = [];
        const port = await listen(t, (req, res) => {
            heads.push(req.headers);
            if (req.headers.authorization === login) give(req, res, bytes);
            else res.writeHead(401, { "Content-Length": 0 }).end();
        });
        const b = await startHostpair({ t, name: "workbench" });
        const page = await openDashboard(t, b, "#/downloads", {
            width: 390,
            expected: /\/api\/v1\/downloads$/,
        });
        const dialog = page.getByRole("dialog");
        const field = (/** @type {string} */ label) =>
            dialog.locator(".field", { has: page.getByLabel(label, { exact: true }) });
        const says = async (/** @type {string} */ label, /** @type {RegExp} */ text) => {
            await dialog.getByRole("button", { name: "Download" }).click();
            await field(label).locator(".error").getByText(text).waitFor();
            assert.equal(await dialog.locator(".error").count(), 1);
        };
        const fill = (/** @type {string} */ label, /** @type {string} */ text) =>
            dialog.getByLabel(label, { exact: true }).fill(text);
        await page.getByRole("button", { name: "Add URL" }).click();
        await dialog.getByLabel("URL").waitFor();
        assert.equal(await dialog.getByLabel("Password").isVisible(), false, "it is folded");
        await fill("URL", `gopher://127.0.0.1:${port}/report.bin`);
        await says("URL", /^Only http:\/\/ and https:\/\//);
        await fill("URL", `http://127.0.0.1:${port}/report.bin`);
        await dialog.getByText("What the server asks for").click();
        await fill("Password", "s3cret/x");
        await says("User name", /^A password needs a user name\.$/);
        await fill("User name", "ann");
        await fill("Header lines", "X-One: 1\n\nno colon");
        await says("Header lines", /^Line 3 is not of the form Name: value\.$/);
        await fill("Header lines", "X-One: 1\nx-one: 2");
        await says("Header lines", /^x-one is there twice\.$/);
        // What follows is said by the server.
        await fill("Header lines", "Host: example.org");
        await says("Header lines", /Host is sent by hostpair itself/);
        await fill("Header lines", "X-One: 1\n\n X-Two:  a: b \n");
        const print = "SHA-256 fingerprint of its certificate";
        await fill(print, "12:34");
        await dialog.getByText("What the server asks for").click();
        await says(print, /64 hex digits/);
        assert.ok(await dialog.getByLabel(print).isVisible(), "an objection is not folded away");
        await assertAccessible(page, "what a server asks for");
        await fill(print, "ab".repeat(32));
        await says(print, /https/);
        await fill(print, "");
        assert.equal(heads.length, 0, "nothing was ordered so far");
        await dialog.getByRole("button", { name: "Download" }).click();
        await page.locator('[data-details][data-state="done"]').waitFor();
        const [d] = (await b.api("/downloads")).json.downloads;
        await assertFile(b, d, sha256Of(bytes));
        const last = heads.at(-1);
        assert.deepEqual([last?.authorization, last?.["x-one"], last?.["x-two"]], [login, "1", "a: b"]);

        const secrets = ["s3cret", "X-Two", "ann:"];
        const told = `${await page.content()} ${(await b.api("/downloads")).text}`;
        for (const secret of secrets) assert.ok(!told.includes(secret), secret);
        await page.keyboard.press("u");
        await dialog.getByText("What the server asks for").click();
        for (const label of ["URL", "User name", "Password", "Header lines", print])
            assert.equal(await dialog.getByLabel(label, { exact: true }).inputValue(), "", label);
        const stored = await page.evaluate(() =>
            JSON.stringify([{ ...localStorage }, { ...sessionStorage }]),
        );
        for (const secret of secrets) assert.ok(!stored.includes(secret), stored);
        await b.api("/settings", { method: "PATCH", json: { language: "zh-CN" } });
        await dialog.getByText("服务器的要求").waitFor();
        await dialog.getByText("只发送给这台服务器，之后不再显示。").waitFor();
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

    test("shows the certificate that is not trusted, and has it trusted by a click", async (t) => {
        const bytes = makeBytes(2 * MiB, 12);
        const { key, cert } = makeIdentity();
        let asked = 0;
        const port = await listen(
            t,
            (req, res) => {
                asked++;
                give(req, res, bytes);
            },
            { key, cert },
        );
        const b = await startHostpair({ t, name: "workbench" });
        const page = await openDashboard(t, b, "#/downloads");
        const dialog = page.getByRole("dialog");
        await page.getByRole("button", { name: "Add URL" }).click();
        await dialog.getByLabel("URL", { exact: true }).fill(`https://127.0.0.1:${port}/report.bin`);
        await dialog.getByRole("button", { name: "Download" }).click();
        const details = page.locator("[data-details]");
        await page.locator('[data-details][data-state="failed"]').waitFor();
        const { fingerprint256 } = new X509Certificate(cert);
        await details.locator("[data-certificate]").getByText(fingerprint256, { exact: true }).waitFor();
        await assertAccessible(page, "a certificate that is not trusted");
        await details.getByRole("button", { name: "Try again", exact: true }).click();
        await waitFor(
            async () => b.stderr().split(fingerprint256.replaceAll(":", "").toLowerCase()).length > 3,
            {
                what: "the second failure",
                detail: () => b.stderr(),
            },
        );
        await page.locator('[data-details][data-state="failed"]').waitFor();
        assert.equal(asked, 0, "trying again trusts nothing");
        await details.getByRole("button", { name: "Trust this certificate" }).click();
        await page.locator('[data-details][data-state="done"]').waitFor();
        assert.equal(await page.locator("[data-certificate]").count(), 0);
        const [d] = (await b.api("/downloads")).json.downloads;
        await assertFile(b, d, sha256Of(bytes));
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
