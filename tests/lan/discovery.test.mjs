// @ts-check
// Hosts that find each other, on networks made of namespaces.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { sleep, tempDir, waitFor } from "../e2e/harness.mjs";
import { BEACON_ONLY, QUIET, SCAN_ONLY, oneNetwork, skip, waitForAll } from "./discovery.mjs";
import { IN_CONTAINER, Lan } from "./lan.mjs";

test("three hosts find each other by beacon within two seconds", { skip }, async (t) => {
    const lan = new Lan(t);
    oneNetwork(lan, ["a", "b", "c"]);
    const hosts = [];
    for (const name of ["a", "b", "c"]) hosts.push(await lan.start(name, { args: BEACON_ONLY }));
    const ms = await waitForAll(hosts, 6000);
    t.diagnostic(`${ms.toFixed(0)} ms`);
    assert.ok(ms <= 2000, `it took ${ms} ms`);
    const b = await hosts[0].find("b");
    assert.equal(b.found_by, "beacon");
    assert.ok(
        b.addresses.some((/** @type {string} */ a) => a.includes("10.77.0.2")),
        JSON.stringify(b.addresses),
    );
});

test("three hosts find each other by scan alone within five seconds", { skip }, async (t) => {
    const lan = new Lan(t);
    oneNetwork(lan, ["a", "b", "c"]);
    const hosts = [];
    for (const name of ["a", "b", "c"]) hosts.push(await lan.start(name, { args: SCAN_ONLY }));
    const ms = await waitForAll(hosts, 8000);
    t.diagnostic(`${ms.toFixed(0)} ms`);
    assert.ok(ms <= 5000, `it took ${ms} ms`);
    assert.equal((await hosts[0].find("c")).found_by, "scan");
});

test("without scan and beacon nobody is found until a person scans", { skip }, async (t) => {
    const lan = new Lan(t);
    oneNetwork(lan, ["a", "b"]);
    const a = await lan.start("a", { args: QUIET });
    const b = await lan.start("b", { args: QUIET });
    await sleep(3000);
    assert.deepEqual(await a.hosts(), []);
    const reply = await a.api("/scan", { method: "POST" });
    assert.equal(reply.status, 202);
    assert.equal(reply.json.running, true);
    await a.waitForHosts(["b"], 5000);
    const scan = await waitFor(async () => {
        const status = (await a.api("/status")).json.scan;
        return !status.running && status;
    });
    assert.equal(scan.done, scan.total);
    assert.ok(scan.total >= 254, JSON.stringify(scan));
    assert.deepEqual(await b.hosts(), [], "b was told nothing by one who wants to be quiet");
});

test("a scan asked for while one runs starts after it", { skip }, async (t) => {
    const lan = new Lan(t);
    oneNetwork(lan, ["a", "b"]);
    const a = await lan.start("a", { args: QUIET });
    await a.api("/scan", { method: "POST" });
    await a.api("/scan", { method: "POST" });
    await waitFor(() => (a.log().match(/scanned \d+ addresses/g) ?? []).length === 2, { what: "two scans" });
    await sleep(500);
    assert.equal((await a.api("/status")).json.scan.running, false);
});

test("one host with a foot in two networks is one host, and each side finds it", { skip }, async (t) => {
    const lan = new Lan(t);
    lan.network("left");
    lan.network("right");
    lan.host("a", { left: "10.1.0.1/24" });
    lan.host("middle", { left: "10.1.0.2/24", right: "10.2.0.2/24" });
    lan.host("c", { right: "10.2.0.3/24" });
    const a = await lan.start("a");
    const middle = await lan.start("middle");
    const c = await lan.start("c");
    await a.waitForHosts(["middle"]);
    await c.waitForHosts(["middle"]);
    await middle.waitForHosts(["a", "c"]);
});

test("one host with two addresses in one network is one host", { skip }, async (t) => {
    const lan = new Lan(t);
    oneNetwork(lan, ["a", "b"]);
    const b = await lan.start("b");
    lan.on("b", "ip", "address", "add", "10.77.0.99/24", "dev", "home");
    const a = await lan.start("a");
    const found = await waitFor(async () => {
        const host = await a.find("b");
        return host?.addresses.length >= 2 && host;
    });
    assert.equal((await a.hosts()).length, 1);
    // The address in use goes: another one takes over, and nobody sees it offline.
    const first = found.addresses[0].includes("10.77.0.99") ? "10.77.0.99" : "10.77.0.2";
    t.diagnostic(`addresses: ${found.addresses.join(" ")}`);
    lan.on("b", "ip", "address", "del", `${first}/24`, "dev", "home");
    await a.api("/scan", { method: "POST" });
    await waitFor(async () => !(await a.find("b")).addresses[0].includes(first), {
        what: "another address in front",
    });
    assert.equal((await a.find("b")).state, "online");
    assert.ok(!a.log().includes("is offline"), a.log());
    assert.ok(b.pid > 0);
});

