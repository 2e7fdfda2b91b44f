// @ts-check
// Messages in the dashboard, in a browser, between real hosts: written, delivered, read, refused, with files offered.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";

import { assertAccessible, closeBrowser, openDashboard, skip } from "./browser.mjs";
import { MiB, addHost, makeFile, sha256, startHostpair, waitFor } from "./harness.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */
/** @typedef {import("playwright-core").Page} Page */

/**
 * Two hosts that know each other.
 * @param {import("node:test").TestContext} t
 */
async function pair(t) {
    const a = await startHostpair({ t, name: "studio" });
    const b = await startHostpair({ t, name: "workbench" });
    const ofB = (await addHost(a, b.peerPort)).id;
    const ofA = (await addHost(b, a.peerPort)).id;
    return { a, b, ofA, ofB };
}

/** @param {Page} page @param {string} to @param {string} text */
async function write(page, to, text) {
    await page.getByRole("textbox", { name: `Message to ${to}` }).fill(text);
    await page.keyboard.press("Enter");
}

/** The bubble with this text. @param {Page} page @param {string} text */
const bubble = (page, text) => page.locator(".bubble", { hasText: text });

/** @param {Page} page @param {string} text @param {"queued" | "delivered" | "failed"} state */
const shows = (page, text, state) =>
    bubble(page, text).locator(`[data-delivery="${state}"]`).waitFor({ timeout: 30_000 });

/** @param {Hostpair} h */
const unread = async (h) => (await h.api("/messages?limit=1")).json.unread;

