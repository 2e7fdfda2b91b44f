// @ts-check
// Who a host is, on the page: the mark of paired hosts, the note at those that prove nothing, the fingerprint, the way to
// a host, the dialog in which two people compare six digits, and the settings of access.
//
// Two people at two pages pair two real hosts in the first test. In the others the calls of pairing are answered by the
// test, with what openapi.yaml describes, so that each state can be looked at; everything else is a real hostpair.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { assertAccessible, closeBrowser, openDashboard, skip } from "./browser.mjs";
import { addHost, startHostpair, waitFor } from "./harness.mjs";
import { checkEvent } from "./schema.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */
/** @typedef {import("playwright-core").Page} Page */

const FINGERPRINT = "0123456789abcdef".repeat(4);

/** Runs in a page: takes the real events about hosts out of the stream. They would undo what a test says of the host. */
function withoutHostEvents() {
    const { fetch } = window;
    window.fetch = async (...request) => {
        const response = await fetch(...request);
        if (!response.body || !response.url.endsWith("/api/v1/events")) return response;
        let rest = "";
        const filter = new TransformStream({
            transform(chunk, out) {
                const events = (rest + chunk).split(/(?<=\n\n)/);
                rest = events.at(-1)?.endsWith("\n\n") ? "" : /** @type {string} */ (events.pop());
                for (const event of events) if (!/^event: host$/m.test(event)) out.enqueue(event);
            },
        });
        const body = response.body
            .pipeThrough(new TextDecoderStream())
            .pipeThrough(filter)
            .pipeThrough(new TextEncoderStream());
        return new Response(body, response);
    };
}

test("two people pair their hosts at two pages, and one of them ends it", { skip }, async (t) => {
    const a = await startHostpair({ t, name: "studio" });
    const b = await startHostpair({ t, name: "workbench" });
    await addHost(a, b.peerPort);
    await addHost(b, a.peerPort);
    const here = await openDashboard(t, a);
    const there = await openDashboard(t, b);
    await here.getByRole("button", { name: "More actions for workbench" }).click();
    await here.getByRole("menuitem", { name: "Pair" }).click();
    const mine = here.getByRole("dialog", { name: "Pair with workbench" });
    const theirs = there.getByRole("dialog", { name: "Pair with studio" });
    await theirs.getByText("studio wants to pair with this host.").waitFor();
    const [shown, other] = await Promise.all(
        [mine, theirs].map((dialog) => dialog.getByText(/^\d{3} \d{3}$/).textContent()),
    );
    assert.equal(shown, other, "both see the same digits");
    await mine.getByRole("button", { name: "They are the same" }).click();
    await mine.getByText("Waiting until it is confirmed on workbench.").waitFor();
    await theirs.getByRole("button", { name: "They are the same" }).click();
    await mine.getByText("workbench is paired with this host.").waitFor();
    await theirs.getByText("studio is paired with this host.").waitFor();
    for (const [page, dialog] of /** @type {const} */ ([
        [here, mine],
        [there, theirs],
    ])) {
        await dialog.getByRole("button", { name: "Close" }).last().click();
        await page.locator(".card.host .paired").waitFor({ state: "attached" });
    }
    await there.getByRole("button", { name: "More actions for studio" }).click();
    await there.getByRole("menuitem", { name: "Unpair" }).click();
    await there
        .getByRole("dialog", { name: "Unpair studio?" })
        .getByRole("button", { name: "Unpair" })
        .click();
    for (const page of [here, there]) await page.locator(".card.host .paired").waitFor({ state: "detached" });
});

