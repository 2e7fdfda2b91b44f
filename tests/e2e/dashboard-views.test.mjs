// @ts-check
// The dashboard's further views, in a browser, with real hosts: messages, activity, settings, languages, themes, keyboard,
// phones, and what axe-core says about each view.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { assertAccessible, closeBrowser, openDashboard, skip } from "./browser.mjs";
import {
    MiB,
    addHost,
    download,
    makeBytes,
    makeFile,
    sha256Of,
    startHostpair,
    tempDir,
    waitFor,
} from "./harness.mjs";
import { startLink } from "./link.mjs";
import { startStudio } from "./studio.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */

/**
 * What the page shows of a refusal below the field that it names.
 * @param {import("./harness.mjs").Reply} refused
 */
const shown = (refused) => refused.json.detail.replace(/^[a-z_]+: /, "This ");

describe("dashboard views", { skip }, () => {
    /** @type {Hostpair} */
    let a;
    /** @type {Hostpair} */
    let b;
    /** @type {any} */
    let host;

    before(async () => {
        ({ a, b, host } = await startStudio());
    });
    after(async () => {
        await closeBrowser();
        await b?.dispose();
        await a?.dispose();
    });

    /** A view, an element that shows that it is ready. @type {[view: string, hash: () => string, ready: string][]} */
    const VIEWS = [
        ["hosts", () => "#/hosts", ".card.host"],
        ["files", () => `#/hosts/${host.id}`, ".virtual .table-row"],
        ["search", () => "#/search/o", ".results li"],
        ["downloads", () => "#/downloads", "[data-download]"],
        ["download", () => "#/downloads/1", "[data-details]"],
        ["share", () => "#/share", ".virtual .table-row"],
        ["messages", () => `#/messages/${host.id}`, ".compose"],
        ["activity", () => "#/activity", ".log li"],
        ["settings", () => "#/settings", "fieldset"],
    ];

    for (const colorScheme of /** @type {const} */ (["light", "dark"]))
        for (const locale of ["en-US", "zh-CN"])
            for (const width of [1280, 390])
                test(`fits, and axe-core finds no fault: ${colorScheme}, ${locale}, ${width} wide`, async (t) => {
                    const page = await openDashboard(t, b, "#/hosts", { colorScheme, locale, width });
                    for (const [name, hash, ready] of VIEWS) {
                        await page.evaluate((to) => (location.hash = to), hash());
                        await page.locator(ready).first().waitFor();
                        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
                        assert.ok(wide <= width, `${name} is ${wide} wide`);
                        await assertAccessible(page, name);
                    }
                    assert.equal(await page.locator("html").getAttribute("lang"), locale.replace("-US", ""));
                    for (const key of ["a", "u", "?"]) {
                        await page.keyboard.press(key);
                        await page.locator("dialog").waitFor();
                        await assertAccessible(page, `the dialog of "${key}"`);
                        await page.keyboard.press("Escape");
                        await page.locator("dialog").waitFor({ state: "detached" });
                    }
                });

    test("is there after at most 60 KB, compressed", async (t) => {
        /** @type {Promise<[url: string, bytes: number]>[]} */
        const loads = [];
        const page = await openDashboard(t, b, "#/hosts", {
            prepare: async (opened) => {
                opened.on("requestfinished", (request) => {
                    if (/\/api\//.test(request.url())) return;
                    loads.push(request.sizes().then((sizes) => [request.url(), sizes.responseBodySize]));
                });
            },
        });
        await page.locator(".card.host").waitFor();
        const sizes = await Promise.all(loads);
        const total = sizes.reduce((sum, [, bytes]) => sum + bytes, 0);
        assert.ok(sizes.length >= 3, `${sizes.length} requests`);
        assert.ok(total > 20_000 && total <= 60_000, `${total} bytes: ${JSON.stringify(sizes)}`);
    });

    test("shows what the server wants a person to know, until it is hidden", async (t) => {
        const text = "Other hosts cannot reach 172.17.0.2. Start hostpair with --advertise ADDR.";
        const now = (await b.api("/status")).json;
        const status = { ...now, notices: [{ code: "unreachable_address", text }] };
        const page = await openDashboard(t, b, "#/hosts", {
            expected: /./,
            prepare: async (opened) => {
                await opened.route("**/api/v1/status", (route) => route.fulfill({ json: status }));
                // No other status comes over it by the stream.
                await opened.route("**/api/v1/events", (route) =>
                    route.fulfill({ contentType: "text/event-stream", body: ": hello\n\n" }),
                );
            },
        });
        const notice = page.locator("[data-notice]");
        await notice.getByText(text).waitFor();
        assert.equal(await notice.locator("code").innerText(), "--advertise");
        await assertAccessible(page, "a notice");
        await notice.getByRole("button", { name: "Hide this" }).click();
        await notice.waitFor({ state: "detached" });
    });

    test("takes over a setting that is changed elsewhere", async (t) => {
        const page = await openDashboard(t, b, "#/settings");
        const name = page.getByRole("textbox", { name: "Name", exact: true });
        await waitFor(async () => (await name.inputValue()) === "workbench", { what: "the name" });
        await b.api("/settings", { method: "PATCH", json: { name: "garage", theme: "dark" } });
        await waitFor(async () => (await name.inputValue()) === "garage", { what: "the new name" });
        await page.locator('html[data-theme="dark"]').waitFor();
        await page.locator(".identity-name").getByText("garage").waitFor();
        await b.api("/settings", { method: "PATCH", json: { name: "workbench", theme: "auto" } });
        await waitFor(async () => (await name.inputValue()) === "workbench", { what: "the old name" });
    });

    test("speaks Chinese when the browser does, and the language that was set", async (t) => {
        const page = await openDashboard(t, b, "#/settings", {
            locale: "zh-CN",
            expected: /\/api\/v1\/settings$/,
        });
        await page.getByRole("heading", { name: "设置", exact: true }).waitFor();
        assert.equal(await page.locator("html").getAttribute("lang"), "zh-CN");
        await page.getByRole("button", { name: "English" }).click();
        await page.getByRole("heading", { name: "Settings", exact: true }).waitFor();
        assert.equal((await b.api("/settings")).json.language, "en");
        await page.reload();
        await page.getByRole("heading", { name: "Settings", exact: true }).waitFor();
        await b.api("/settings", { method: "PATCH", json: { language: "auto" } });
        await page.reload();
        await page.getByRole("heading", { name: "设置", exact: true }).waitFor();
        // The server speaks English: what its code means comes first, its own words after that.
        const refused = await b.api("/settings", { method: "PATCH", json: { share_folder: "not absolute" } });
        await page.getByLabel("共享文件夹").fill("not absolute");
        await page.keyboard.press("Tab");
        await page
            .locator(".field .error")
            .getByText(`值无效（${shown(refused)}）`)
            .waitFor();
    });

    test("shows the theme that was set, and the server's sentence for a bad setting", async (t) => {
        const page = await openDashboard(t, b, "#/settings", { expected: /\/api\/v1\/settings$/ });
        const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
        const light = await ground();
        await page.getByRole("button", { name: "Dark", exact: true }).click();
        await waitFor(async () => (await ground()) !== light, { what: "a dark page", timeout: 30_000 });
        assert.equal((await b.api("/settings")).json.theme, "dark");
        await b.api("/settings", { method: "PATCH", json: { theme: "auto" } });

        const refused = await b.api("/settings", { method: "PATCH", json: { share_folder: "not absolute" } });
        assert.equal(refused.status, 422);
        await page.getByLabel("Shared folder").fill("not absolute");
        await page.keyboard.press("Tab");
        await page.locator(".field .error").getByText(shown(refused), { exact: true }).waitFor();
    });

    test("shows messages, who has them and who has not yet, and what is wrong with one", async (t) => {
        const me = (await b.api("/status")).json.id;
        const at = new Date().toISOString();
        const common = { sent_at: at, received_at: at, unread: false, offer: null };
        const messages = [
            {
                ...common,
                id: 1,
                uid: "1",
                from: host.id,
                from_name: "studio",
                to: me,
                text: "<i>hello</i>",
                incoming: true,
                deliveries: [],
            },
            {
                ...common,
                id: 2,
                uid: "2",
                from: me,
                from_name: "workbench",
                to: host.id,
                text: "good morning",
                incoming: false,
                deliveries: [{ host: host.id, state: "queued", reason: null, at }],
            },
        ];
        const listed = { messages, more: false, unread: 0, unread_by_host: {} };
        const page = await openDashboard(t, b, `#/messages/${host.id}`, {
            expected: /\/messages$/,
            prepare: (opened) =>
                opened.route("**/api/v1/messages*", (route) => {
                    if (route.request().method() === "GET") return route.fulfill({ json: listed });
                    const detail = "text: has more than 4000 characters";
                    return route.fulfill({
                        status: 422,
                        contentType: "application/problem+json",
                        body: JSON.stringify({
                            type: "about:blank",
                            title: "invalid",
                            status: 422,
                            detail,
                            code: "invalid",
                        }),
                    });
                }),
        });
        await page.locator(".bubble").getByText("<i>hello</i>").waitFor();
        await page.getByText("Waits for studio").waitFor();
        await assertAccessible(page, "messages");
        await page.getByRole("textbox", { name: "Message to studio" }).fill("too long");
        await page.keyboard.press("Enter");
        await page.getByRole("alert").getByText("This has more than 4000 characters").waitFor();
        assert.equal(await page.getByRole("textbox", { name: "Message to studio" }).inputValue(), "too long");
    });

    test("computes a digest that can be compared", async (t) => {
        const page = await openDashboard(t, b, "#/downloads/1");
        await page.getByRole("button", { name: "Compute" }).click();
        await page.getByText(sha256Of(makeBytes(3 * MiB, 2)), { exact: true }).waitFor();
    });

    test("goes everywhere by keyboard", async (t) => {
        const page = await openDashboard(t, b);
        await page.locator(".card.host").waitFor();
        for (const [keys, heading] of /** @type {const} */ ([
            ["gd", "Downloads"],
            ["gs", "Share"],
            ["gm", "Messages"],
            ["ga", "Activity"],
            ["gp", "Settings"],
            ["gh", "Hosts"],
        ])) {
            for (const key of keys) await page.keyboard.press(key);
            await page.getByRole("heading", { level: 1, name: heading, exact: true }).waitFor();
        }
        await page.keyboard.press("/");
        await page.keyboard.type("notes", { delay: 120 });
        await page.locator(".results").getByText("notes.txt").waitFor();
        await page.keyboard.type(".");
        assert.equal(await page.locator("input[data-search]").inputValue(), "notes.");
        await page.goBack();
        await page.locator(".card.host").waitFor();

        await page.evaluate((to) => (location.hash = to), `#/hosts/${host.id}`);
        await page.locator(".virtual .table-row").first().waitFor();
        await page.evaluate(() => /** @type {HTMLElement} */ (document.activeElement).blur());
        await page.keyboard.press("ArrowDown");
        await page.keyboard.press("Space");
        assert.equal(await page.getByRole("checkbox", { name: "Select Photos" }).isChecked(), true);
        await page.keyboard.press("Enter");
        await page.getByRole("heading", { level: 1, name: "Photos" }).waitFor();
    });

    test("shows a list of thousands with few rows in the document, down to its end", async (t) => {
        const share = tempDir(t);
        const count = 6000;
        for (let i = 0; i < count; i++)
            writeFileSync(join(share, `file-${String(i).padStart(5, "0")}.txt`), String(i));
        const c = await startHostpair({ t, name: "archive", share });
        await waitFor(async () => (await c.api("/status")).json.share.files === count, {
            what: "all files shared",
            timeout: 60_000,
        });
        const d = await startHostpair({ t });
        const far = await addHost(d, c.peerPort);
        const page = await openDashboard(t, d, `#/hosts/${far.id}`);
        await page.getByText("file-00000.txt").waitFor();
        assert.ok((await page.locator(".virtual .table-row").count()) < 80, "rows in the document");
        await waitFor(
            async () => {
                await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
                return page.getByText("file-05999.txt").isVisible();
            },
            { what: "the last file", timeout: 60_000, interval: 100 },
        );
        assert.ok((await page.locator(".virtual .table-row").count()) < 80, "rows in the document");
        await page.evaluate(() => scrollTo(0, 0));
        await page.getByLabel("Search in this folder").fill("04321");
        await page.getByText("file-04321.txt").waitFor();
        await waitFor(async () => (await page.locator(".virtual .table-row").count()) === 1, {
            what: "one row",
        });
    });

    test("shows who downloads from here, and the speed over time", async (t) => {
        await makeFile(join(b.shareDir, "served.bin"), 16 * MiB, 41);
        await waitFor(async () => (await b.api("/share/files?q=served")).json.files.length === 1, {
            what: "served.bin in the share",
        });
        const link = await startLink({ t, to: b.peerPort, rate: 2 * MiB });
        const c = await startHostpair({ t, name: "reader" });
        const far = await addHost(c, link.port);
        await download(c, { host: far.id, path: "served.bin" });
        const page = await openDashboard(t, b, "#/activity");
        const row = page.locator("[data-connection]", { hasText: "served.bin" });
        await row.first().waitFor();
        await page.locator(".uplot canvas").waitFor();
        await page.getByRole("button", { name: "5 min" }).click();
        await page.locator(".uplot canvas").waitFor();
        await page.setViewportSize({ width: 390, height: 800 });
        // The graph takes its new width a moment later.
        await waitFor(async () => (await page.evaluate(() => document.documentElement.scrollWidth)) === 390, {
            what: "a table that scrolls in itself, not the page",
        });
        await page.setViewportSize({ width: 1280, height: 800 });
        await page.getByRole("navigation").getByRole("link", { name: "Share" }).click();
        await page.getByRole("heading", { name: "Being downloaded from here" }).waitFor();
        const readers = page.locator(".readers li");
        assert.equal(await readers.count(), 1, "one line, whatever number of connections");
        assert.match(await readers.innerText(), /served\.bin/);
    });

    test("closes a connection, and blocks a host from where it is seen", async (t) => {
        // The only host that this one knows, so that an address names it.
        const giver = await startHostpair({ t, name: "giver" });
        const c = await startHostpair({ t, name: "taker" });
        await addHost(giver, c.peerPort);
        await makeFile(join(giver.shareDir, "held.bin"), 32 * MiB, 42);
        await waitFor(async () => (await giver.api("/share/files?q=held")).json.files.length === 1, {
            what: "held.bin in the share",
        });
        // Slow enough that it is there when the button is pressed.
        const link = await startLink({ t, to: giver.peerPort, rate: MiB });
        const far = await addHost(c, link.port);
        await download(c, { host: far.id, path: "held.bin" });
        const page = await openDashboard(t, giver, "#/activity", { expected: /\/connections\// });
        const row = page.locator("[data-connection]", { hasText: "held.bin" });
        await row.first().waitFor();
        const id = await row.first().getAttribute("data-connection");
        await page
            .locator(`[data-connection="${id}"]`)
            .getByRole("button", { name: /Close the connection/ })
            .click();
        await page.locator(`[data-connection="${id}"]`).waitFor({ state: "detached" });
        const ids = (await giver.api("/connections")).json.connections.map(
            (/** @type {any} */ one) => `${one.id}`,
        );
        assert.ok(!ids.includes(id), `${id} is still among ${ids}`);

        // It connects again by itself; blocked, it does not.
        await row.first().waitFor({ timeout: 30_000 });
        await row
            .first()
            .getByRole("button", { name: /More actions/ })
            .click();
        await page.getByRole("menuitem", { name: "Block" }).click();
        await page.getByRole("dialog").getByRole("button", { name: "Block" }).click();
        await row.first().waitFor({ state: "detached", timeout: 30_000 });
        const blocked = (await giver.api("/hosts")).json.hosts.filter(
            (/** @type {any} */ one) => one.blocked,
        );
        assert.deepEqual(
            blocked.map((/** @type {any} */ one) => one.name),
            ["taker"],
        );
    });

    test("shows the QR code of the address that others use", async (t) => {
        const page = await openDashboard(t, b);
        await page.locator(".identity-name").click();
        const address = (await b.api("/status")).json.addresses[0];
        await page.getByRole("img", { name: `QR code of http://${address}` }).waitFor();
        await page.getByRole("dialog").getByText(`http://${address}`, { exact: true }).waitFor();
    });
});
