// @ts-check
// The doctor on one machine: what its command prints, what the API tells, and the page "Something missing?". What needs
// networks is in tests/lan/doctor.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { assertAccessible, closeBrowser, openDashboard, skip } from "./browser.mjs";
import {
    MiB,
    addHost,
    checkout,
    freePort,
    makeFile,
    runHostpair,
    sha256Of,
    startHostpair,
    tempDir,
    waitFor,
} from "./harness.mjs";
import { fakeHost } from "./hosts.mjs";
import { startLink } from "./link.mjs";
import { checkEvent } from "./schema.mjs";
import { asks } from "./terminal.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */

/** Names of values, which stand in the same statement as a slug. */
const VALUES = ["own", "detail", "ms", "behind"];

/** The slugs that the sources have. */
function allSlugs() {
    const slugs = new Set();
    const rooms = [join(checkout, "server/doctor"), join(checkout, "server/cli")];
    for (const file of rooms.flatMap((room) => readdirSync(room).map((name) => join(room, name)))) {
        if (!/doctor/.test(file) || !file.endsWith(".c")) continue;
        const text = readFileSync(file, "utf8").replace(/\s+/g, " ");
        for (const [call] of text.matchAll(/hp_(?:findings|check)_add\([^;]*?;/g))
            for (const [, literal] of call.matchAll(/"((?:[^"\\]|\\.)*)"/g))
                if (/^[a-z]+(-[a-z0-9]+)*$/.test(literal) && !VALUES.includes(literal)) slugs.add(literal);
    }
    return [...slugs];
}