test("a host that leaves is offline, and is back soon after it returns", { skip }, async (t) => {
    const lan = new Lan(t);
    oneNetwork(lan, ["a", "b"]);
    const a = await lan.start("a");
    const root = tempDir();
    const b = await lan.start("b", { root });
    await a.waitForHosts(["b"]);
    await b.stop();
    await a.api("/scan", { method: "POST" });
    await a.waitForHosts([], 5000);
    assert.equal((await a.find("b")).state, "offline");
    await lan.start("b", { root });
    await a.waitForHosts(["b"], 3000);
    assert.equal((await a.hosts()).length, 1, "the same host, not another one");
});

test("a host that comes back with another address is the same host", { skip }, async (t) => {
    const lan = new Lan(t);
    oneNetwork(lan, ["a", "b"]);
    const a = await lan.start("a");
    const root = tempDir();
    const b = await lan.start("b", { root });
    await a.waitForHosts(["b"]);
    await b.stop();
    lan.on("b", "ip", "address", "flush", "dev", "home", "scope", "global");
    lan.on("b", "ip", "address", "add", "10.77.0.50/24", "broadcast", "+", "dev", "home");
    await lan.start("b", { root, args: BEACON_ONLY });
    await waitFor(
        async () =>
            (await a.find("b"))?.addresses[0].includes("10.77.0.50") ||
            (await a.find("b"))?.addresses[0].includes("fe80"),
        {
            what: "the new address",
            detail: async () => ({
                hosts: await a.hosts(),
                log: a.log().slice(-2000),
            }),
        },
    );
    await waitFor(
        async () => (await a.find("b")).addresses.some((/** @type {string} */ x) => x.includes("10.77.0.50")),
        {
            timeout: 5000,
            what: "the new IPv4 address among them",
            detail: () => a.hosts(),
        },
    );
    assert.equal((await a.hosts()).length, 1);
    assert.equal((await a.find("b")).state, "online");
});

test("an interface added while hostpair runs is used", { skip }, async (t) => {
    const lan = new Lan(t);
    lan.network("home");
    lan.network("late");
    lan.host("a", { home: "10.77.0.1/24" });
    lan.host("b", { late: "10.88.0.2/24" });
    const a = await lan.start("a");
    const b = await lan.start("b");
    await sleep(2500); // the announcements of the start are over
    assert.deepEqual(await a.hosts(), []);
    lan.plug("a", "late", "10.88.0.1/24");
    await a.waitForHosts(["b"], 5000);
    await b.waitForHosts(["a"], 5000);
});

test("an interface without a network of its own is no reason to scan", { skip }, async (t) => {
    const lan = new Lan(t);
    lan.network("home");
    lan.host("a", { home: "10.77.0.1/24" });
    const a = await lan.start("a", { args: SCAN_ONLY });
    const running = async () => (await a.api("/status")).json.scan.running;
    const changes = () => a.log().match(/interfaces have changed/g)?.length ?? 0;
    lan.on("a", "ip", "link", "add", "bridge0", "type", "bridge");
    lan.on("a", "ip", "link", "set", "bridge0", "up");
    await waitFor(async () => !(await running()), {
        what: "the scan of the start to end",
    });
    // As every container comes: the end of a cable, with nothing but a link-local address.
    const seen = changes();
    lan.on("a", "ip", "link", "add", "end0", "type", "veth", "peer", "name", "end1");
    lan.on("a", "ip", "link", "set", "end0", "master", "bridge0", "up");
    lan.on("a", "ip", "link", "set", "end1", "up");
    await waitFor(() => changes() > seen, {
        what: "the change",
        interval: 10,
        detail: a.log,
    });
    assert.equal(await running(), false);
    lan.on("a", "ip", "address", "add", "10.88.0.1/24", "broadcast", "+", "dev", "bridge0");
    await waitFor(running, {
        what: "the scan of a new network",
        interval: 10,
        detail: a.log,
    });
});

