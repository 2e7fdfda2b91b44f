// Two people in two homes, each at a page in a browser of their own network: one makes a group, the other joins; they
// download from each other, also from two hosts at once, write messages, and look for files of who is away.
import assert from "node:assert/strict";
import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test, { after } from "node:test";
import { closeBrowser, openDashboard, skip as noBrowser } from "../e2e/browser.mjs";
import { waitFor } from "../e2e/harness.mjs";
import { HUB, Homes, MiB, offer } from "./homes.mjs";
import { ip } from "./lan.mjs";
import { whyNoNat } from "./nat.mjs";

const skip = whyNoNat() || noBrowser || undefined;
const dashboardUrl = "http://127.0.0.1:9001";

after(closeBrowser);

/** @typedef {import("./homes.mjs").Home} Home */

/** What one has downloaded is what the other offers. @param {Home} to @param {Home} from @param {string} name */
const sameBytes = (to, from, name) =>
    assert.ok(
        readFileSync(join(to.folder, "downloads", name)).equals(
            readFileSync(join(from.folder, "share", name)),
        ),
        `${name} has other bytes`,
    );

/** A second machine in ben's home: the two are 10.9.0.1 and 10.9.0.2 to each other. @param {Homes} lab */
function addNeighbour(lab) {
    lab.addNamespace("c");
    // prettier-ignore
    ip("-n", lab.ns("b"), "link", "add", "eth1", "type", "veth", "peer", "name", "eth0", "netns", lab.ns("c"));
    for (const [where, name, address] of [
        ["b", "eth1", "10.9.0.1/24"],
        ["c", "eth0", "10.9.0.2/24"],
    ]) {
        ip("-n", lab.ns(where), "addr", "add", address, "dev", name);
        ip("-n", lab.ns(where), "link", "set", name, "up");
    }
}