describe("the doctor", () => {
    /** @type {Hostpair} */
    let a;
    /** @type {Hostpair} */
    let b;
    before(async () => {
        a = await startHostpair({ name: "studio" });
        b = await startHostpair({ name: "attic" });
    });
    after(async () => {
        await closeBrowser();
        await a?.dispose();
        await b?.dispose();
    });

    /** @param {string[]} args @param {Record<string, string | undefined>} [env] */
    const run = (args, env = asks(a)) => runHostpair(["doctor", ...args], { env, timeout: 60_000 });

    test("a look at this machine comes by event, and is kept", async () => {
        const events = await a.events();
        const begun = await a.api("/doctor", { method: "POST", json: {} });
        assert.equal(begun.status, 202, begun.text);
        assert.equal(begun.json.host, null);
        const done = await waitFor(
            () =>
                events.events.find(
                    (e) => e.event === "doctor" && e.data.id === begun.json.id && !e.data.running,
                ),
            { timeout: 30_000, what: "the end of the look", detail: () => events.events },
        );
        const slugs = done.data.findings.map((/** @type {any} */ one) => one.slug);
        for (const slug of ["scan-off", "beacon-off", "listens-loopback", "hosts"])
            assert.ok(slugs.includes(slug), `${slug} in ${slugs}`);
        assert.ok(
            slugs.some((/** @type {string} */ slug) => slug.startsWith("filter-")),
            `${slugs}`,
        );
        const kept = (await a.api("/doctor")).json.looks.find(
            (/** @type {any} */ l) => l.id === begun.json.id,
        );
        assert.deepEqual(kept, done.data);
        assert.deepEqual((await a.api(`/doctor/${begun.json.id}`)).json, done.data);
        assert.equal((await a.api("/doctor/99999")).status, 404);
        events.close();
    });

    test("what is no host, address or name is refused with its reason", async () => {
        for (const host of ["10.0.0.1:99999", "a b", "x".repeat(300)]) {
            const answer = await a.api("/doctor", { method: "POST", json: { host } });
            assert.equal(answer.status, 422, answer.text);
            assert.match(answer.json.detail, /^host: /);
        }
        assert.equal((await a.api("/doctor", { method: "POST", json: { hots: "a" } })).status, 422);
    });

    test("more than four looks at a time are refused", async () => {
        const answers = await Promise.all(
            Array.from({ length: 6 }, () => a.api("/doctor", { method: "POST", json: {} })),
        );
        const statuses = answers.map((one) => one.status).sort();
        assert.deepEqual(statuses, [202, 202, 202, 202, 429, 429]);
        await waitFor(
            async () => (await a.api("/doctor")).json.looks.every((/** @type {any} */ l) => !l.running),
            { timeout: 30_000, what: "the looks to end" },
        );
        assert.ok((await a.api("/doctor")).json.looks.length <= 8);
    });

    test("the command checks a host that is not known, and does not make it known", async () => {
        const { code, stdout, stderr } = await run([`127.0.0.1:${b.peerPort}`]);
        assert.match(
            stdout,
            new RegExp(`127.0.0.1:${b.peerPort} answers over TLS: it is attic`),
            stdout + stderr,
        );
        assert.match(stdout, /The way back works: attic connected to this host at 127\.0\.0\.1:/);
        assert.match(stdout, /How fast it is cannot be told/);
        assert.equal(code, 0, stdout);
        assert.match(stdout, /Nothing is wrong as far as can be seen from here\./);
        assert.deepEqual((await a.api("/hosts")).json.hosts, []);
    });

    test("a port where nobody listens, another program, and itself are told apart", async (t) => {
        const closed = await run(["--json", `127.0.0.1:${await freePort()}`]);
        assert.equal(closed.code, 1, closed.stdout);
        const refused = JSON.parse(closed.stdout).findings.at(-1);
        assert.equal(refused.slug, "connect-refused", closed.stdout);
        assert.match(refused.todo, /^Start hostpair there/);

        const other = createServer((socket) => socket.on("error", () => {}).end("220 mail ESMTP\r\n"));
        await new Promise((done) => other.listen(0, "127.0.0.1", () => done(undefined)));
        t.after(() => other.close());
        const { port } = /** @type {import("node:net").AddressInfo} */ (other.address());
        const foreign = await run(["--json", `127.0.0.1:${port}`]);
        assert.equal(foreign.code, 1);
        assert.equal(JSON.parse(foreign.stdout).findings.at(-1).slug, "no-hostpair", foreign.stdout);

        const own = await run(["--json", `127.0.0.1:${a.peerPort}`]);
        assert.equal(own.code, 0);
        assert.equal(JSON.parse(own.stdout).findings.at(-1).slug, "itself", own.stdout);
    });

    test("a slow link is told from a broken one, with its speed", { timeout: 200_000 }, async (t) => {
        const c = await startHostpair({ t, name: "cabin" });
        await makeFile(join(c.shareDir, "0 film.mp4"), 8 * MiB, 1); // the first of the list
        const names = Array.from({ length: 5000 }, (_, i) => `${sha256Of(Buffer.from(`${i}`))}.txt`);
        await Promise.all(names.map((name) => writeFile(join(c.shareDir, name), "")));
        await waitFor(async () => (await c.api("/status")).json.share.files === 5001);
        const link = await startLink({ t, to: c.peerPort, rate: 8192 });
        const said = await runHostpair(["doctor", "--json", `127.0.0.1:${link.port}`], {
            env: asks(a),
            timeout: 180_000,
        });
        const { findings } = JSON.parse(said.stdout);
        const of = (/** @type {string} */ slug) =>
            findings.find((/** @type {any} */ one) => one.slug === slug) ?? assert.fail(said.stdout);
        for (const one of [of("list-slow"), of("speed-slow")]) {
            assert.equal(one.severity, "note", said.stdout);
            assert.ok(one.data.bps > 2000 && one.data.bps < 20_000, said.stdout);
            assert.match(one.todo, /make it slow/);
        }
        assert.ok(of("list-slow").data.files > 100 && of("list-slow").data.files < 5000, said.stdout);
        assert.doesNotMatch(said.stdout, /MTU|file-fails|list-fails/);
    });

    test("a host at whose address another one answers now is told by both ids", async () => {
        const known = await addHost(a, b.peerPort);
        const port = b.peerPort;
        await b.stop();
        const other = await startHostpair({ name: "stranger", args: ["--peer-listen", `127.0.0.1:${port}`] });
        try {
            const said = await run(["--json", known.id]);
            assert.equal(said.code, 1, said.stdout);
            const found = JSON.parse(said.stdout).findings.find(
                (/** @type {any} */ f) => f.slug === "other-host",
            );
            assert.equal(found?.data.expected, known.id, said.stdout);
            assert.equal(found.data.name, "stranger");
        } finally {
            await other.dispose();
            await b.start();
        }
        await waitFor(async () => (await a.api(`/hosts/${known.id}`)).json.state === "online", {
            timeout: 90_000,
            interval: 500,
            what: "the attic to be back",
        });
    });

    for (const status of [404, 405])
        test(`a host that answers the call with ${status} is too old to tell`, async (t) => {
            /** @type {string[]} */
            const asked = [];
            const old = await fakeHost(t, {
                name: "grandpa",
                handler: (req, res) => {
                    if (req.url !== "/hostpair/callback") return false;
                    asked.push(req.method ?? "");
                    res.writeHead(status).end();
                    return true;
                },
            });
            const said = await run(["--json", `127.0.0.1:${old.port}`]);
            const { findings } = JSON.parse(said.stdout);
            /** @param {string} slug */
            const find = (slug) => findings.find((/** @type {any} */ f) => f.slug === slug);
            assert.deepEqual(asked, ["POST"], said.stdout);
            assert.equal(find("back-too-old")?.todo, "Bring it up to date.", said.stdout);
            assert.match(find("back-too-old").text, /grandpa .* older hostpair/, said.stdout);
            assert.equal(find("back-too-old").severity, "note", said.stdout);
        });

    /** @param {any[]} findings */
    const ofClocks = (findings) => findings.filter((one) => one.slug.startsWith("clock-"));

    for (const [ahead, slug, seconds, words] of /** @type {[number, string, number, string][]} */ ([
        [5 * 3600, "clock-ahead", 18000, "5 h ahead of"],
        [-3 * 86400, "clock-behind", 259200, "3 days behind"],
        [90, "clock-ahead", 90, "90 s ahead of"],
        [-900, "clock-behind", 900, "15 min behind"],
    ]))
        test(`a clock that is ${words} this one is told with what to do`, async (t) => {
            const wrong = await fakeHost(t, { name: "grandpa", ahead: ahead * 1000 });
            const said = await run(["--json", `127.0.0.1:${wrong.port}`]);
            const told = ofClocks(JSON.parse(said.stdout).findings);
            assert.equal(told.length, 1, said.stdout);
            const [{ data, ...one }] = told;
            assert.deepEqual(one, {
                slug,
                severity: "problem",
                text: `The clock of grandpa is ${words} this machine's.`,
                todo: "One of both is wrong. Where it is, let it be set by the network:",
                command: "sudo timedatectl set-ntp true",
            });
            // Half a round trip may be the error of what was measured.
            assert.ok(Math.abs(data.seconds - seconds) <= 1, said.stdout);
            assert.equal(said.code, 1, said.stdout);
        });

    for (const ahead of [0, 40, -40])
        test(`a clock that is ${ahead} s off is near enough, and nothing is said`, async (t) => {
            const right = await fakeHost(t, { name: "grandpa", ahead: ahead * 1000 });
            const said = await run(["--json", `127.0.0.1:${right.port}`]);
            const { findings } = JSON.parse(said.stdout);
            assert.ok(
                findings.some((/** @type {any} */ one) => one.slug === "answers"),
                said.stdout,
            );
            assert.deepEqual(ofClocks(findings), []);
        });

    test("the clock of a known host is told with this machine, and once where the host is asked for", async (t) => {
        const wrong = await fakeHost(t, { name: "grandpa", ahead: 7200_000 });
        const known = await addHost(a, wrong.port);
        t.after(() => a.api(`/hosts/${known.id}`, { method: "DELETE" }));
        for (const args of [[], [known.id]]) {
            const said = await run(["--json", ...args]);
            const told = ofClocks(JSON.parse(said.stdout).findings);
            assert.deepEqual(
                told.map((one) => one.text),
                ["The clock of grandpa is 2 h ahead of this machine's."],
                said.stdout,
            );
        }
    });

    test("without a hostpair that runs it looks at what can be seen, and says that none runs", async (t) => {
        const env = { HOSTPAIR_DATA: tempDir(t), HOSTPAIR_DASHBOARD_LISTEN: `127.0.0.1:${await freePort()}` };
        const said = await run(["--json", `127.0.0.1:${b.peerPort}`], env);
        assert.equal(said.code, 1, said.stdout + said.stderr);
        const findings = JSON.parse(said.stdout).findings;
        assert.equal(findings[0].slug, "not-running");
        assert.equal(findings[0].command, "hostpair");
        assert.equal(findings.at(-1).slug, "connects", said.stdout);
        const unknown = await run(["nosuchhost.invalid"], env);
        assert.match(unknown.stdout, /The name nosuchhost\.invalid is not known/);
        const wrong = await run(["a b"], env);
        assert.equal(wrong.code, 2, wrong.stdout + wrong.stderr);
        assert.match(wrong.stderr, /a b/);
    });

    test("a server that refuses is no finding: it could not look", async () => {
        const said = await run(["10.0.0.1:99999"]);
        assert.equal(said.code, 2, said.stdout + said.stderr);
        assert.match(said.stderr, /99999/);
    });

    test("every finding has its words in Chinese", () => {
        const text = readFileSync(join(checkout, "web/src/views/doctor-texts.ts"), "utf8");
        const slugs = allSlugs();
        assert.ok(slugs.length > 40, `${slugs}`);
        const without = slugs.filter(
            (slug) => !new RegExp(`^  (?:"${slug}"|${slug.includes("-") ? "-" : slug}):`, "m").test(text),
        );
        assert.deepEqual(without, []);
    });
});

