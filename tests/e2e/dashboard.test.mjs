// @ts-check
// The dashboard's main job, in a browser, with real hosts: find a host, look at its files, download, pause, resume.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, describe, test } from "node:test";

import { assertAccessible, closeBrowser, openDashboard, skip } from "./browser.mjs";
import {
    MiB,
    addHost,
    download,
    freePort,
    getDownload,
    makeFile,
    pathOf,
    request,
    sha256,
    startHostpair,
    tempDir,
    waitFor,
    waitState,
} from "./harness.mjs";
import { startLink } from "./link.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */
/** @typedef {import("playwright-core").Page} Page */

/**
 * Waits until an element's text is as wanted, and shows both when it never is.
 * @param {import("playwright-core").Locator} locator
 * @param {RegExp} wanted
 */
async function reads(locator, wanted) {
    await waitFor(
        async () => {
            const text = await locator.innerText();
            if (!wanted.test(text)) throw new Error(`${wanted} does not match: ${text}`);
            return true;
        },
        { what: "a text", timeout: 30_000 },
    );
}

/**
 * A host that shares these files; resolves when they are hashed.
 * @param {import("node:test").TestContext} t
 * @param {string} name
 * @param {Record<string, number>} files sizes by path
 */
async function sharing(t, name, files) {
    const share = tempDir(t);
    for (const [seed, [path, size]] of Object.entries(files).entries())
        await makeFile(join(share, path), size, seed + 1);
    const host = await startHostpair({ t, name, share });
    await waitFor(
        async () => {
            const { share } = (await host.api("/status")).json;
            return share.files === Object.keys(files).length && share.hashed_bytes === share.bytes;
        },
        { what: "all files shared and hashed", timeout: 30_000 },
    );
    return host;
}

