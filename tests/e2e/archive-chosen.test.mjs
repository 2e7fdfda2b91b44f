// @ts-check
// Several files and folders of a folder as one tar or zip: by a link, by a form, and by the boxes of the guest page.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { startHostpair, tempDir, waitFor } from "./harness.mjs";
import { oddNames } from "./hosts.mjs";

const env = { ...process.env, LC_ALL: "C.UTF-8" };
/** @typedef {"tar" | "zip"} Format */

const namesInZip = `
import sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
assert archive.testzip() is None
sys.stdout.write("\\n".join(archive.namelist()))
`;

/** @param {Format} format @param {Buffer} bytes @returns {string[]} what the archive holds, sorted */
function namesIn(format, bytes) {
    const file = join(tempDir(), `chosen.${format}`);
    writeFileSync(file, bytes);
    const [program, ...args] =
        format === "zip"
            ? ["python3", "-c", namesInZip, file]
            : ["tar", "-tf", file, "--quoting-style=literal", "--show-transformed-names"];
    return execFileSync(program, args, { env, encoding: "utf8" }).split("\n").filter(Boolean).sort();
}

/** @param {string[]} names */
const fields = (names) => new URLSearchParams(names.map((n) => ["name", n])).toString();

describe("what is chosen of a folder", () => {
    /** @type {import("./harness.mjs").Hostpair} */
    let h;
    const folder = "Фото & 2026";
    before(async () => {
        h = await startHostpair({ name: "chosen" });
        mkdirSync(join(h.shareDir, folder, "sub/deeper"), { recursive: true });
        mkdirSync(join(h.shareDir, folder, "other"));
        for (const name of ["a.txt", "b+c.txt", "sub/one", "sub/deeper/two", "other/three", ...oddNames])
            writeFileSync(join(h.shareDir, folder, name), `bytes of ${name}`);
        writeFileSync(join(h.shareDir, "outside"), "not below the folder");
        symlinkSync("a.txt", join(h.shareDir, folder, "link"));
        symlinkSync("../a.txt", join(h.shareDir, folder, "sub/link"));
        for (const [name, target] of Object.entries({ out: "/etc/passwd", gone: "missing", to: "other" }))
            symlinkSync(target, join(h.shareDir, folder, name));
        await waitFor(async () =>
            (await h.peer(`/?folder=${encodeURIComponent(folder)}`)).text.includes("b+c"),
        );
    });
    after(() => h?.dispose());

    /** @param {Format} format @param {string[]} names @param {string} [at] */
    const byLink = (format, names, at = `${encodeURIComponent(folder)}/`) =>
        h.peer(`/files/${at}?archive=${format}&${fields(names)}`);
    /** @param {Format} format @param {string} body @param {string} [at] */
    const byForm = (format, body, at = folder) =>
        h.peer(`/hostpair/archive?archive=${format}&folder=${encodeURIComponent(at)}`, {
            method: "POST",
            headers: { "content-type": "application/x-www-form-urlencoded" },
            body,
        });

    test("files, and folders with everything below them, come by a link and by a form", async () => {
        const expected = ["a.txt", "b+c.txt", "sub/", "sub/deeper/", "sub/deeper/two", "sub/one"];
        for (const format of /** @type {Format[]} */ (["tar", "zip"]))
            for (const ask of [
                byLink,
                (/** @type {Format} */ f, /** @type {string[]} */ n) => byForm(f, fields(n)),
            ]) {
                const { status, body, headers } = await ask(format, [
                    "sub",
                    "a.txt",
                    "b+c.txt",
                    "a.txt",
                    "sub/one",
                ]);
                assert.equal(status, 200, body.toString().slice(0, 200));
                assert.deepEqual(namesIn(format, body), expected);
                assert.match(String(headers["content-disposition"]), new RegExp(`\\.${format}$`));
            }
    });

    test("the bytes and hostile names are the files' own", async () => {
        const { status, body } = await byLink("zip", oddNames);
        assert.equal(status, 200);
        const to = tempDir();
        writeFileSync(join(to, "odd.zip"), body);
        execFileSync("unzip", ["-q", "odd.zip"], { env, cwd: to });
        for (const name of oddNames) assert.equal(readFileSync(join(to, name), "utf8"), `bytes of ${name}`);
    });

    test("a file deep below, and of the top of the share", async () => {
        assert.deepEqual(namesIn("tar", (await byLink("tar", ["sub/deeper/two"])).body), ["sub/deeper/two"]);
        assert.deepEqual(namesIn("zip", (await byLink("zip", ["outside"], "")).body), ["outside"]);
        assert.deepEqual(namesIn("zip", (await byForm("zip", fields(["outside"]), "")).body), ["outside"]);
    });

    test("a link to a file comes as that file, but not from inside a chosen folder", async () => {
        for (const { status, text, body } of [
            await byLink("zip", ["link", "sub"]),
            await byForm("zip", fields(["link", "sub"])),
        ]) {
            assert.equal(status, 200, text.slice(0, 200));
            assert.deepEqual(namesIn("zip", body), [
                "link",
                "sub/",
                "sub/deeper/",
                "sub/deeper/two",
                "sub/one",
            ]);
            const file = join(tempDir(), "link.zip");
            writeFileSync(file, body);
            assert.equal(execFileSync("unzip", ["-p", file, "link"], { encoding: "utf8" }), "bytes of a.txt");
        }
        assert.deepEqual(namesIn("tar", (await byLink("tar", ["sub/link"])).body), ["sub/link"]);
    });

    test("what is not there, and what leads out is refused by its name", async () => {
        for (const name of [
            "missing",
            "out",
            "gone",
            "to",
            "../outside",
            "/etc/passwd",
            "a.txt/",
            "sub//one",
            ".",
            "sub/../a.txt",
        ])
            for (const { status, text } of [
                await byLink("zip", ["a.txt", name]),
                await byForm("tar", fields(["a.txt", name])),
            ]) {
                assert.equal(status, 404, name);
                assert.match(text, /^There is no file or folder .+ here\.\n$/, name);
                assert.ok(text.includes(name), text);
            }
    });

    test("nothing chosen, too many names, bad ones and other formats are said", async () => {
        for (const [body, status, words] of /** @type {[string, number, string][]} */ ([
            ["name=", 422, "Choose at least one file or folder.\n"],
            ["name=%zz", 422, "name: number 1 is badly encoded or too long.\n"],
            ["name=a&".repeat(4097), 422, "name: at most 4096 names can be chosen.\n"],
        ])) {
            const reply = await byForm("zip", body);
            assert.deepEqual([reply.status, reply.text], [status, words]);
        }
        const long = await byForm("zip", "name=a.txt&" + "x=".padEnd(1024 * 1024, "x"));
        assert.equal(long.status, 413, long.text);
        assert.equal((await byForm(/** @type {any} */ ("rar"), "name=a.txt")).status, 400);
        assert.equal((await byForm("zip", "name=a.txt", "nowhere")).status, 404);
        assert.equal((await h.peer("/hostpair/archive?archive=zip")).status, 405);
        assert.equal((await byLink("zip", Array(400).fill("a".repeat(50)))).status, 414);
    });

    test("the guest page has a box for each, in a form that works without a script", async () => {
        const { text } = await h.peer(`/?folder=${encodeURIComponent(folder)}`, {
            headers: { "accept-language": "en" },
        });
        const form = /<form method="post" action="([^"]+)"><input type="hidden" name="name" value="">/.exec(
            text,
        );
        assert.ok(form, text);
        const unescape = (/** @type {string} */ t) =>
            t.replace(/&#(\d+);/g, (_, code) => String.fromCodePoint(Number(code))).replaceAll("&amp;", "&");
        const boxes = [
            ...text.matchAll(/<input type="checkbox" name="name" aria-label="[^"]*" value="([^"]*)">/g),
        ];
        const values = boxes.map((b) => unescape(b[1]));
        assert.deepEqual(new Set(values), new Set(["a.txt", "b+c.txt", "link", "other", "sub", ...oddNames]));
        const chosen = ["", "other", "b+c.txt", oddNames[0]];
        const reply = await h.peer(unescape(form[1]), {
            method: "POST",
            headers: { "content-type": "application/x-www-form-urlencoded" },
            body: fields(chosen),
        });
        assert.equal(reply.status, 200);
        assert.deepEqual(
            namesIn("zip", reply.body),
            ["other/", "other/three", "b+c.txt", oddNames[0]].sort(),
        );
    });
});

test("access holds for it", async (t) => {
    const h = await startHostpair({ t, name: "closed" });
    writeFileSync(join(h.shareDir, "a"), "x");
    await h.api("/settings", { method: "PATCH", json: { access: "paired" } });
    const reply = await h.peer("/hostpair/archive?archive=zip", { method: "POST", body: "name=a" });
    assert.equal(reply.status, 403);
});
