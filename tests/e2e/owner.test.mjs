// @ts-check
// The dashboard belongs to one user of the machine.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmod, chown, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { parse } from "yaml";

import { checkout, runHostpair, startHostpair, tempDir } from "./harness.mjs";

const run = promisify(execFile);
const OWNER = 20101;
const OTHER = 20102;
const skip = process.getuid?.() !== 0 && "it takes root to be several users";

/** A command as a user. @param {number} uid @returns {string[]} */
const as = (uid) => ["setpriv", `--reuid=${uid}`, `--regid=${uid}`, "--clear-groups"];

/**
 * @param {number} uid
 * @param {string} url
 * @param {string[]} [more]
 */
async function curl(uid, url, more = []) {
    const [command, ...words] = [...as(uid), "curl", "-sS", "-m", "10", "-w", "\n%{http_code}", ...more, url];
    const { stdout } = await run(command, words, { maxBuffer: 1 << 24 });
    const at = stdout.lastIndexOf("\n");
    return { status: Number(stdout.slice(at + 1)), text: stdout.slice(0, at) };
}

/** A hostpair that runs as a user, in folders of that user. @param {import("node:test").TestContext} t @param {number} uid @param {string[]} [args] */
async function startAs(t, uid, args = []) {
    const folder = tempDir();
    await chmod(folder, 0o755);
    /** @type {Record<string, string>} */
    const folders = {};
    for (const name of ["share", "downloads", "data"]) {
        folders[name] = join(folder, name);
        await mkdir(folders[name]);
        await chown(folders[name], uid, uid);
    }
    const portFolder = join(folder, "ports");
    await mkdir(portFolder);
    await chown(portFolder, uid, uid);
    const h = await startHostpair({ t, ...folders, args, wrap: ["sh", "-c", openRoot(uid), "sh"] });
    return h;
}

/** The harness's own folder, in which the port file lies, has to be the user's as well. @param {number} uid */
const openRoot = (uid) =>
    `for word; do [ "$previous" = --port-file ] && chown ${uid}:${uid} "$(dirname "$word")"; previous=$word; done; ` +
    `chmod 755 "$(dirname "$word")" 2>/dev/null; exec ${as(uid).join(" ")} "$@"`;

/** Every route of the API, with something in the place of its parameters. */
async function routes() {
    const { paths } = parse(await readFile(join(checkout, "server/api/openapi.yaml"), "utf8"));
    return Object.entries(paths).flatMap(([path, calls]) =>
        Object.keys(calls)
            .filter((method) => ["get", "post", "put", "patch", "delete"].includes(method))
            .map((method) => ({ method: method.toUpperCase(), path: path.replace(/\{[^}]*\}/g, "1") })),
    );
}

test(
    "gives another user of the machine 403 from every route, over IPv4 and IPv6",
    { skip, timeout: 120_000 },
    async (t) => {
        for (const listen of ["127.0.0.1:0", "[::1]:0"]) {
            const h = await startAs(t, OWNER, ["--dashboard-listen", listen]);
            const base = `http://${listen.replace(/0$/, new URL(h.dashboardUrl).port)}`;
            assert.equal((await curl(OWNER, `${base}/api/v1/status`)).status, 200, `${listen}: its owner`);
            assert.equal((await curl(0, `${base}/api/v1/status`)).status, 200, `${listen}: root`);
            assert.equal((await curl(OWNER, `${base}/`)).status, 200);
            const calls = await routes();
            assert.ok(calls.length > 40, `${calls.length} routes`);
            for (const { method, path } of [...calls, { method: "GET", path: "/" }]) {
                const answer = await curl(OTHER, base + path, [
                    "-X",
                    method,
                    ...(method === "GET" ? [] : ["-d", "{}"]),
                ]);
                assert.equal(
                    answer.status,
                    403,
                    `${listen}: ${method} ${path}: ${answer.text.slice(0, 200)}`,
                );
            }
            const told = JSON.parse((await curl(OTHER, `${base}/api/v1/status`)).text);
            assert.match(told.detail, /belongs to .*--dashboard-token-file/);
            // What it would have published.
            const folder = tempDir();
            const patch = ["-X", "PATCH", "-d", JSON.stringify({ share_folder: folder })];
            assert.equal((await curl(OTHER, `${base}/api/v1/settings`, patch)).status, 403);
            assert.notEqual(
                JSON.parse((await curl(OWNER, `${base}/api/v1/settings`)).text).share_folder,
                folder,
            );
            // The commands say why.
            const port = new URL(base).port;
            const command = await runHostpair(["hosts", "--dashboard-listen", listen.replace(/0$/, port)], {
                wrap: as(OTHER),
            });
            assert.equal(command.code, 1, command.stderr);
            assert.match(command.stderr, /belongs to/);
            await h.stop();
        }
    },
);

test(
    "lets anybody in with the token, which the list of processes does not show",
    { skip, timeout: 60_000 },
    async (t) => {
        const token = "correct-horse-battery";
        const file = join(tempDir(), "token");
        await writeFile(file, `${token}\n`);
        await chown(file, OWNER, OWNER);
        await chmod(file, 0o600);
        await chmod(join(file, ".."), 0o755);
        const h = await startAs(t, OWNER, ["--dashboard-token-file", file]);
        const url = `${h.dashboardUrl}/api/v1/status`;
        assert.equal((await curl(OTHER, url)).status, 401);
        assert.equal((await curl(OTHER, url, ["-H", `Authorization: Bearer ${token}`])).status, 200);
        assert.equal((await curl(OWNER, url)).status, 401, "its owner signs in as well");
        const line = await readFile(`/proc/${h.pid}/cmdline`, "utf8");
        assert.ok(!line.includes(token), "the token stands in the command line");
    },
);

test("lets two users of one machine each drive their own", { skip, timeout: 60_000 }, async (t) => {
    const [one, two] = [await startAs(t, OWNER), await startAs(t, OTHER)];
    for (const [h, own, other] of /** @type {const} */ ([
        [one, OWNER, OTHER],
        [two, OTHER, OWNER],
    ])) {
        assert.equal((await curl(own, `${h.dashboardUrl}/api/v1/status`)).status, 200);
        assert.equal((await curl(other, `${h.dashboardUrl}/api/v1/status`)).status, 403);
        const command = await runHostpair(["hosts", "--data", h.dataDir], { wrap: as(own) });
        assert.equal(command.code, 0, command.stderr);
    }
});