test(
    "two hosts with a copied data folder are reported, and neither is taken for the other",
    { skip },
    async (t) => {
        const lan = new Lan(t);
        oneNetwork(lan, ["a", "b", "copy"]);
        const roots = [tempDir(), tempDir()];
        const b = await lan.start("b", { root: roots[0], args: QUIET });
        await b.stop();
        cpSync(join(roots[0], "data"), join(roots[1], "data"), { recursive: true });
        const a = await lan.start("a");
        await lan.start("b", { root: roots[0] });
        await a.waitForHosts(["b"]);
        const copy = await lan.start("copy", { root: roots[1] });
        await waitFor(() => a.log().includes("has the same key as this one"), {
            what: "the report",
            timeout: 10_000,
            detail: () => a.log().slice(-3000),
        });
        await sleep(1500);
        const hosts = await a.hosts();
        assert.equal(hosts.length, 1);
        assert.equal(hosts[0].name, "b", "the one that was there first");
        assert.ok(
            !hosts[0].addresses.some((/** @type {string} */ x) => x.includes("10.77.0.3")),
            JSON.stringify(hosts),
        );
        await waitFor(() => /data folders? is a copy|same key as this one/.test(copy.log()), {
            what: "the copy to hear of it",
            detail: () => copy.log().slice(-3000),
        });
        const reports = a.log().match(/has the same key as this one/g) ?? [];
        assert.ok(reports.length <= 2, `${reports.length} reports`);
    },
);

test("--host finds a host without scan and beacon, and keeps trying", { skip }, async (t) => {
    const lan = new Lan(t);
    oneNetwork(lan, ["a", "b"]);
    const b = await lan.start("b", { args: QUIET });
    const a = await lan.start("a", { args: [...QUIET, "--host", "10.77.0.2"] });
    await a.waitForHosts(["b"], 3000);
    assert.equal((await a.find("b")).found_by, "hand");
    assert.deepEqual(await b.hosts(), []);
});

test("--advertise is what others are told", { skip }, async (t) => {
    const lan = new Lan(t);
    oneNetwork(lan, ["a", "b"]);
    lan.on("b", "ip", "address", "add", "10.77.0.200/24", "dev", "home");
    const a = await lan.start("a", { args: BEACON_ONLY });
    await lan.start("b", {
        args: [...BEACON_ONLY, "--peer-listen", "10.77.0.200:9005", "--advertise", "10.77.0.200:9005"],
    });
    await a.waitForHosts(["b"], 4000);
    const b = await a.find("b");
    assert.deepEqual(b.addresses, ["10.77.0.200:9005"]);
});

test("hosts without IPv4 find each other over IPv6", { skip }, async (t) => {
    const lan = new Lan(t);
    oneNetwork(lan, ["a", "b"]);
    for (const host of ["a", "b"]) lan.on(host, "ip", "-4", "address", "flush", "dev", "home");
    const a = await lan.start("a", { args: BEACON_ONLY });
    const b = await lan.start("b", { args: BEACON_ONLY });
    const ms = await waitForAll([a, b], 6000);
    t.diagnostic(`${ms.toFixed(0)} ms`);
    assert.match((await a.find("b")).addresses[0], /^\[fe80:.*%home\]:9000$/);
});

test("the clock of another host is shown against ours", { skip }, async (t) => {
    const lan = new Lan(t);
    oneNetwork(lan, ["a", "b"]);
    const a = await lan.start("a", { args: BEACON_ONLY });
    const b = await lan.start("b", { args: BEACON_ONLY });
    await waitForAll([a, b], 6000);
    const seen = await a.find("b");
    assert.ok(Math.abs(seen.clock_offset_ms) <= 20, JSON.stringify(seen));
    assert.ok(seen.rtt_ms >= 0 && seen.rtt_ms < 500, JSON.stringify(seen));
});

test("files of a found host are listed without being asked for", { skip }, async (t) => {
    const lan = new Lan(t);
    oneNetwork(lan, ["a", "b"]);
    const a = await lan.start("a");
    const b = await lan.start("b");
    await waitForAll([a, b], 6000);
    writeFileSync(join(b.shareDir, "new file.txt"), "hello");
    await a.api("/scan", { method: "POST" });
    const { id } = await a.find("b");
    const page = await waitFor(
        async () => {
            const reply = await a.api(`/hosts/${id}/files`);
            return reply.status === 200 && reply.json.files.length === 1 && reply.json;
        },
        {
            timeout: 15_000,
            what: "the file in the list",
            detail: async () => ({
                host: await a.find("b"),
                log: a.log().slice(-1500),
            }),
        },
    );
    assert.equal(page.files[0].name, "new file.txt");
    assert.equal(page.files[0].size, 5);
});

test("a file that was added is seen by the others within seconds, again and again", { skip }, async (t) => {
    const lan = new Lan(t);
    oneNetwork(lan, ["a", "b"]);
    const a = await lan.start("a", { args: BEACON_ONLY });
    const b = await lan.start("b", { args: BEACON_ONLY });
    await waitForAll([a, b], 6000);
    const { id } = await a.find("b");
    for (let i = 1; i <= 3; i++) {
        const from = performance.now();
        writeFileSync(join(b.shareDir, `new ${i}.txt`), "hello");
        // The host's count, and not its files: to look at those would ask for news.
        await waitFor(async () => (await a.find("b")).files === i && !(await a.find("b")).listing, {
            timeout: 12_000,
            what: `file ${i}`,
            detail: async () => ({
                host: await a.find("b"),
                log: a.log().slice(-1500),
            }),
        });
        t.diagnostic(`file ${i} seen after ${Math.round(performance.now() - from)} ms`);
    }
    const page = await a.api(`/hosts/${id}/files`);
    assert.equal(page.json.files.length, 3);
});