describe("dashboard pairing", { skip }, () => {
    /** @type {Hostpair} */
    let a;
    /** @type {Hostpair} */
    let b;
    /** @type {any} */
    let host;

    before(async () => {
        a = await startHostpair({ name: "studio" });
        b = await startHostpair({ name: "workbench" });
        host = await addHost(b, a.peerPort);
    });
    after(async () => {
        await closeBrowser();
        await b?.dispose();
        await a?.dispose();
    });

    /** @param {Record<string, unknown>} [fields] */
    const pairing = (fields = {}) => {
        const whole = {
            host: host.id,
            code: null,
            state: "waiting",
            incoming: false,
            expires_at: new Date(Date.now() + 120_000).toISOString(),
            reason: null,
            ...fields,
        };
        checkEvent("pairing", whole);
        return whole;
    };

    /** Tells all tabs of an event, as the tab that reads the stream does. @param {Page} page @param {string} type @param {unknown} data */
    const tell = async (page, type, data) => {
        checkEvent(type, data);
        const other = await page.context().newPage();
        await other.goto(`${b.dashboardUrl}/#/settings`);
        await other.evaluate(
            (event) => new BroadcastChannel("hostpair-events").postMessage({ kind: "event", event }),
            { id: "", type, data },
        );
        await other.close();
    };

    /**
     * A page where the host is as these fields say, and the calls of pairing are answered by `answer`.
     * @param {import("node:test").TestContext} t
     * @param {Record<string, unknown>} fields
     * @param {{ pairings?: unknown[], answer?: (call: string) => unknown, hash?: string }} [options]
     */
    async function open(t, fields, { pairings = [], answer = () => undefined, hash = "#/hosts" } = {}) {
        /** @type {string[]} */
        const calls = [];
        const known = {
            ...(await b.api(`/hosts/${host.id}`)).json,
            proven: true,
            paired: false,
            fingerprint: FINGERPRINT,
            path: "lan",
            path_reason: null,
            ...fields,
        };
        checkEvent("host", known);
        const page = await openDashboard(t, b, hash, {
            expected: /\/pair(ings)?(\/confirm)?$/,
            prepare: async (opened) => {
                const context = opened.context();
                await context.addInitScript(withoutHostEvents);
                await context.route("**/api/v1/hosts", (route) =>
                    route.fulfill({ json: { hosts: [known] } }),
                );
                await context.route("**/api/v1/pairings", (route) => route.fulfill({ json: { pairings } }));
                await context.route("**/api/v1/hosts/*/pair**", (route) => {
                    const call = `${route.request().method()} ${new URL(route.request().url()).pathname.split("/").slice(5).join("/")}`;
                    calls.push(call);
                    const json = answer(call);
                    if (json === undefined) return route.fulfill({ status: 204 });
                    const problem = /** @type {any} */ (json).status;
                    return problem
                        ? route.fulfill({ status: problem, contentType: "application/problem+json", json })
                        : route.fulfill({ status: 202, json });
                });
            },
        });
        return { page, calls };
    }

    test("marks a paired host wherever it is named, and tells of its key", async (t) => {
        const { page } = await open(t, { paired: true });
        const card = page.locator(".card.host");
        await card.locator(".paired").getByText("Paired").waitFor({ state: "attached" });
        await assertAccessible(page, "a paired host");
        await card.getByRole("button", { name: "More actions for studio" }).click();
        await page.getByRole("menuitem", { name: "Details" }).click();
        const dialog = page.getByRole("dialog", { name: "studio" });
        await dialog.getByText("0123 4567 89ab cdef 0123").waitFor();
        await assertAccessible(page, "the details of a host");
        await dialog.getByRole("button", { name: "Close" }).first().click();
        await page.goto(`${b.dashboardUrl}/#/messages`);
        await page.locator(".conversations .paired").waitFor();
        await page.goto(`${b.dashboardUrl}/#/hosts/${host.id}`);
        await page.locator(".host-line .paired").waitFor();
    });

    test("says of a host in plain HTTP that it is not proven, and offers no pairing", async (t) => {
        const { page } = await open(t, { proven: false, fingerprint: null });
        const card = page.locator(".card.host");
        await card.getByText("Not proven").waitFor();
        assert.equal(await card.locator(".paired").count(), 0);
        await card.getByRole("button", { name: "More actions for studio" }).click();
        await page.getByRole("menuitem", { name: "Details" }).waitFor();
        assert.equal(await page.getByRole("menuitem", { name: "Pair" }).count(), 0);
    });

    test("shows the way to a host, with the reason", async (t) => {
        const reason = "Both networks change ports on every connection.";
        const { page } = await open(t, { path: "relayed", path_reason: reason });
        const card = page.locator(".card.host");
        const way = card.getByText("Through the hub’s relay");
        await way.waitFor();
        assert.equal(await way.getAttribute("title"), reason);
    });

    test("pairs: starts, shows six digits, confirms, and waits for the other side", async (t) => {
        const { page, calls } = await open(
            t,
            {},
            {
                answer: (call) =>
                    pairing(call === "POST pair/confirm" ? { state: "confirmed", code: "123456" } : {}),
            },
        );
        await page.getByRole("button", { name: "More actions for studio" }).click();
        await page.getByRole("menuitem", { name: "Pair" }).click();
        const dialog = page.getByRole("dialog", { name: "Pair with studio" });
        await dialog.getByText("Waiting for studio to answer.").waitFor();
        await tell(page, "pairing", pairing({ state: "confirm", code: "123456" }));
        await dialog.getByText("123 456").waitFor();
        await dialog.getByText(/ left$/).waitFor();
        await assertAccessible(page, "the digits of a pairing");
        await dialog.getByRole("button", { name: "They are the same" }).click();
        await dialog.getByText("Waiting until it is confirmed on studio.").waitFor();
        await tell(page, "pairing", pairing({ state: "paired", code: "123456" }));
        await dialog.getByText("studio is paired with this host.").waitFor();
        assert.equal(await dialog.getByText("123 456").count(), 0);
        await dialog.getByRole("button", { name: "Close" }).last().click();
        assert.deepEqual(calls, ["POST pair", "POST pair/confirm"]);
    });

    test("shows the digits at once when the other side asks, and refuses", async (t) => {
        const { page, calls } = await open(t, {});
        await page.locator(".card.host").waitFor();
        await tell(page, "pairing", pairing({ state: "confirm", code: "004711", incoming: true }));
        const dialog = page.getByRole("dialog", { name: "Pair with studio" });
        await dialog.getByText("004 711").waitFor();
        await dialog.getByText("studio wants to pair with this host.").waitFor();
        await dialog.getByRole("button", { name: "They differ" }).click();
        await dialog.waitFor({ state: "detached" });
        await page.getByText("The pairing with studio was refused").waitFor();
        assert.deepEqual(calls, ["DELETE pair"]);
    });

    test("finds a pairing that waits when the page is loaded, and again after its dialog is closed", async (t) => {
        const waiting = pairing({ state: "confirm", code: "654321", incoming: true });
        const { page, calls } = await open(t, {}, { pairings: [waiting] });
        const dialog = page.getByRole("dialog", { name: "Pair with studio" });
        await dialog.getByText("654 321").waitFor();
        await page.keyboard.press("Escape");
        await dialog.waitFor({ state: "detached" });
        assert.deepEqual(calls, [], "closing the dialog decides nothing");
        await page.locator(".card.host").getByText("A pairing with studio is under way.").waitFor();
        await page.locator(".card.host").getByRole("button", { name: "Show" }).click();
        await dialog.getByText("654 321").waitFor();
    });

    for (const [state, sentence] of [
        ["expired", "Nobody confirmed in time."],
        ["refused", "The pairing was refused."],
        ["failed", "The pairing did not work."],
    ])
        test(`says how a pairing ended that is ${state}, and tries again`, async (t) => {
            const { page, calls } = await open(t, {}, { answer: () => pairing() });
            await page.getByRole("button", { name: "More actions for studio" }).click();
            await page.getByRole("menuitem", { name: "Pair" }).click();
            const dialog = page.getByRole("dialog", { name: "Pair with studio" });
            await dialog.getByText("Waiting for studio").waitFor();
            await tell(page, "pairing", pairing({ state, reason: "The host went away." }));
            await dialog.getByText(sentence).waitFor();
            await dialog.getByText("The host went away.").waitFor();
            await dialog.getByRole("button", { name: "Try again" }).click();
            await dialog.getByText("Waiting for studio").waitFor();
            assert.deepEqual(calls, ["POST pair", "POST pair"]);
        });

    test("says why a pairing cannot be started", async (t) => {
        const detail = "10 pairings were tried within an hour; wait 20 minutes";
        const { page } = await open(
            t,
            {},
            {
                answer: () => ({
                    type: "about:blank",
                    title: "Too many",
                    status: 429,
                    detail,
                    code: "too-many",
                }),
            },
        );
        await page.getByRole("button", { name: "More actions for studio" }).click();
        await page.getByRole("menuitem", { name: "Pair" }).click();
        await page.locator(".notice").getByText(detail).waitFor();
        assert.equal(await page.getByRole("dialog").count(), 0);
    });

    test("ends a pairing after a question", async (t) => {
        const { page, calls } = await open(t, { paired: true });
        await page.getByRole("button", { name: "More actions for studio" }).click();
        await page.getByRole("menuitem", { name: "Unpair" }).click();
        const dialog = page.getByRole("dialog", { name: "Unpair studio?" });
        await dialog.getByRole("button", { name: "Unpair" }).click();
        await page.getByText("studio is not paired any more").waitFor();
        assert.deepEqual(calls, ["DELETE pair"]);
        await waitFor(async () => (await page.locator(".card.host .paired").count()) === 0, {
            what: "the mark to be gone",
        });
    });

    test("changes who gets anything from here", async (t) => {
        t.after(() => b.api("/settings", { method: "PATCH", json: { access: "everyone" } }));
        const page = await openDashboard(t, b, "#/settings");
        await page.getByText("Every host, and guests with a browser.").waitFor();
        await page.getByRole("button", { name: "Paired hosts", exact: true }).click();
        await page.getByText("Paired hosts and members of your groups alone.").waitFor();
        await waitFor(async () => (await b.api("/settings")).json.access === "paired", {
            what: "the choice to be kept",
        });
        await assertAccessible(page, "the settings of access");
    });

    test("switches off that the content of files is encrypted", async (t) => {
        t.after(() => b.api("/settings", { method: "PATCH", json: { encrypt_content: true } }));
        const page = await openDashboard(t, b, "#/settings");
        const encrypt = page.getByRole("switch", { name: "Encrypt the content of files" });
        assert.equal(await encrypt.isChecked(), true);
        await page.getByText("Others on the network can read them then").waitFor();
        await encrypt.click();
        await waitFor(async () => (await b.api("/settings")).json.encrypt_content === false, {
            what: "the choice to be kept",
        });
    });
});