describe("dashboard", { skip }, () => {
    after(closeBrowser);

    test("adds a host by its address, shows its files and downloads one", async (t) => {
        const a = await sharing(t, "studio", { "Photos/2024/coast.bin": 24 * MiB, "notes.txt": 6 });
        const b = await startHostpair({ t, name: "workbench" });
        const page = await openDashboard(t, b);

        await page.getByText("No other hosts yet").waitFor();
        await page.getByRole("button", { name: "Add host" }).first().click();
        await page.getByLabel("Address").fill(`127.0.0.1:${a.peerPort}`);
        await page.getByRole("button", { name: "Add", exact: true }).click();
        const card = page.locator(".card.host");
        await reads(card, /studio[\s\S]*online[\s\S]*2 files/);
        await reads(card, new RegExp(`127\\.0\\.0\\.1:${a.peerPort}`));

        await page.getByRole("link", { name: "studio" }).click();
        await page.getByRole("link", { name: "Photos" }).click();
        await page.getByRole("link", { name: "2024" }).click();
        await reads(page.locator("h1"), /^2024$/);
        await page.getByRole("button", { name: "Download coast.bin" }).click();
        await page.locator(".file-state.here").waitFor({ timeout: 30_000 });
        await page.getByText("coast.bin is here").waitFor();

        await page
            .getByRole("navigation", { name: "Views" })
            .getByRole("link", { name: /Downloads/ })
            .click();
        await reads(
            page.locator('[data-download][data-state="done"]'),
            /coast\.bin[\s\S]*Verified[\s\S]*Done[\s\S]*25\.2 MB/,
        );
        const [done] = (await b.api("/downloads")).json.downloads;
        assert.equal(await sha256(pathOf(b, done)), await sha256(join(a.shareDir, "Photos/2024/coast.bin")));
    });

    test("shows the server's sentence for an address that is none, and for one where nobody answers", async (t) => {
        const b = await startHostpair({ t });
        const page = await openDashboard(t, b, "#/hosts", { expected: /\/api\/v1\/hosts$/ });
        await page.getByText("No other hosts yet").waitFor();
        await page.keyboard.press("a");
        const dead = `127.0.0.1:${await freePort()}`;
        for (const address of ["not an address", dead]) {
            const reply = await b.api("/hosts", { json: { address } });
            assert.ok(reply.status === 422 || reply.status === 502, `${address}: ${reply.status}`);
            await page.getByLabel("Address").fill(address);
            await page.getByRole("button", { name: "Add", exact: true }).click();
            const sentence = reply.json.detail.replace(/^address: /, "");
            await page.locator(".field .error").getByText(sentence, { exact: true }).waitFor();
        }
        await page.keyboard.press("Escape");
        assert.equal(await page.locator("dialog").count(), 0);
    });

    test("pauses a download and resumes it where it stopped", async (t) => {
        const a = await sharing(t, "studio", { "big.bin": 24 * MiB });
        // Slow enough that a busy machine finds it running at each step: the rate is lifted once it is paused.
        const link = await startLink({ t, to: a.peerPort, rate: MiB });
        const b = await startHostpair({ t, name: "workbench" });
        const host = await addHost(b, link.port);
        const page = await openDashboard(t, b, `#/hosts/${host.id}`);

        await page.getByRole("button", { name: "Download big.bin" }).click();
        await page.getByRole("status").getByRole("button", { name: "Show" }).waitFor();
        const paints = await page.locator(".file-state.busy").evaluate(
            (element) =>
                new Promise((done) => {
                    let count = 0;
                    new MutationObserver(() => count++).observe(element, {
                        characterData: true,
                        subtree: true,
                    });
                    setTimeout(() => done(count), 1500);
                }),
        );
        assert.ok(paints <= 7, `${paints} repaints of one row in 1.5 s`);
        // The notice may have gone meanwhile; the row's own link stays.
        await page.locator(".file-state.busy").click();
        const details = page.locator("[data-details]");
        await details.waitFor();
        await page.locator(".chunk-map").waitFor();
        await waitFor(async () => (await getDownload(b, 1)).done_bytes > 3 * MiB, {
            what: "3 MiB",
            timeout: 30_000,
        });
        await details.getByRole("button", { name: "Pause", exact: true }).click();
        await page.locator('[data-details][data-state="paused"]').waitFor();
        const paused = await getDownload(b, 1);
        assert.equal(paused.state, "paused");
        assert.ok(paused.done_bytes > 0 && paused.done_bytes < 24 * MiB, `${paused.done_bytes} bytes`);
        await reads(page.locator("[data-details] .state").first(), /Paused/);

        link.rate = 0;
        await details.getByRole("button", { name: "Resume", exact: true }).click();
        await page.locator('[data-details][data-state="done"]').waitFor({ timeout: 30_000 });
        assert.equal(await sha256(pathOf(b, paused)), await sha256(join(a.shareDir, "big.bin")));
    });

    test("hands out a folder of a host as one file", async (t) => {
        const a = await sharing(t, "studio", { "trip/day 1/ü.txt": 1000, "other.txt": 10 });
        const b = await startHostpair({ t, name: "workbench" });
        const host = await addHost(b, a.peerPort);
        const page = await openDashboard(t, b, `#/hosts/${host.id}/trip/day 1`);
        await page.getByText("ü.txt").waitFor();
        await page.getByRole("button", { name: "More actions for studio" }).click();
        const link = page.getByRole("menuitem", { name: "Get this folder as zip" });
        await waitFor(() => link.evaluate((element) => element === document.activeElement), {
            what: "the focus",
        });
        await assertAccessible(page, "the menu of a host's folder");
        // The browser opens it beside the page, which closes by itself when a download comes.
        assert.equal(await link.getAttribute("target"), "_blank");
        const url = await link.getAttribute("href");
        assert.equal(url, `${a.peerUrl}/files/trip/day%201/?archive=zip`);
        const { status, headers, body } = await request(url);
        assert.equal(status, 200);
        assert.match(String(headers["content-disposition"]), /^attachment; filename="day 1\.zip"/);
        assert.ok(body.includes("ü.txt") && !body.includes("other.txt"));
    });

    test("hands out what is selected as one file, of another host and of its own", async (t) => {
        const files = { "trip/day 1/ü.txt": 1000, "trip/a+b.txt": 10, "trip/left.txt": 10 };
        const a = await sharing(t, "studio", files);
        const b = await sharing(t, "workbench", files);
        const host = await addHost(b, a.peerPort);
        for (const [at, from] of /** @type {[string, import("./harness.mjs").Hostpair][]} */ ([
            [`#/hosts/${host.id}/trip`, a],
            ["#/share/trip", b],
        ])) {
            const page = await openDashboard(t, b, at);
            await page.getByText("a+b.txt").waitFor();
            for (const name of ["day 1", "a+b.txt"])
                await page.getByRole("checkbox", { name: new RegExp(name.replace("+", "\\+")) }).check();
            const link = page.getByRole("link", { name: "Selection: zip" });
            await link.waitFor();
            await assertAccessible(page, `what is selected at ${at}`);
            const url = new URL(String(await link.getAttribute("href")));
            assert.equal(url.pathname, "/files/trip/");
            assert.deepEqual(url.searchParams.getAll("name").sort(), ["a+b.txt", "day 1"]);
            const { status, body } = await from.peer(url.pathname + url.search);
            assert.equal(status, 200);
            assert.ok(body.includes("ü.txt") && body.includes("a+b.txt") && !body.includes("left.txt"));
        }
    });

    test("shows no state that is over: a click hits the button that is meant", async (t) => {
        const a = await sharing(t, "studio", { "big.bin": 24 * MiB });
        const b = await startHostpair({ t, name: "workbench" });
        const host = await addHost(b, a.peerPort);
        const { id } = await download(b, { host: host.id, path: "big.bin", limit_bps: MiB });
        const page = await openDashboard(t, b, `#/downloads/${id}`);
        const details = page.locator("[data-details]");
        await details.waitFor();
        await details.evaluate((element) => {
            /** @type {(string | null)[]} */
            const seen = [];
            Object.assign(window, { seen });
            new MutationObserver(() => seen.push(element.getAttribute("data-state"))).observe(element, {
                attributeFilter: ["data-state"],
            });
        });
        for (let i = 0; i < 12; i++) {
            for (const [button, state] of [
                ["Pause", "paused"],
                ["Resume", "running"],
            ]) {
                await details.getByRole("button", { name: button, exact: true }).click();
                await page.locator(`[data-details][data-state="${state}"]`).waitFor();
            }
            // Events of the running download come and wait for their turn, at another moment each time.
            await page.waitForTimeout(300 + 20 * i);
        }
        const seen = await page.evaluate(() => /** @type {any} */ (window).seen);
        const changes = seen.filter((/** @type {string} */ state) => state !== "queued").join(" ");
        assert.equal(changes, Array(12).fill("paused running").join(" "));
    });

    test("pauses all and resumes all, and cancels one with its data", async (t) => {
        const a = await sharing(t, "studio", { "one.bin": 16 * MiB, "two.bin": 16 * MiB });
        const link = await startLink({ t, to: a.peerPort, rate: 2 * MiB });
        const b = await startHostpair({ t, name: "workbench" });
        const host = await addHost(b, link.port);
        const one = await download(b, { host: host.id, path: "one.bin" });
        const two = await download(b, { host: host.id, path: "two.bin" });
        const page = await openDashboard(t, b, "#/downloads");
        await page.locator('[data-state="running"]').first().waitFor();
        await page.getByRole("button", { name: "Pause all" }).click();
        for (const { id } of [one, two]) {
            await page.locator(`[data-download="${id}"][data-state="paused"]`).waitFor();
            assert.equal((await getDownload(b, id)).state, "paused");
        }
        await page.getByRole("button", { name: "Resume all" }).click();
        await page.locator('[data-state="running"]').first().waitFor();

        await waitState(b, one.id, (d) => d.done_bytes > 0);
        await page
            .locator(`[data-download="${one.id}"]`)
            .getByText(/[1-9]\d* %/)
            .waitFor();
        await page.getByRole("button", { name: "Cancel one.bin" }).click();
        await page.getByRole("button", { name: "Go back" }).click();
        assert.equal(await page.locator("dialog").count(), 0);
        await page.getByRole("button", { name: "Cancel one.bin" }).click();
        await page.getByRole("button", { name: "Remove the data" }).click();
        await page.locator(`[data-download="${one.id}"]`).waitFor({ state: "detached" });
        assert.equal((await b.api(`/downloads/${one.id}`)).status, 404);
    });

    test("downloads several files and a folder that were selected", async (t) => {
        const a = await sharing(t, "studio", {
            "a.bin": MiB,
            "b.bin": MiB,
            "c.bin": MiB,
            "album/one.bin": MiB,
            "album/two.bin": MiB,
        });
        const b = await startHostpair({ t, name: "workbench" });
        const host = await addHost(b, a.peerPort);
        const page = await openDashboard(t, b, `#/hosts/${host.id}`);
        const every = page.getByRole("checkbox", { name: "Select all" });
        await every.check();
        await page.getByRole("button", { name: /^Download 4 \(/ }).waitFor();
        await every.uncheck();
        await page.getByRole("button", { name: /^Download 4 \(/ }).waitFor({ state: "detached" });
        for (const name of ["album", "a.bin", "b.bin"]) {
            await page.getByRole("checkbox", { name: `Select ${name}` }).check();
        }
        await page.getByRole("button", { name: /^Download 3 \(4\.2 MB\)$/ }).click();
        await waitFor(async () => (await b.api("/downloads")).json.downloads.length === 3, {
            what: "3 downloads",
        });
        for (const one of (await b.api("/downloads")).json.downloads) await waitState(b, one.id, "done");
        for (const path of ["a.bin", "b.bin", "album/one.bin", "album/two.bin"]) {
            assert.equal(
                await sha256(join(b.downloadsDir, path)),
                await sha256(join(a.shareDir, path)),
                path,
            );
        }
    });

    test("downloads from a URL, with the priority and the limit that are set", async (t) => {
        const a = await sharing(t, "studio", { "disk.img": 12 * MiB });
        const link = await startLink({ t, to: a.peerPort, rate: 2 * MiB });
        const b = await startHostpair({ t, name: "workbench" });
        const page = await openDashboard(t, b, "#/downloads", { expected: /\/api\/v1\/downloads$/ });
        await page.getByText("No downloads yet").waitFor();
        await page.keyboard.press("u");
        await page.getByRole("textbox", { name: "URL" }).fill("gopher://example.org/1");
        await page.getByRole("button", { name: "Download", exact: true }).click();
        await reads(page.locator(".field .error"), /http/);
        await page.getByRole("textbox", { name: "URL" }).fill(`http://127.0.0.1:${link.port}/disk.img`);
        await page.getByRole("button", { name: "Download", exact: true }).click();
        const details = page.locator("[data-details]");
        await details.getByRole("heading", { name: "disk.img" }).waitFor();
        const [{ id }] = (await b.api("/downloads")).json.downloads;

        await details.getByLabel("Priority").selectOption({ label: "High" });
        await details.getByLabel("Speed limit").selectOption({ label: "1.0 MB/s" });
        await waitFor(
            async () => {
                const { priority, limit_bps } = await getDownload(b, id);
                return priority === 1 && limit_bps === 1_000_000;
            },
            { what: "priority and limit", timeout: 30_000 },
        );
        await reads(page.locator(`[data-download="${id}"]`), /High/);
        link.rate = 0;
        await details.getByLabel("Speed limit").selectOption({ label: "No limit" });
        await page.locator('[data-details][data-state="done"]').waitFor({ timeout: 30_000 });
        assert.equal(
            await sha256(join(b.downloadsDir, "disk.img")),
            await sha256(join(a.shareDir, "disk.img")),
        );
    });

    test("says that it is not connected, and recovers when hostpair is back", async (t) => {
        const a = await startHostpair({ t, name: "studio" });
        const b = await startHostpair({ t, name: "workbench" });
        const page = await openDashboard(t, b, "#/hosts", { expected: /./ });
        await page.getByText("No other hosts yet").waitFor();
        await b.kill9();
        await page.getByRole("alert").getByText("Not connected to hostpair").waitFor();
        await assertAccessible(page, "the page without a connection");
        await b.start();
        await addHost(b, a.peerPort);
        await page.locator(".card.host").getByText("studio").waitFor({ timeout: 20_000 });
        await page.getByRole("alert").waitFor({ state: "detached" });
    });

    test("reads one event stream for any number of tabs, which another tab takes over", async (t) => {
        const a = await startHostpair({ t, name: "studio" });
        const c = await startHostpair({ t, name: "attic" });
        const b = await startHostpair({ t, name: "workbench" });
        const first = await openDashboard(t, b, "#/hosts");
        await first.getByText("No other hosts yet").waitFor();
        /** @type {(string | undefined)[]} the Last-Event-ID of each stream that a tab asked for */
        const streams = [];
        first.context().on("request", (request) => {
            if (request.url().endsWith("/api/v1/events")) streams.push(request.headers()["last-event-id"]);
        });
        const tabs = [first];
        for (let i = 0; i < 8; i++) {
            const next = await first.context().newPage();
            await next.goto(`${b.dashboardUrl}/#/hosts`);
            await next.getByText("No other hosts yet").waitFor();
            tabs.push(next);
        }
        await addHost(b, a.peerPort);
        for (const page of tabs) await page.locator(".card.host").getByText("studio").waitFor();
        assert.deepEqual(streams, [], "only the first tab has a stream");

        await first.close();
        tabs.shift();
        await waitFor(() => streams.length > 0, { what: "another tab to open the stream" });
        await addHost(b, c.peerPort);
        for (const page of tabs) await page.locator(".card.host").getByText("attic").waitFor();
        assert.equal(streams.length, 1, "one of the other tabs took it over");
        assert.match(streams[0] ?? "", /\d/, "and went on where the stream had ended");
    });

    test("shows in every tab that the server is gone, and goes on in each", async (t) => {
        const b = await startHostpair({ t, name: "workbench" });
        const first = await openDashboard(t, b, "#/hosts", { expected: /\/api\/v1\// });
        const second = await first.context().newPage();
        await second.goto(`${b.dashboardUrl}/#/settings`);
        await second.getByLabel("Name", { exact: true }).waitFor();
        await b.stop();
        for (const page of [first, second])
            await page.getByRole("alert").getByText("Not connected to hostpair").waitFor();
        await b.start();
        // The page tries by itself as well: the button may be gone before it is pressed.
        await second
            .getByRole("button", { name: "Try now" })
            .click({ timeout: 3000 })
            .catch(() => {});
        for (const page of [first, second]) await page.getByRole("alert").waitFor({ state: "detached" });
    });

    test("has a stream a tab where the browser shares none, and rests in those behind", async (t) => {
        const a = await startHostpair({ t, name: "studio" });
        const b = await startHostpair({ t, name: "workbench" });
        const withoutLocks = () => {
            // @ts-expect-error browsers have none of it where they do not trust the origin
            delete Navigator.prototype.locks;
        };
        const first = await openDashboard(t, b, "#/hosts", {
            prepare: (page) => page.context().addInitScript(withoutLocks),
        });
        const tabs = [first];
        /** @param {Page} page @param {"visible" | "hidden"} state */
        const look = (page, state) =>
            page.evaluate((now) => {
                Object.defineProperty(document, "visibilityState", { configurable: true, get: () => now });
                document.dispatchEvent(new Event("visibilitychange"));
            }, state);
        for (let i = 0; i < 7; i++) {
            const page = tabs.at(-1) ?? first;
            await page.getByText("No other hosts yet").waitFor();
            const ended = page.waitForEvent("requestfailed", (one) => one.url().endsWith("/api/v1/events"));
            await look(page, "hidden");
            await ended;
            const next = await first.context().newPage();
            await next.goto(`${b.dashboardUrl}/#/hosts`);
            tabs.push(next);
        }
        await addHost(b, a.peerPort);
        await tabs.at(-1)?.locator(".card.host").waitFor();
        for (const page of tabs.slice(1, 3)) {
            assert.equal(await page.locator(".card.host").count(), 0, "a tab behind waits");
            await look(page, "visible");
            await page.locator(".card.host").waitFor();
        }
    });

    test("asks for the token once, and keeps it in a cookie that no script reads", async (t) => {
        const b = await startHostpair({ t, name: "workbench", args: ["--dashboard-token", "open-sesame"] });
        const page = await openDashboard(t, b, "#/hosts", { expected: /\/api\/v1\// });
        await page.getByLabel("Token").waitFor();
        await assertAccessible(page, "the form for the token");
        await page.getByLabel("Token").fill("something else");
        await page.getByRole("button", { name: "Sign in" }).click();
        await page.locator(".field .error").waitFor();
        await page.getByLabel("Token").fill("open-sesame");
        await page.getByRole("button", { name: "Sign in" }).click();
        await page.getByText("No other hosts yet").waitFor();
        assert.equal(await page.evaluate(() => document.cookie), "");
        const [cookie] = await page.context().cookies();
        assert.deepEqual([cookie?.httpOnly, cookie?.sameSite], [true, "Strict"]);
    });

    test("shows names from other hosts as text, never as markup", async (t) => {
        const name = '<b onclick="alert(1)">&amp;.txt';
        const a = await sharing(t, "<img src=x onerror=alert(1)>", { [name]: 1 });
        const b = await startHostpair({ t });
        await addHost(b, a.peerPort);
        const page = await openDashboard(t, b);
        await page.getByRole("link", { name: "<img src=x onerror=alert(1)>" }).click();
        await page.getByRole("button", { name: `Download ${name}`, exact: true }).waitFor();
        assert.equal(await page.locator("main img, main b").count(), 0);
    });
});