test(
    "a container on a bridge says once that others cannot reach it, and names --advertise",
    { skip },
    async (t) => {
        const lan = new Lan(t);
        oneNetwork(lan, ["inside", "told", "card", "plain", "public"]);
        const notices = async (/** @type {import("./lan.mjs").LanHost} */ h) =>
            (await h.api("/status")).json.notices;

        const inside = await lan.start("inside", {
            args: QUIET,
            wrap: IN_CONTAINER,
        });
        const [notice, ...more] = await notices(inside);
        assert.deepEqual(more, []);
        assert.equal(notice.code, "unreachable_address");
        assert.match(notice.text, /10\.77\.0\.1:\d+/);
        assert.match(notice.text, /--advertise/);
        // Another cable is no card, and the same words are not said again.
        lan.network("second");
        lan.plug("inside", "second", "172.17.0.2/16");
        await waitFor(() => /interfaces have changed/.test(inside.log()));
        assert.equal((await notices(inside)).length, 1);
        assert.equal(inside.log().match(/cannot reach it/g)?.length, 1);

        const told = await lan.start("told", {
            args: [...QUIET, "--advertise", "192.168.1.5:9000"],
            wrap: IN_CONTAINER,
        });
        assert.deepEqual(await notices(told), []);

        // What is not the end of a virtual cable may be the machine's own network.
        lan.on("card", "ip", "link", "add", "card0", "type", "bridge", "forward_delay", "0");
        lan.on("card", "ip", "link", "set", "home", "master", "card0");
        lan.on("card", "ip", "address", "add", "192.168.7.7/24", "dev", "card0");
        lan.on("card", "ip", "link", "set", "card0", "up");
        await waitFor(() => /LOWER_UP/.test(lan.on("card", "ip", "link", "show", "card0")));
        const card = await lan.start("card", { args: QUIET, wrap: IN_CONTAINER });
        assert.deepEqual(await notices(card), []);
        // Until it goes.
        lan.on("card", "ip", "link", "del", "card0");
        await waitFor(async () => (await notices(card)).length === 1, {
            what: "the notice",
        });
        assert.equal(card.log().match(/cannot reach it/g)?.length, 1);

        const plain = await lan.start("plain", { args: QUIET });
        const signs = existsSync("/.dockerenv") || existsSync("/run/.containerenv") || process.env.container;
        assert.equal((await notices(plain)).length, signs ? 1 : 0, "as this machine is no container, or is");
        lan.on("public", "ip", "address", "add", "203.0.113.5/24", "dev", "home");
        const routed = await lan.start("public", {
            args: QUIET,
            wrap: IN_CONTAINER,
        });
        assert.deepEqual(await notices(routed), [], "with an address that others may reach");
    },
);

test("a page under a name that could be a site's is led to the address", { skip }, async (t) => {
    const lan = new Lan(t);
    oneNetwork(lan, ["a", "b"]);
    const a = await lan.start("a", { args: QUIET });
    writeFileSync(join(a.shareDir, "secret.txt"), "secret");
    /** @param {string} target @param {string[]} more */
    const curl = (target, ...more) =>
        execFileSync(
            "ip",
            // prettier-ignore
            ["netns", "exec", lan.namespaceOf("b"), "curl", "-sS", "-m", "20", "-w", "%{http_code} %{redirect_url}", ...more,
             "--resolve", "nas.example.org:9000:10.77.0.1", `http://nas.example.org:9000${target}`],
            { encoding: "utf8" },
        );
    const browser = ["-A", "Mozilla/5.0", "-H", "Accept: text/html"];
    for (const target of ["/", "/list", "/secret.txt", "/?folder=a%20b&after=%3C"])
        assert.equal(curl(target, ...browser), `307 http://10.77.0.1:9000${target}`);
    assert.match(curl("/", ...browser, "-L"), /<h1>Files of a<\/h1>[^]*200 $/);
    assert.match(
        curl("/list", ...browser, "-H", "Origin: http://nas.example.org:9000"),
        /^<!doctype[^]*403 $/,
    );
    assert.equal(
        curl("/hostpair/inbox", "-d", "{}", "-H", "Origin: http://nas.example.org:9000").slice(-4),
        "403 ",
    );
    await waitFor(() => curl("/list").startsWith("secret.txt"), { what: "the file, for curl as it is" });
});