describe("dashboard messages", { skip }, () => {
    after(closeBrowser);

    test("carries words both ways, counts what is unread, and reads it when it is looked at", async (t) => {
        const { a, b, ofB } = await pair(t);
        const here = await openDashboard(t, a, `#/messages/${ofB}`);
        const there = await openDashboard(t, b, "#/hosts");
        await there.locator(".card.host").waitFor();
        await write(here, "workbench", "<b>good</b> morning");
        await shows(here, "<b>good</b> morning", "delivered");
        assert.equal(await here.getByRole("textbox").inputValue(), "");

        const link = there.getByRole("navigation", { name: "Views" }).getByRole("link", { name: /Messages/ });
        await link.locator(".badge").getByText("1", { exact: true }).waitFor();
        await waitFor(async () => /^\(1\)/.test(await there.title()), { what: "a title with the number" });
        await there.getByText("studio: <b>good</b> morning").waitFor();
        assert.equal(await unread(b), 1);

        await link.click();
        await there
            .locator(".conversations")
            .getByRole("link", { name: /studio/ })
            .click();
        await bubble(there, "<b>good</b> morning").waitFor();
        await link.locator(".badge").waitFor({ state: "detached" });
        await waitFor(async () => (await unread(b)) === 0, { what: "it to be read" });

        await write(there, "studio", "Here: https://example.org/a_(b)?c=d, not javascript:alert(1)");
        const address = bubble(here, "Here: ").getByRole("link");
        await address.waitFor();
        assert.equal(await address.count(), 1, "one link");
        assert.equal(await address.getAttribute("href"), "https://example.org/a_(b)?c=d");
        assert.equal(await address.getAttribute("rel"), "noopener noreferrer");
        assert.equal(await address.getAttribute("target"), "_blank");
        assert.equal(await here.locator(".bubble b").count(), 0, "text stays text");
        // The conversation is on the screen: nothing is left to read.
        await waitFor(async () => (await unread(a)) === 0, { what: "the answer to be read" });
    });

    test("delivers to a host that was away, and says what it waits for", async (t) => {
        const { a, b, ofB } = await pair(t);
        await b.stop();
        const page = await openDashboard(t, a, `#/messages/${ofB}`);
        for (const text of ["one", "two", "three"]) await write(page, "workbench", text);
        await shows(page, "three", "queued");
        await bubble(page, "three").getByText("Waits for workbench").waitFor();
        await assertAccessible(page, "messages that wait");
        await b.start();
        for (const text of ["one", "two", "three"]) await shows(page, text, "delivered");
        const { messages } = (await b.api("/messages")).json;
        assert.deepEqual(
            messages.map((/** @type {any} */ one) => one.text),
            ["one", "two", "three"],
        );
    });

    test("shows why a host refused, and tries again", async (t) => {
        const { a, b, ofB } = await pair(t);
        const here = await openDashboard(t, a, `#/messages/${ofB}`);
        const there = await openDashboard(t, b, "#/hosts");
        await there.getByRole("button", { name: "More actions for studio" }).click();
        await there.getByRole("menuitem", { name: "Block" }).click();
        await there.getByRole("dialog").getByRole("button", { name: "Block" }).click();
        await there.locator(".card.host .state.blocked").waitFor();
        assert.equal((await b.api("/hosts")).json.hosts[0].blocked, true);
        assert.equal((await b.peer("/list")).status, 403, "all of this test comes from studio's address");

        await write(here, "workbench", "let me in");
        await shows(here, "let me in", "failed");
        const [one] = (await a.api("/messages")).json.messages;
        assert.ok(one.deliveries[0].reason, "a reason");
        await bubble(here, "let me in").getByText(one.deliveries[0].reason).waitFor();

        await there.getByRole("button", { name: "More actions for studio" }).click();
        await there.getByRole("menuitem", { name: "Unblock" }).click();
        await there.locator(".card.host .state.online").waitFor();
        await here.getByRole("button", { name: "Try again" }).click();
        await shows(here, "let me in", "delivered");
    });

    test("offers a shared file, which one button fetches", async (t) => {
        const { a, b, ofA, ofB } = await pair(t);
        await makeFile(join(a.shareDir, "films/trailer.bin"), 3 * MiB, 5);
        writeFileSync(join(a.shareDir, "notes.txt"), "notes\n");
        await waitFor(async () => (await a.api("/status")).json.share.files === 2, {
            what: "2 shared files",
        });
        const here = await openDashboard(t, a, `#/messages/${ofB}`);
        await here.getByRole("button", { name: "Offer a file" }).click();
        const dialog = here.getByRole("dialog");
        await dialog.getByRole("searchbox").fill("nothing like it");
        await dialog.getByRole("searchbox").press("Enter");
        await dialog.getByText("Nothing found").waitFor();
        assert.deepEqual((await a.api("/messages")).json.messages, [], "Enter in the search sends nothing");
        await dialog.getByRole("searchbox").fill("");
        await dialog.getByRole("button", { name: /films/ }).click();
        await dialog.getByRole("button", { name: /trailer\.bin/ }).waitFor();
        await assertAccessible(here, "the dialog that picks a file");
        await dialog.getByRole("button", { name: /trailer\.bin/ }).click();
        await here.locator(".attached").getByText("films/trailer.bin").waitFor();
        await write(here, "workbench", "as promised");
        await shows(here, "as promised", "delivered");
        assert.equal(await here.locator(".attached").count(), 0);

        const there = await openDashboard(t, b, `#/messages/${ofA}`);
        const card = there.locator(".offer-card");
        await card.getByText("trailer.bin", { exact: true }).waitFor();
        await assertAccessible(there, "an offer");
        await card.getByRole("button", { name: "Download" }).click();
        await card.getByText("Here").waitFor({ timeout: 30_000 });
        assert.equal(
            await sha256(join(b.downloadsDir, "trailer.bin")),
            await sha256(join(a.shareDir, "films/trailer.bin")),
        );

        await here.evaluate(() => (location.hash = "#/share"));
        await here.getByRole("button", { name: "More actions for notes.txt" }).click();
        await here.getByRole("menuitem", { name: "Send to a host" }).click();
        await here.locator(".attached").getByText("notes.txt").waitFor();
        await here.getByRole("button", { name: "Leave notes.txt out" }).click();
        assert.equal(await here.locator(".attached").count(), 0);
    });

    test("writes to everyone, and says who has it and who has not", async (t) => {
        const { a, b } = await pair(t);
        const c = await startHostpair({ t, name: "attic" });
        await addHost(a, c.peerPort);
        await addHost(c, a.peerPort);
        await c.stop();
        const page = await openDashboard(t, a, "#/messages/everyone");
        await write(page, "Everyone", "Lunch?");
        await bubble(page, "Lunch?")
            .getByText("Delivered to 1 of 2, waits for attic")
            .waitFor({ timeout: 30_000 });
        assert.equal(await unread(b), 1);
        await c.start();
        await shows(page, "Lunch?", "delivered");
        // What went to everyone is part of each host's conversation.
        await page.locator(".conversations").getByRole("link", { name: /attic/ }).click();
        await bubble(page, "Lunch?").getByText("to everyone").waitFor();

        await bubble(page, "Lunch?").getByRole("button", { name: "More actions for this message" }).click();
        await page.getByRole("menuitem", { name: "Remove here" }).click();
        await bubble(page, "Lunch?").waitFor({ state: "detached" });
        assert.deepEqual((await a.api("/messages")).json.messages, []);
    });

    test("notifies in the background only, and asks for that only when the button is pressed", async (t) => {
        const { a, b, ofA, ofB } = await pair(t);
        const page = await openDashboard(t, b, "#/messages", {
            prepare: (opened) => opened.addInitScript(fakeNotifications),
        });
        await page.getByRole("button", { name: "Notify me" }).waitFor();
        const told = () => page.evaluate(() => /** @type {any} */ (window).told);
        assert.deepEqual(await told(), { asked: 0, shown: [] });
        const send = (/** @type {string} */ text) => a.api("/messages", { json: { to: ofB, text } });
        await look(page, "hidden");
        await send("too early");
        await page.locator(".conversations").getByText("too early").waitFor({ timeout: 30_000 });
        assert.deepEqual(await told(), { asked: 0, shown: [] });

        await look(page, "visible");
        await page.getByRole("button", { name: "Notify me" }).click();
        await page.getByRole("button", { name: "Notifications are on" }).waitFor();
        assert.equal((await told()).asked, 1);
        await page.evaluate(() => (location.hash = "#/hosts"));
        await page.locator(".card.host").waitFor();
        await look(page, "hidden");
        await send("come and see");
        await waitFor(async () => (await told()).shown.length === 1, { what: "a notification" });
        assert.deepEqual((await told()).shown[0], { title: "studio", body: "come and see" });
        await makeFile(join(a.shareDir, "late.bin"), MiB, 9);
        await b.api("/downloads", { json: { host: ofA, path: "late.bin" } });
        await waitFor(async () => (await told()).shown.length === 2, { what: "word of the download" });
        assert.deepEqual((await told()).shown[1], { title: "hostpair", body: "late.bin is here" });
        await send("come again");
        await waitFor(async () => (await told()).shown.length === 3, { what: "another notification" });
        await look(page, "visible");
        await page.evaluate(() => /** @type {any} */ (window).last.onclick());
        await bubble(page, "come again").waitFor();
        assert.equal(await page.evaluate(() => location.hash), `#/messages/${ofA}`);
        await send("in front");
        await bubble(page, "in front").waitFor();
        assert.equal((await told()).shown.length, 3, "nothing while somebody looks");
    });

    test("shows the newest messages first and older ones on demand", async (t) => {
        const { a, b, ofB } = await pair(t);
        await b.stop();
        const count = 520;
        for (let i = 0; i < count; i++) {
            const reply = await a.api("/messages", { json: { to: ofB, text: `line ${i}.` } });
            assert.equal(reply.status, 202, reply.text);
        }
        const page = await openDashboard(t, a, `#/messages/${ofB}`);
        await bubble(page, `line ${count - 1}.`).waitFor();
        assert.equal(await bubble(page, "line 3.").count(), 0);
        await page.getByRole("button", { name: "Show older messages" }).click();
        await bubble(page, "line 3.").waitFor();
        await page.getByRole("button", { name: "Show older messages" }).waitFor({ state: "detached" });
        assert.equal(await page.locator(".bubble").count(), count);
    });

    for (const [locale, colorScheme, width] of /** @type {const} */ ([
        ["zh-CN", "dark", 1280],
        ["en-US", "dark", 390],
        ["zh-CN", "light", 390],
    ]))
        test(`has no fault that axe-core finds: ${locale}, ${colorScheme}, ${width} wide`, async (t) => {
            const { a, b, ofA, ofB } = await pair(t);
            writeFileSync(join(a.shareDir, `${"a rather long name ".repeat(8)}.txt`), "long\n");
            await waitFor(async () => (await a.api("/status")).json.share.files === 1, { what: "a file" });
            const [{ path }] = (await a.api("/share/files")).json.files;
            await a.api("/messages", { json: { to: ofB, text: `${"wide".repeat(200)}`, offer: { path } } });
            await b.api("/messages", { json: { to: ofA, text: "https://example.org/ 你好" } });
            for (const h of [a, b])
                await waitFor(async () => (await h.api("/messages")).json.messages.length === 2, {
                    what: "both messages",
                    timeout: 30_000,
                });
            const page = await openDashboard(t, b, "#/messages", { locale, colorScheme, width, height: 844 });
            await page.locator(".conversations").waitFor();
            await assertAccessible(page, "the conversations");
            await page.locator(".conversations a").first().click();
            await page.locator(".offer-card").waitFor();
            await assertAccessible(page, "a conversation");
            const wide = await page.evaluate(() => document.documentElement.scrollWidth);
            assert.ok(wide <= width, `${wide} wide`);
        });
});

/** In the page: notifications that are only noted. */
function fakeNotifications() {
    const told = { asked: 0, shown: /** @type {{ title: string, body: string }[]} */ ([]) };
    class Fake {
        static permission = "default";
        static requestPermission() {
            told.asked++;
            Fake.permission = "granted";
            return Promise.resolve("granted");
        }
        /** @param {string} title @param {{ body: string }} options */
        constructor(title, { body }) {
            told.shown.push({ title, body });
            Object.assign(window, { last: this });
        }
        close() {}
    }
    Object.assign(window, { told, Notification: Fake });
}

/** Brings a page to the front, or behind others. @param {Page} page @param {"visible" | "hidden"} state */
const look = (page, state) =>
    page.evaluate((now) => {
        Object.defineProperty(document, "visibilityState", { configurable: true, get: () => now });
        document.dispatchEvent(new Event("visibilitychange"));
    }, state);