describe("the page of the doctor", { skip }, () => {
    /** @type {Hostpair} */
    let a;
    /** @type {Hostpair} */
    let b;
    before(async () => {
        a = await startHostpair({ name: "studio" });
        b = await startHostpair({ name: "attic" });
    });
    after(async () => {
        await closeBrowser();
        await a?.dispose();
        await b?.dispose();
    });

    test("it is a click away from the empty hosts view, from Settings, and from an add that failed", async (t) => {
        const page = await openDashboard(t, a, "#/hosts", { expected: /\/api\/v1\/hosts$/ });
        const link = page.getByRole("main").getByRole("link", { name: "Something missing?" });
        await link.click();
        await page.getByRole("heading", { name: "Something missing?" }).waitFor();
        await page.getByText(/listens at 127\.0\.0\.1 only/).waitFor();

        await page.goto(`${a.dashboardUrl}/#/settings`);
        await link.waitFor();

        await page.goto(`${a.dashboardUrl}/#/hosts`);
        await page.getByRole("main").getByRole("button", { name: "Add host" }).first().click();
        const port = await freePort();
        await page.getByLabel("Address").fill(`127.0.0.1:${port}`);
        await page.getByRole("dialog").getByRole("button", { name: "Add", exact: true }).click();
        await page.getByRole("dialog").getByRole("link", { name: "Something missing?" }).click();
        await page.getByText(/refuses the connection/).waitFor();
        assert.equal(await page.getByRole("dialog").count(), 0);
        assert.equal(await page.getByLabel("Which host is missing?").inputValue(), `127.0.0.1:${port}`);
        await page.getByRole("status").filter({ hasText: "One thing needs attention." }).waitFor();
        await assertAccessible(page, "the doctor's view");
    });

    test("a host is asked for by its name, in both languages, on a phone in the dark", async (t) => {
        await addHost(a, b.peerPort);
        const page = await openDashboard(t, a, "#/doctor", {
            width: 390,
            height: 844,
            locale: "zh-CN",
            colorScheme: "dark",
        });
        await page.getByLabel("找不到哪台主机？").fill("attic");
        await page.getByRole("button", { name: "检查", exact: true }).click();
        await page.getByText("回程正常：attic 已连接到本机的").waitFor();
        await page.getByText("从本机看来一切正常。").waitFor();
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(wide <= 390, `${wide} px wide`);
        await assertAccessible(page, "the doctor's view on a phone");
    });

    test("the hosts view says that nobody can connect here, and leads to the doctor", async (t) => {
        const page = await openDashboard(t, a, "#/settings");
        await page.getByRole("heading", { name: "Settings" }).waitFor();
        const status = (await a.api("/status")).json;
        status.notices.push({ code: "not_reached", text: "attic answers, but cannot connect." });
        checkEvent("status", status);
        const other = await page.context().newPage();
        await other.goto(`${a.dashboardUrl}/#/activity`);
        const line = page.getByText("Other hosts answer, but cannot connect here");
        const tell = () =>
            other.evaluate(
                (event) => new BroadcastChannel("hostpair-events").postMessage({ kind: "event", event }),
                { id: "", type: "status", data: status },
            );
        await tell();
        assert.equal(await line.count(), 0, "other views have no room for it");
        await page.goto(`${a.dashboardUrl}/#/hosts`);
        // The server tells another status whenever something changes: what is seen is seen in one go.
        const seen = await waitFor(
            async () => {
                await tell();
                return page.evaluate(() => {
                    const shown = document.querySelector('main [data-notice="not_reached"]');
                    return shown && { text: shown.textContent, to: shown.querySelector("a")?.hash };
                });
            },
            { timeout: 20_000, interval: 300, what: "the line above the hosts" },
        );
        assert.match(seen.text ?? "", /^Other hosts answer, but cannot connect here.* Find out why$/);
        assert.equal(seen.to, "#/doctor");
    });
});
