// @ts-check
// Groups on the page: making one at a hub, joining one with an invite, the invite itself, the list in the settings with
// all that can be done with a group, the line above the hosts, and how a member is reached.
//
// The calls of groups are answered by the test, with what openapi.yaml describes; everything else is a real hostpair.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { assertAccessible, closeBrowser, openDashboard, skip } from "./browser.mjs";
import { addHost, startHostpair, waitFor } from "./harness.mjs";
import { checkEvent, checkReply } from "./schema.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */
/** @typedef {import("playwright-core").Page} Page */

const INVITE = `hostpair://join/hub.example.org:9010/${"aeaqcaibaeaqcaibaeaqcaib".repeat(3)}`;
const RENEWED = INVITE.replace(/aeaq/g, "mfrg");

describe("dashboard groups", { skip }, () => {
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
    const group = (fields = {}) => {
        const whole = {
            id: 1,
            name: "Family",
            hub: "hub.example.org:9010",
            state: "connected",
            reason: null,
            members: [host.id],
            publish: true,
            ...fields,
        };
        checkEvent("group", whole);
        return whole;
    };

    /** @param {number} status @param {string} code @param {string} detail */
    const problem = (status, code, detail) => ({ type: "about:blank", title: "No", status, detail, code });

    /** Tells all tabs of an event, as the tab that reads the stream does. @param {Page} page @param {unknown} data */
    const tell = async (page, data) => {
        checkEvent("group", data);
        const other = await page.context().newPage();
        await other.goto(`${b.dashboardUrl}/#/activity`);
        await other.evaluate(
            (event) => new BroadcastChannel("hostpair-events").postMessage({ kind: "event", event }),
            { id: "", type: "group", data },
        );
        await other.close();
    };

    /**
     * A page of a host that is in these groups. Calls that change something are answered by `answer`, or as by a server
     * that does what it is asked; all of them are written down.
     * @param {import("node:test").TestContext} t
     * @param {any[]} groups
     * @param {{
     *     hash?: string, hosts?: unknown[], answer?: (call: string) => any,
     *     width?: number, locale?: string, colorScheme?: "light" | "dark", permissions?: string[],
     * }} [options]
     */
    async function open(t, groups, { hash = "#/hosts", hosts, answer = () => undefined, ...look } = {}) {
        /** @type {string[]} */
        const calls = [];
        let invite = INVITE;
        /** @param {string} method @param {string} path @param {any} body */
        const serve = (method, path, body) => {
            const at = groups.findIndex((one) => path.startsWith(`/${one.id}`));
            if (path === "" && method === "GET") return { status: 200, json: { groups } };
            if (path === "") {
                const made = group({ id: 7, name: body.name ?? "Friends", members: [] });
                groups.push(made);
                return { status: 201, json: made };
            }
            if (path.endsWith("/invite")) return { status: 200, json: { invite } };
            if (path.endsWith("/renew")) return { status: 200, json: { invite: (invite = RENEWED) } };
            if (method === "PATCH")
                return { status: 200, json: (groups[at] = group({ ...groups[at], ...body })) };
            groups.splice(at, 1);
            return { status: 204 };
        };
        const page = await openDashboard(t, b, hash, {
            ...look,
            expected: /\/groups(\/|$)/,
            prepare: async (opened) => {
                const context = opened.context();
                if (hosts)
                    await context.route("**/api/v1/hosts", (route) => route.fulfill({ json: { hosts } }));
                await context.route(/\/api\/v1\/groups(\/|$)/, (route) => {
                    const request = route.request();
                    const method = request.method();
                    const path = new URL(request.url()).pathname.replace(/^.*\/groups/, "");
                    const body = request.postData() === null ? undefined : request.postDataJSON();
                    const call = `${method} ${path}${body ? ` ${JSON.stringify(body)}` : ""}`;
                    if (call !== "GET ") calls.push(call);
                    const refused = call === "GET " ? undefined : answer(call);
                    const { status, json } = refused
                        ? { status: refused.status, json: refused }
                        : serve(method, path, body);
                    const type = status >= 400 ? "application/problem+json" : "application/json";
                    if (json === undefined) return route.fulfill({ status });
                    checkReply(method, request.url(), { status, headers: { "content-type": type }, json });
                    return route.fulfill({ status, contentType: type, json });
                });
            },
        });
        return { page, calls };
    }

    /** @param {Page} page */
    const openFar = async (page) => {
        await page.getByRole("button", { name: "Someone far away?" }).click();
        return page.getByRole("dialog", { name: "Someone far away" });
    };

    test("makes a group, then shows its invite with a code, and copies it", async (t) => {
        const { page, calls } = await open(t, [], { permissions: ["clipboard-read", "clipboard-write"] });
        const dialog = await openFar(page);
        const make = dialog.getByRole("button", { name: "Make the group" });
        assert.ok(await make.isDisabled(), "without a hub and a name there is nothing to make");
        await dialog.getByLabel("Hub", { exact: true }).fill(" hub.example.org ");
        await dialog.getByLabel("Name of the group").fill("Family");
        await dialog.getByLabel("Token").fill("sesame");
        await assertAccessible(page, "the dialog that makes a group");
        await dialog.getByLabel("Token").press("Enter");
        const invite = page.getByRole("dialog", { name: "Invite to Family" });
        await invite.getByText(INVITE).waitFor();
        await invite.getByText("Whoever has this is a member").waitFor();
        await invite.getByRole("img", { name: `QR code of ${INVITE}` }).waitFor();
        await assertAccessible(page, "an invite");
        await invite.getByRole("button", { name: "Copy the invite" }).click();
        await page.locator(".notice").getByText("Copied: Invite to Family").waitFor();
        assert.equal(await page.evaluate(() => navigator.clipboard.readText()), INVITE);
        await invite.getByRole("button", { name: "Close" }).last().click();
        await page.getByRole("list", { name: "Groups" }).getByText("Family").waitFor();
        assert.equal(await page.getByText(INVITE).count(), 0, "the secret goes with its dialog");
        assert.deepEqual(calls, [
            'POST  {"hub":"hub.example.org","name":"Family","token":"sesame"}',
            "GET /7/invite",
        ]);
    });

    test("joins a group with an invite", async (t) => {
        const { page, calls } = await open(t, []);
        const dialog = await openFar(page);
        await dialog.getByRole("button", { name: "I have an invite" }).click();
        await dialog.getByLabel("Invite").fill(INVITE);
        await assertAccessible(page, "the dialog that joins a group");
        await dialog.getByRole("button", { name: "Join" }).click();
        await page.locator(".notice").getByText("This host is in Friends now").waitFor();
        await dialog.waitFor({ state: "detached" });
        await page.getByRole("list", { name: "Groups" }).getByText("Friends").waitFor();
        assert.deepEqual(calls, [`POST  {"invite":"${INVITE}"}`]);
    });

    for (const [label, status, code, detail, shown] of /** @type {const} */ ([
        [
            "Hub",
            422,
            "invalid",
            'hub: "x y" is not the address of a hub; write hub.example.org or hub.example.org:9010',
            '"x y" is not the address of a hub; write hub.example.org or hub.example.org:9010',
        ],
        [
            "Hub",
            502,
            "unreachable",
            "the hub x y cannot be reached: no such host",
            "The hub x y cannot be reached: no such host",
        ],
        [
            "Name of the group",
            422,
            "invalid",
            '"name" is to be text of 1 to 100 bytes without control characters',
            '"name" is to be text of 1 to 100 bytes without control characters',
        ],
        [
            "Token",
            404,
            "not-found",
            "this hub has no such group",
            "This hub makes groups only for who shows its token.",
        ],
    ]))
        test(`says at the field ${label} what the server objects to: ${code}`, async (t) => {
            const { page } = await open(t, [], { answer: () => problem(status, code, detail) });
            const dialog = await openFar(page);
            await dialog.getByLabel("Hub", { exact: true }).fill("x y");
            await dialog.getByLabel("Name of the group").fill("Family");
            await dialog.getByRole("button", { name: "Make the group" }).click();
            await dialog.getByRole("alert").getByText(shown, { exact: true }).waitFor();
            const field = dialog.getByLabel(label, { exact: true });
            assert.equal(await field.getAttribute("aria-invalid"), "true");
            assert.equal(await dialog.getByRole("alert").count(), 1);
            assert.equal(await dialog.locator("[aria-invalid=true]").count(), 1);
            await assertAccessible(page, "a field with an objection");
        });

    test("says at the field what is wrong with an invite", async (t) => {
        const detail =
            "the invite is incomplete or mistyped; copy all of it, from hostpair://join/ to the end";
        const { page } = await open(t, [], { answer: () => problem(422, "invalid", detail) });
        const dialog = await openFar(page);
        await dialog.getByRole("button", { name: "I have an invite" }).click();
        await dialog.getByLabel("Invite").fill("hostpair://join/hub.exam");
        await dialog.getByRole("button", { name: "Join" }).click();
        await dialog.getByRole("alert").getByText("The invite is incomplete or mistyped").waitFor();
        assert.equal(await dialog.getByLabel("Invite").getAttribute("aria-invalid"), "true");
    });

    test("tells above the hosts how each group stands, and as that changes", async (t) => {
        const reason = "the hub hub.example.org:9010 cannot be reached: connection refused";
        const { page } = await open(t, [group(), group({ id: 2, name: "Work", members: [] })]);
        const lines = page.getByRole("list", { name: "Groups" }).getByRole("listitem");
        await waitFor(async () => (await lines.count()) === 2, { what: "both groups" });
        assert.match(String(await lines.nth(0).textContent()), /^Family ?connected ?1 other member$/);
        assert.match(String(await lines.nth(1).textContent()), /^Work ?connected ?nobody else yet$/);
        await tell(page, group({ state: "unreachable", reason }));
        await lines.nth(0).getByText("unreachable").waitFor();
        await lines.nth(0).getByText(reason).waitFor();
        await assertAccessible(page, "hosts with groups");
        await tell(page, group({ state: "connecting", reason }));
        await lines.nth(0).getByText("connecting").waitFor();
        await tell(page, { id: 2, removed: true });
        await waitFor(async () => (await lines.count()) === 1, { what: "the second group to be gone" });
        await lines.nth(0).getByRole("link", { name: "Family" }).click();
        await page.getByRole("heading", { name: "Groups" }).waitFor();
    });

    test("lists a group in the settings, and asks for its secret only after a click", async (t) => {
        const { page, calls } = await open(t, [group()], { hash: "#/settings" });
        const one = page.getByRole("listitem", { name: "Family" });
        await one.getByText("connected").waitFor();
        await one.getByText("hub.example.org:9010").waitFor();
        await one.getByRole("link", { name: "studio" }).waitFor();
        await assertAccessible(page, "the settings with a group");
        assert.deepEqual(calls, []);
        assert.equal(await page.getByText("hostpair://join").count(), 0);
        await one.getByRole("button", { name: "Show the invite" }).click();
        await page.getByRole("dialog", { name: "Invite to Family" }).getByText(INVITE).waitFor();
        assert.deepEqual(calls, ["GET /1/invite"]);
        await page.keyboard.press("Escape");
        await page.getByRole("dialog").waitFor({ state: "detached" });
    });

    test("says why a group is not connected, and that nobody else is in it", async (t) => {
        const reason = "another hub answers at hub.example.org:9010";
        const { page } = await open(t, [group({ state: "unreachable", reason, members: [] })], {
            hash: "#/settings",
        });
        const one = page.getByRole("listitem", { name: "Family" });
        await one.getByText("unreachable").waitFor();
        await one.getByText(reason).waitFor();
        await one.getByText("Nobody yet. Send somebody the invite.").waitFor();
        await assertAccessible(page, "a group that is not connected");
    });

    test("renames a group when the field is left, and keeps an objection at it", async (t) => {
        let refuse = true;
        const { page, calls } = await open(t, [group()], {
            hash: "#/settings",
            answer: () => (refuse ? problem(422, "invalid", "name: is too long") : undefined),
        });
        const field = page.getByRole("listitem").getByLabel("Name of the group");
        await field.fill("Home");
        await field.blur();
        await page.getByRole("alert").getByText("This is too long").waitFor();
        assert.equal(await field.getAttribute("aria-invalid"), "true");
        refuse = false;
        await field.press("Enter");
        await page.getByRole("listitem", { name: "Home" }).waitFor();
        await page.locator(".notice").getByText("Saved").waitFor();
        assert.equal(await page.getByRole("alert").count(), 0);
        assert.deepEqual(calls, ['PATCH /1 {"name":"Home"}', 'PATCH /1 {"name":"Home"}']);
    });

    test("switches off that the file list is left at the hub; a refusal leaves the switch as it was", async (t) => {
        let refuse = true;
        const { page, calls } = await open(t, [group()], {
            hash: "#/settings",
            answer: () => (refuse ? problem(500, "disk", "the disk is read-only") : undefined),
        });
        const publish = page.getByRole("switch", { name: "Leave the file list at the hub" });
        await publish.click();
        await page.getByRole("alert").getByText("the disk is read-only").waitFor();
        assert.equal(await publish.isChecked(), true);
        refuse = false;
        await publish.click();
        await page.locator(".notice").getByText("Saved").waitFor();
        assert.equal(await publish.isChecked(), false);
        assert.deepEqual(calls, ['PATCH /1 {"publish":false}', 'PATCH /1 {"publish":false}']);
    });

    test("renews the invite after a question that names who is out", async (t) => {
        const { page, calls } = await open(t, [group()], { hash: "#/settings" });
        await page.getByRole("button", { name: "Renew the invite" }).click();
        const question = page.getByRole("dialog", { name: "Renew the invite to Family?" });
        await question.getByText("Out until they get the new one: studio.").waitFor();
        await assertAccessible(page, "the question before an invite is renewed");
        await question.getByRole("button", { name: "Cancel" }).click();
        assert.deepEqual(calls, []);
        await page.getByRole("button", { name: "Renew the invite" }).click();
        await question.getByRole("button", { name: "Renew the invite" }).click();
        await page.getByRole("dialog", { name: "Invite to Family" }).getByText(RENEWED).waitFor();
        assert.deepEqual(calls, ["POST /1/renew", "GET /1/invite"]);
    });

    test("says why an invite cannot be renewed", async (t) => {
        const detail = "a group is renewed at its hub, and hub.example.org:9010 is not connected";
        const { page } = await open(t, [group({ members: [] })], {
            hash: "#/settings",
            answer: () => problem(502, "unreachable", detail),
        });
        await page.getByRole("button", { name: "Renew the invite" }).click();
        const question = page.getByRole("dialog", { name: "Renew the invite to Family?" });
        await question.getByText("Nobody else is in the group now.").waitFor();
        await question.getByRole("button", { name: "Renew the invite" }).click();
        await question.getByRole("alert").getByText(detail).waitFor();
    });

    test("leaves a group after a question", async (t) => {
        const { page, calls } = await open(t, [group()], { hash: "#/settings" });
        await page.getByRole("button", { name: "Leave", exact: true }).click();
        const question = page.getByRole("dialog", { name: "Leave Family?" });
        await question.getByText("To come back takes an invite.").waitFor();
        await question.getByRole("button", { name: "Leave" }).click();
        await page.locator(".notice").getByText("This host is not in Family any more").waitFor();
        await page.getByText("This host is in no group.").waitFor();
        assert.deepEqual(calls, ["DELETE /1"]);
    });

    test("offers no groups where the server knows none", async (t) => {
        const page = await openDashboard(t, b, "#/hosts", {
            expected: /\/groups$/,
            prepare: (opened) =>
                opened.route("**/api/v1/groups", (route) =>
                    route.fulfill({
                        status: 404,
                        contentType: "application/problem+json",
                        json: problem(404, "not-found", "there is no such address"),
                    }),
                ),
        });
        await page.locator(".card.host").waitFor();
        assert.equal(await page.getByRole("button", { name: "Someone far away?" }).count(), 0);
    });

    for (const [path, words] of [
        ["direct", "Directly, through both routers"],
        ["relayed", "Through the hub’s relay"],
    ])
        test(`tells of a member that it is reached ${path}`, async (t) => {
            const reason = "Both routers use another port for every connection.";
            const known = {
                ...(await b.api(`/hosts/${host.id}`)).json,
                found_by: "group",
                path,
                path_reason: reason,
            };
            checkEvent("host", known);
            const { page } = await open(t, [group()], { hosts: [known] });
            const way = page.locator(".card.host").getByText(words, { exact: true });
            await way.waitFor();
            assert.equal(await way.getAttribute("title"), reason);
            await page.getByRole("button", { name: "More actions for studio" }).click();
            await page.getByRole("menuitem", { name: "Details" }).click();
            const dialog = page.getByRole("dialog", { name: "studio" });
            await dialog.getByText(reason).waitFor();
            const found = dialog.locator(".facts > div").filter({ hasText: "Found by" });
            assert.equal(await found.locator("dd").textContent(), "group");
        });

    test("speaks Chinese, in the dark and on a phone", async (t) => {
        const reason = "the hub hub.example.org:9010 cannot be reached";
        const { page } = await open(t, [group({ state: "unreachable", reason })], {
            width: 390,
            locale: "zh-CN",
            colorScheme: "dark",
        });
        await page.getByRole("list", { name: "群组" }).getByText("无法连接").waitFor();
        await assertAccessible(page, "hosts with groups, Chinese and dark");
        await page.getByRole("button", { name: "对方在远处？" }).click();
        const dialog = page.getByRole("dialog", { name: "对方在远处" });
        await dialog.getByLabel("中心服务器", { exact: true }).waitFor();
        await assertAccessible(page, "the dialog of groups, Chinese and dark");
        const wide = () => document.documentElement.scrollWidth > innerWidth;
        assert.equal(await page.evaluate(wide), false, "nothing is wider than the phone");
        await page.keyboard.press("Escape");
        await page.goto(`${b.dashboardUrl}/#/settings`);
        await page.getByRole("listitem", { name: "Family" }).getByText("显示邀请").waitFor();
        await assertAccessible(page, "the settings with a group, Chinese and dark");
        assert.equal(await page.evaluate(wide), false, "nothing is wider than the phone");
    });
});
