// @ts-check
// The dashboard's view of folders that are shared in place, what is left out, and names that are ignored.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";

import { assertAccessible, closeBrowser, openDashboard, skip } from "./browser.mjs";
import { startHostpair, tempDir, waitFor } from "./harness.mjs";

describe("dashboard: shared folders", { skip }, () => {
    after(closeBrowser);

    test("shares another folder where it is, and stops", { timeout: 90_000 }, async (t) => {
        const h = await startHostpair({ t });
        writeFileSync(join(h.shareDir, "main.txt"), "main");
        const folder = join(tempDir(t), "Pictures");
        mkdirSync(folder);
        writeFileSync(join(folder, "one.txt"), "one");
        const page = await openDashboard(t, h, "#/share", { expected: /share\/folders$/ });
        await page.getByText("main.txt").waitFor();
        await page.getByRole("button", { name: "Share another folder" }).click();
        await page.getByLabel("Folder on this host").fill(join(folder, "none"));
        await page.getByRole("button", { name: "Share it" }).click();
        await page.getByText(/there is no folder/i).waitFor();
        await page.getByLabel("Folder on this host").fill(folder);
        await page.getByRole("button", { name: "Share it" }).click();
        const row = page.locator(".shared-folders li");
        await row.getByText(folder).waitFor();
        await page.getByText("2 files, 7 B").waitFor();
        await assertAccessible(page, "the shared folders");

        // Nothing is deleted in there; that is not on offer.
        await page.locator(".virtual").getByRole("link", { name: "Pictures" }).click();
        await page.getByText("one.txt").waitFor();
        await page.getByText(folder).first().waitFor();
        await page.getByRole("button", { name: "More actions for one.txt" }).click();
        await page.getByRole("menuitem", { name: "Copy link" }).waitFor();
        assert.equal(await page.getByRole("menuitem", { name: "Delete" }).count(), 0);
        await page.keyboard.press("Escape");

        await page.goBack();
        await page.getByRole("button", { name: "More actions for main.txt" }).click();
        await page.getByRole("menuitem", { name: "Copy link" }).waitFor();
        assert.equal(await page.getByRole("menuitem", { name: "Delete" }).count(), 0);
        await page.keyboard.press("Escape");
        await page.getByRole("button", { name: "Stop sharing Pictures" }).click();
        await page
            .getByRole("dialog")
            .getByText(/files stay where they are/)
            .waitFor();
        await page.getByRole("dialog").getByRole("button", { name: "Stop sharing" }).click();
        await page.locator(".virtual").getByText("Pictures").waitFor({ state: "detached" });
        await row.waitFor({ state: "detached" });
        assert.ok(existsSync(join(folder, "one.txt")));
    });

    test("says what is away, and lists none of it", { timeout: 90_000 }, async (t) => {
        const h = await startHostpair({ t });
        writeFileSync(join(h.shareDir, "main.txt"), "main");
        const folder = join(tempDir(t), "Pictures");
        mkdirSync(folder);
        writeFileSync(join(folder, "one.txt"), "one");
        await h.api("/share/folders", { method: "POST", json: { folder } });
        await waitFor(async () => (await h.api("/status")).json.share.files === 2);
        const page = await openDashboard(t, h, "#/share");
        const files = page.locator(".virtual");
        await files.getByText("Pictures").waitFor();
        renameSync(folder, `${folder}.away`);
        await page.locator(".shared-folders li").getByText("not there").waitFor({ timeout: 20_000 });
        await page.getByText(`The shared folder Pictures (${folder}) is not there`).waitFor();
        await files.getByText("Pictures").waitFor({ state: "detached" });
        await page.getByText("1 file, 4 B").waitFor();
        await files.getByText("main.txt").waitFor();

        renameSync(h.shareDir, `${h.shareDir}.away`);
        await page.locator(".share-folder").getByText("not there").waitFor({ timeout: 20_000 });
        await files.getByText("main.txt").waitFor({ state: "detached" });
        await page.getByText("0 files, 0 B").waitFor();

        renameSync(`${h.shareDir}.away`, h.shareDir);
        renameSync(`${folder}.away`, folder);
        await files.getByText("main.txt").waitFor({ timeout: 20_000 });
        await files.getByText("Pictures").waitFor({ timeout: 20_000 });
        await page.getByText("not there").first().waitFor({ state: "detached" });
    });

    test("tells what is left out, in both languages", { timeout: 90_000 }, async (t) => {
        const h = await startHostpair({ t });
        writeFileSync(join(h.shareDir, "main.txt"), "main");
        for (const n of [1, 2, 3, 4, 5]) writeFileSync(join(h.shareDir, `tab\t${n}`), "x");
        const page = await openDashboard(t, h, "#/share");
        await page.getByText("5 files or folders are not offered").click();
        await page.getByText("5 with a name that other hosts cannot use", { exact: false }).waitFor();
        assert.equal(
            await page
                .locator(".left-out")
                .getByText(/tab\\x09\d/)
                .count(),
            3,
        );
        await assertAccessible(page, "what is left out");
        await h.api("/settings", { method: "PATCH", json: { language: "zh-CN" } });
        await page.getByText("有 5 个文件或文件夹未提供").waitFor();
    });

    test("changes which names are ignored", { timeout: 90_000 }, async (t) => {
        const h = await startHostpair({ t });
        for (const name of ["a.txt", "b.bak", ".profile", ".DS_Store"])
            writeFileSync(join(h.shareDir, name), "x");
        await waitFor(async () => (await h.api("/status")).json.share.files === 3);
        const page = await openDashboard(t, h, "#/settings", { expected: /settings$/ });
        const names = page.getByLabel("Ignored names");
        assert.match(await names.inputValue(), /\.DS_Store/);
        await names.fill("[bak");
        await names.press("Enter");
        await page.getByText(/has a "\[" without its "\]"/).waitFor();
        await names.fill("*.bak");
        await names.press("Enter");
        await waitFor(async () => (await h.api("/settings")).json.share_ignore === "*.bak");
        await page.getByLabel("Offer hidden files").uncheck();
        await waitFor(async () => (await h.api("/status")).json.share.files === 1);
    });
});