test("two people at two pages share from home to home", { skip, timeout: 240_000 }, async (t) => {
    // Both of his sources are slow enough to be asked for a part.
    const lab = new Homes(t, { b: { rate: 40, queue: 300 } });
    await lab.up({ a: "preserving", b: "preserving" });
    addNeighbour(lab);
    const [anna, ben, cora] = [
        await lab.home("a", "anna"),
        await lab.home("b", "ben"),
        await lab.home("c", "cora"),
    ];
    offer(anna, "holiday film.bin", 6 * MiB);
    offer(anna, "both.bin", 24 * MiB);
    copyFileSync(join(anna.folder, "share/both.bin"), join(cora.folder, "share/both.bin"));
    const hers = await openDashboard(t, { dashboardUrl }, "#/hosts", { namespace: lab.ns("a") });
    const his = await openDashboard(t, { dashboardUrl }, "#/hosts", { namespace: lab.ns("b") });

    await t.test("they meet in a group", async () => {
        await hers.getByRole("button", { name: "Someone far away?" }).click();
        const making = hers.getByRole("dialog", { name: "Someone far away" });
        await making.getByLabel("Hub", { exact: true }).fill(HUB);
        await making.getByLabel("Name of the group").fill("Friends");
        await making.getByRole("button", { name: "Make the group" }).click();
        const shown = hers.getByRole("dialog", { name: "Invite to Friends" });
        const invite = await shown.getByText(/^hostpair:\/\/join\//).innerText();
        await shown.getByRole("button", { name: "Close" }).last().click();
        await his.getByRole("button", { name: "Someone far away?" }).click();
        const joining = his.getByRole("dialog", { name: "Someone far away" });
        await joining.getByRole("button", { name: "I have an invite" }).click();
        await joining.getByLabel("Invite").fill(invite);
        await joining.getByRole("button", { name: "Join" }).click();
        await hers.locator(".card.host", { hasText: "ben" }).getByText("online").waitFor();
        await his.locator(".card.host", { hasText: "anna" }).getByText("online").waitFor();
    });

    await t.test("he downloads her film, and sees that the way is direct", async () => {
        await his.locator(".card.host", { hasText: "anna" }).getByRole("link", { name: "anna" }).click();
        await his.getByRole("button", { name: "Download holiday film.bin" }).click();
        await his
            .getByRole("link", { name: /Downloads/ })
            .first()
            .click();
        await his.getByRole("link", { name: "holiday film.bin" }).click();
        await his.getByText("Verified").first().waitFor({ timeout: 60_000 });
        sameBytes(ben, anna, "holiday film.bin");
        await his.goto(`${dashboardUrl}/#/hosts`);
        await his.locator(".card.host", { hasText: "anna" }).getByText("Direct").waitFor();
    });

    await t.test("he takes a file from his own network and through the tunnel at once", async () => {
        lab.on(
            "c",
            "curl",
            "-sS",
            "-X",
            "PATCH",
            "-d",
            `{"up_limit_bps":${2 * MiB}}`,
            `${dashboardUrl}/api/v1/settings`,
        );
        await his.getByRole("button", { name: "Add host" }).first().click();
        await his.getByLabel("Address").fill("10.9.0.2");
        await his.getByRole("button", { name: "Add", exact: true }).click();
        await his.locator(".card.host", { hasText: "cora" }).getByText("online").waitFor();
        const found = () => ben.api("/search?q=both.bin").results;
        await waitFor(() => found()[0]?.copies.length === 2, {
            timeout: 60_000,
            what: "one content at two hosts",
            detail: () => JSON.stringify(found()),
        });
        await his.locator(".card.host", { hasText: "cora" }).getByRole("link", { name: "cora" }).click();
        await his.getByRole("button", { name: "Download both.bin" }).click();
        await his
            .getByRole("link", { name: /Downloads/ })
            .first()
            .click();
        await his.getByRole("link", { name: "both.bin" }).click();
        const given = his.locator(".given");
        await given.getByRole("heading", { name: "Where it came from" }).waitFor({ timeout: 60_000 });
        await given.locator("li").nth(1).waitFor();
        const lines = await given.locator("li").allInnerTexts();
        for (const name of ["anna", "cora"])
            assert.ok(
                lines.some((line) => line.startsWith(name)),
                lines.join(),
            );
        sameBytes(ben, anna, "both.bin");
        const { sources } = ben
            .api("/downloads")
            .downloads.find((/** @type {any} */ d) => d.name === "both.bin");
        const where = Object.fromEntries(sources.map((/** @type {any} */ s) => [s.host, s.address]));
        assert.deepEqual(where, { [anna.id]: "", [cora.id]: "10.9.0.2:9000" });
    });

    await t.test("they write to each other", async () => {
        await his.goto(`${dashboardUrl}/#/messages/${anna.id}`);
        await his.getByRole("textbox", { name: "Message to anna" }).fill("The film is here");
        await his.keyboard.press("Enter");
        await hers.goto(`${dashboardUrl}/#/messages/${ben.id}`);
        await hers.locator(".thread, main").getByText("The film is here").first().waitFor();
        await hers.getByRole("textbox", { name: "Message to ben" }).fill("Enjoy it");
        await hers.keyboard.press("Enter");
        await his.getByText("Enjoy it").first().waitFor();
    });

    await t.test("he finds what she has while she is away", async () => {
        await anna.stop("SIGTERM");
        await waitFor(() => ben.api(`/hosts/${anna.id}`).state === "offline", {
            timeout: 120_000,
            what: "anna to be offline",
            detail: () => JSON.stringify(ben.api(`/hosts/${anna.id}`)),
        });
        await his.goto(`${dashboardUrl}/#/search/holiday`);
        await his.locator(".results li").getByText("holiday film.bin").waitFor();
        await his.goto(`${dashboardUrl}/#/hosts/${anna.id}`);
        await his.getByText(/anna is offline, last seen/).waitFor();
        await his.getByText("holiday film.bin").waitFor();
    });
});
