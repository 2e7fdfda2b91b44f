// @ts-check
// Files that others send, on the page: the dialog on every view, what becomes of it, the list, the settings, a notification.

import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";

import { assertAccessible, closeBrowser, openDashboard, skip } from "./browser.mjs";
import { addHost, makeFile, request, startHostpair, waitFor } from "./harness.mjs";
import { decide, inbox, newest, offered, put, state } from "./inbox.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */

describe("dashboard inbox", { skip }, () => {
    /** @type {Hostpair} */
    let h;

    before(async () => {
        h = await startHostpair({ name: "studio" });
    });
    beforeEach(async () => {
        for (const one of await inbox(h)) if (one.finished_at === null) await decide(h, one.id, "cancel");
        await h.api("/settings", {
            method: "PATCH",
            json: { receive: "ask", receive_pin: "", language: "auto" },
        });
    });
    after(async () => {
        await closeBrowser();
        await h?.dispose();
    });

    test("a dialog asks on every view, and what came can be opened", async (t) => {
        const page = await openDashboard(t, h, "#/share");
        await page
            .getByRole("heading", { name: "Shared by this host" })
            .or(page.locator("h1"))
            .first()
            .waitFor();
        const token = await offered(h, [
            { name: "summer.txt", size: 6 },
            { name: "b.txt", size: 3 },
        ]);
        const dialog = page.getByRole("dialog", { name: "Somebody wants to send files" });
        await dialog.getByText("Anna").waitFor();
        await dialog.getByText("a browser · 127.0.0.1").waitFor();
        await dialog.getByText(/Do you want 2 files, 9 B/).waitFor();
        await dialog.getByText(/left to answer/).waitFor();
        await assertAccessible(page, "the dialog");
        await dialog.getByRole("checkbox", { name: "b.txt" }).uncheck();
        await dialog.getByRole("button", { name: "Accept" }).click();
        await dialog.waitFor({ state: "detached" });
        assert.equal((await state(h, token)).json.state, "receiving");
        assert.equal((await put(h, token, "1", Buffer.from("abc"))).status, 409);
        await put(h, token, "0", Buffer.from("summer"));
        await page.getByText("1 file from Anna has arrived").waitFor();
        await page.getByRole("button", { name: "Show", exact: true }).click();
        const list = page.getByRole("region", { name: "Received from others" });
        await list.getByText("Received/Anna").waitFor();
        await list.getByRole("button", { name: "Show files" }).click();
        await assertAccessible(page, "the list");
        const link = await list.getByRole("link", { name: /summer\.txt/ }).getAttribute("href");
        const got = await h.api(link ?? "");
        assert.equal(got.text, "summer");
        assert.match(String(got.headers["content-security-policy"]), /sandbox/);
    });

    test("declining tells the sender; what a terminal answers closes the dialog", async (t) => {
        const page = await openDashboard(t, h, "#/hosts");
        const dialog = page.getByRole("dialog", { name: "Somebody wants to send files" });
        const first = await offered(h, [{ name: "a.txt", size: 3 }]);
        await dialog.getByRole("button", { name: "Decline" }).click();
        await dialog.waitFor({ state: "detached" });
        assert.equal((await state(h, first)).json.state, "declined");
        await offered(h, [{ name: "b.txt", size: 3 }]);
        await dialog.getByText("b.txt").waitFor();
        await decide(h, (await newest(h, "asking")).id, "decline");
        await dialog.waitFor({ state: "detached" });
    });

    test("an offer that waits already is asked about when the page is opened; a second one follows", async (t) => {
        await offered(h, [{ name: "early.txt", size: 3 }]);
        await offered(h, [{ name: "late.txt", size: 3 }]);
        const page = await openDashboard(t, h, "#/hosts", { width: 390, height: 844, colorScheme: "dark" });
        const dialog = page.getByRole("dialog", { name: "Somebody wants to send files" });
        await dialog.waitFor();
        const names = [];
        for (let i = 0; i < 2; i++) {
            names.push(await dialog.locator(".incoming-files bdi").textContent());
            await dialog.getByRole("button", { name: "Decline" }).click();
            await waitFor(
                async () =>
                    (await inbox(h)).filter((/** @type {any} */ one) => one.state === "asking").length ===
                    1 - i,
            );
            if (i === 0)
                await dialog.getByText(names[0] === "early.txt" ? "late.txt" : "early.txt").waitFor();
        }
        assert.deepEqual(names.sort(), ["early.txt", "late.txt"]);
        await dialog.waitFor({ state: "detached" });
    });

    test("who keeps offering gets no third dialog but one quiet line", async (t) => {
        const own = await startHostpair({ t, name: "cellar" });
        const page = await openDashboard(t, own, "#/hosts");
        const dialog = page.getByRole("dialog", { name: "Somebody wants to send files" });
        const line = page.locator(".quiet-offers");
        const waiting = async () =>
            (await inbox(own)).filter((/** @type {any} */ one) => one.state === "asking").length;
        for (let i = 0; i < 2; i++) {
            await offered(own, [{ name: `${i}.txt`, size: 3 }]);
            await dialog.getByText(`${i}.txt`).waitFor();
            await dialog.getByRole("button", { name: "Decline" }).click();
            await dialog.waitFor({ state: "detached" });
        }
        await offered(own, [{ name: "2.txt", size: 3 }]);
        await line.getByText("Anna (127.0.0.1) offers files once more").waitFor();
        await offered(own, [{ name: "3.txt", size: 3 }]);
        await line.getByText("Anna (127.0.0.1) has made 2 more offers of files").waitFor();
        assert.equal(await dialog.count(), 0);
        await assertAccessible(page, "the quiet line");
        await line.getByRole("button", { name: "Decline all from 127.0.0.1" }).click();
        await line.waitFor({ state: "detached" });
        assert.equal(await waiting(), 0);
        const token = await offered(own, [{ name: "4.txt", size: 3 }]);
        await line.getByRole("button", { name: "Answer …" }).click();
        await dialog.getByText("4.txt").waitFor();
        await dialog.getByRole("button", { name: "Accept" }).click();
        await dialog.waitFor({ state: "detached" });
        await put(own, token, "0", Buffer.from("abc"));
        // Who is accepted is asked about by a dialog again.
        await offered(own, [{ name: "5.txt", size: 3 }]);
        await dialog.getByText("5.txt").waitFor();
        assert.equal(await line.count(), 0);
    });

    test("what turns a name round is shown", async (t) => {
        const own = await startHostpair({ t, name: "cellar" });
        const page = await openDashboard(t, own, "#/downloads");
        const token = await offered(own, [{ name: "photo\u202egpj.exe", size: 3 }], { name: "An\u2067na" });
        const dialog = page.getByRole("dialog", { name: "Somebody wants to send files" });
        await dialog.getByText("photo\\u202egpj.exe").waitFor();
        assert.doesNotMatch((await dialog.textContent()) ?? "", /[\u202a-\u202e\u2066-\u2069]/);
        await dialog.getByRole("button", { name: "Accept" }).click();
        await dialog.waitFor({ state: "detached" });
        await put(own, token, "0", Buffer.from("abc"));
        await newest(own, "done");
        await page.getByRole("button", { name: "Show files" }).click();
        await page.getByRole("link", { name: "photo_gpj.exe" }).waitFor();
        assert.doesNotMatch(await page.content(), /[\u202a-\u202e\u2066-\u2069]/);
    });

    test("a disk that is too small is said in the dialog", async (t) => {
        const page = await openDashboard(t, h, "#/hosts", { expected: /accept/ });
        await offered(h, [{ name: "huge.bin", size: 2 ** 52 }]);
        const dialog = page.getByRole("dialog", { name: "Somebody wants to send files" });
        await dialog.getByRole("button", { name: "Accept" }).click();
        await dialog
            .getByRole("alert")
            .getByText(/are free/)
            .waitFor();
        await dialog.getByRole("button", { name: "Decline" }).click();
    });

    test("the settings say who is asked about, and want a PIN of digits", async (t) => {
        const page = await openDashboard(t, h, "#/settings", { expected: /settings/ });
        await page.getByText("When others send files").waitFor();
        await page
            .getByRole("radio", { name: "Accept all" })
            .or(page.getByRole("button", { name: "Accept all" }))
            .first()
            .click();
        await waitFor(async () => (await h.api("/settings")).json.receive === "everyone");
        const pin = page.getByRole("textbox", { name: "PIN for sending" });
        await pin.fill("12");
        await pin.press("Enter");
        await page.getByText(/4 to 12 digits, or be empty/).waitFor();
        await pin.fill("4711");
        await pin.press("Enter");
        await waitFor(async () => (await h.api("/settings")).json.receive_pin === "4711");
    });

    test("in Chinese, and by a notification where nobody looks at the page", async (t) => {
        const page = await openDashboard(t, h, "#/hosts", {
            locale: "zh-CN",
            permissions: ["notifications"],
            prepare: (one) =>
                one.addInitScript(() => {
                    localStorage.setItem("hostpair.notify", "on");
                    Object.defineProperty(document, "visibilityState", { get: () => "hidden" });
                    Object.assign(window, { told: [] });
                    class Fake {
                        static permission = "granted";
                        /** @param {string} title @param {{ body: string }} more */
                        constructor(title, more) {
                            // @ts-expect-error only here
                            window.told.push(`${title}: ${more.body}`);
                        }
                        close() {}
                    }
                    Object.assign(window, { Notification: Fake });
                }),
        });
        await offered(h, [{ name: "a.txt", size: 3 }]);
        const dialog = page.getByRole("dialog", { name: "有人想发送文件" });
        await dialog.getByRole("button", { name: "拒绝" }).waitFor();
        // @ts-expect-error only here
        const told = await page.evaluate(() => window.told);
        assert.ok(
            told.some((/** @type {string} */ text) => /Anna 想向本机发送文件/.test(text)),
            JSON.stringify(told),
        );
    });

    test("a file is sent to a host from its menu, and from the share", async (t) => {
        const other = await startHostpair({ t, name: "attic" });
        await makeFile(join(h.shareDir, "gift.bin"), 50_000, 1);
        await makeFile(join(h.shareDir, "second.bin"), 60_000, 2);
        await waitFor(async () => (await h.api("/status")).json.share.files >= 2, { what: "the files" });
        await addHost(h, other.peerPort);
        const page = await openDashboard(t, h, "#/hosts");
        const there = await openDashboard(t, other, "#/hosts");
        await page.getByRole("button", { name: "More actions for attic" }).click();
        await page.getByRole("menuitem", { name: "Offer to a host" }).click();
        await page
            .getByRole("dialog")
            .getByRole("button", { name: /gift\.bin/ })
            .click();
        await page.getByText("Offered to attic").waitFor();
        const dialog = there.getByRole("dialog", { name: "Somebody wants to send files" });
        await dialog.getByText("a host · 127.0.0.1").waitFor();
        await dialog.getByRole("button", { name: "Accept" }).click();
        await page.getByText("attic: has the files").waitFor();
        await there.getByText("1 file from studio has arrived").waitFor();
        await page.goto(`${h.dashboardUrl}/#/share`);
        const list = page.getByRole("region", { name: "Sent to hosts" });
        await list.getByText(/gift\.bin/).waitFor();
        await list.getByText(/attic · has the files/).waitFor();
        await page.getByRole("button", { name: "More actions for second.bin" }).click();
        await page.getByRole("menuitem", { name: "Offer to a host" }).click();
        const which = page.getByRole("dialog", { name: "Send to which host?" });
        await assertAccessible(page, "the choice of a host");
        await which.getByRole("button", { name: "attic" }).click();
        await dialog.getByRole("button", { name: "Decline" }).click();
        await page.getByText("attic: declined").waitFor();
        await assertAccessible(page, "the list of what was sent");
    });

    test("a file dropped on a host's card or on its conversation is asked about, and goes to that host alone", async (t) => {
        const other = await startHostpair({ t, name: "loft" });
        const { id } = await addHost(h, other.peerPort);
        const page = await openDashboard(t, h, "#/hosts");
        /** @param {string} name */
        const drop = async (name) => {
            const data = await page.evaluateHandle((/** @type {string} */ file) => {
                const transfer = new DataTransfer();
                transfer.items.add(new File([file], file, { type: "text/plain" }));
                return transfer;
            }, name);
            await page.locator(`[data-host="${id}"]`).first().dispatchEvent("drop", { dataTransfer: data });
        };
        const shared = async (/** @type {string} */ name) =>
            (await h.api(`/share/files?q=${name}`)).json.files.length;
        const dialog = page.getByRole("dialog", { name: "Send to loft?" });
        await page.locator(`[data-host="${id}"]`).first().waitFor();
        await drop("card.txt");
        await dialog.getByText("Only loft can get this. It is not put into the shared folder.").waitFor();
        await assertAccessible(page, "what is dropped on a host");
        assert.equal(await shared("card.txt"), 0, "nothing is shared before the answer");
        await dialog.getByRole("button", { name: "Cancel" }).click();
        await page.goto(`${h.dashboardUrl}/#/messages/${id}`);
        await page.locator(`.thread[data-host="${id}"]`).waitFor();
        await drop("thread.txt");
        await dialog.getByText("thread.txt", { exact: true }).waitFor();
        assert.equal(await shared("thread.txt"), 0);
        assert.ok(
            !existsSync(join(h.dataDir, "hostpair.aside")),
            "nothing leaves the page before the answer",
        );
        await dialog.getByRole("button", { name: "Offer" }).click();
        const asking = await newest(other, "asking");
        assert.deepEqual(
            asking.files.map((/** @type {any} */ file) => file.name),
            ["thread.txt"],
        );
        await page.getByText("Offered to loft").waitFor();
        assert.match(asking.files[0].id, /^[0-9a-f]{32}\/thread\.txt$/);
        const guest = await request(`http://127.0.0.1:${h.peerPort}/${asking.files[0].id}`);
        assert.equal(guest.status, 404);
        await decide(other, asking.id, "accept");
        await page.getByText("loft: has the files").waitFor();
        assert.equal(
            readFileSync(join(other.downloadsDir, "Received/studio/thread.txt"), "utf8"),
            "thread.txt",
        );
        await waitFor(() => readdirSync(join(h.dataDir, "hostpair.aside")).length === 0, {
            what: "what was given to be removed here",
        });
        await page.goto(`${h.dashboardUrl}/#/share`);
        const list = page.getByRole("region", { name: "Sent to hosts" });
        await list.getByText(/^thread\.txt/).waitFor();
        assert.equal(await page.getByRole("region", { name: "Being added" }).count(), 0);
        for (const name of ["thread.txt", "card.txt"])
            assert.equal(await shared(name), 0, `${name} is not shared`);

        // One that is declined is not kept, and not shared either.
        await page.goto(`${h.dashboardUrl}/#/hosts`);
        await page.locator(`[data-host="${id}"]`).first().waitFor();
        await drop("again.txt");
        await dialog.getByRole("button", { name: "Offer" }).click();
        await decide(other, (await newest(other, "asking")).id, "decline");
        await page.getByText("loft: declined").waitFor();
        await waitFor(() => readdirSync(join(h.dataDir, "hostpair.aside")).length === 0);
        assert.equal(await shared("again.txt"), 0);
    });

    test("to a host that is away as well; what has failed is tried again; of what is offered some is taken", async (t) => {
        const other = await startHostpair({ t, name: "cellar" });
        const { id } = await addHost(h, other.peerPort);
        const page = await openDashboard(t, h, "#/share", { width: 390 });
        const list = page.getByRole("region", { name: "Sent to hosts" });
        /** @param {string[]} paths */
        const push = (paths) => h.api(`/hosts/${id}/push`, { method: "POST", json: { paths } });
        await push(["late.txt"]);
        const failed = list.getByRole("listitem").filter({ hasText: "late.txt is not shared" });
        await failed.waitFor();
        for (const name of ["late.txt", "part.txt"]) await makeFile(join(h.shareDir, name), 20, 1);
        await waitFor(async () => (await h.api("/share/files?q=part.txt")).json.files.length === 1);
        await failed.getByRole("button", { name: "Try again" }).click();
        await decide(other, (await newest(other, "asking")).id, "accept");
        await list.getByText(/cellar · has the files/).waitFor();
        assert.equal(await failed.getByRole("button").count(), 0, "it was tried again");
        await push(["late.txt", "part.txt"]);
        await decide(other, (await newest(other, "asking")).id, "accept", { files: ["part.txt"] });
        await list.getByText(/cellar · took 1 of the 2 offered/).waitFor();

        await other.kill9();
        await h.api("/scan", { method: "POST" });
        await waitFor(async () => (await h.api(`/hosts/${id}`)).json.state === "offline", {
            timeout: 120_000,
            what: "the host to be away",
        });
        await page.getByRole("button", { name: "More actions for part.txt" }).click();
        await page.getByRole("menuitem", { name: "Offer to a host" }).click();
        const which = page.getByRole("dialog", { name: "Send to which host?" });
        await assertAccessible(page, "the choice of a host that is away");
        await which.getByRole("button", { name: "cellar away, is asked once it is back" }).click();
        await page.getByText("cellar is away, and is asked once it is back").waitFor();
        await list.getByText(/cellar · away, is asked once it is back.*It is away/).waitFor();
        await other.start();
        const asking = await newest(other, "asking");
        assert.equal(asking.files[0].name, "part.txt");
        await decide(other, asking.id, "accept");
        await page.getByText("cellar: has the files").last().waitFor();
    });
});
