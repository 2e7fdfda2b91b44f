// @ts-check
// Hosts that find each other, on networks made of namespaces.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { cpSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { sleep, tempDir, waitFor } from "../e2e/harness.mjs";
import { Lan, whyNot } from "./lan.mjs";

const skip = whyNot() || false;
const BEACON_ONLY = ["--no-scan"];
const SCAN_ONLY = ["--no-beacon"];
const QUIET = ["--no-scan", "--no-beacon"];

/** @param {Lan} lan @param {string[]} names */
function oneNetwork(lan, names) {
    lan.network("home");
    names.forEach((name, i) => lan.host(name, { home: `10.77.0.${i + 1}/24` }));
}

/** Waits until each of these sees all the others; the time since the last one was up. @param {import("./lan.mjs").LanHost[]} hosts @param {number} timeout */
async function waitForAll(hosts, timeout) {
    const start = Math.max(...hosts.map((h) => h.upAt));
    await Promise.all(
        hosts.map((h) =>
            h.waitForHosts(
                hosts.filter((other) => other !== h).map((other) => other.host),
                timeout,
            ),
        ),
    );
    return performance.now() - start;
}

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
            detail: async () => ({ hosts: await a.hosts(), log: a.log().slice(-2000) }),
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

test("a network that drops multicast and broadcast is scanned", { skip }, async (t) => {
    const lan = new Lan(t);
    oneNetwork(lan, ["a", "b"]);
    for (const host of ["a", "b"]) {
        try {
            lan.on(
                host,
                "nft",
                "add table inet t; add chain inet t in { type filter hook input priority 0; }; " +
                    "add rule inet t in udp dport 9000 drop",
            );
        } catch (error) {
            t.skip("nft is not installed");
            return;
        }
    }
    const a = await lan.start("a");
    const b = await lan.start("b");
    const ms = await waitForAll([a, b], 6000);
    t.diagnostic(`${ms.toFixed(0)} ms`);
    assert.equal((await b.find("a")).found_by, "scan");
});

test("hosts find each other when every fifth packet is lost", { skip }, async (t) => {
    const lan = new Lan(t);
    oneNetwork(lan, ["a", "b", "c"]);
    const how = losePackets(lan, ["a", "b", "c"], 20);
    if (!how) {
        t.skip("neither netem, nft with numgen nor iptables with statistic work in this kernel");
        return;
    }
    const hosts = [];
    for (const name of ["a", "b", "c"]) hosts.push(await lan.start(name));
    const ms = await waitForAll(hosts, 30_000);
    t.diagnostic(`${ms.toFixed(0)} ms, by ${how}`);
    // And they stay: two lost probes in a row do not show a host offline.
    await sleep(5000);
    for (const host of hosts) assert.ok(!host.log().includes("is offline"), host.log());
});

/** @param {Lan} lan @param {string[]} hosts @param {number} percent */
function losePackets(lan, hosts, percent) {
    const ways = {
        netem: (/** @type {string} */ h) =>
            lan.on(h, "tc", "qdisc", "add", "dev", "home", "root", "netem", "loss", `${percent}%`),
        nft: (/** @type {string} */ h) =>
            lan.on(
                h,
                "nft",
                "add table inet l; add chain inet l in { type filter hook input priority 0; }; " +
                    `add rule inet l in iifname home numgen random mod 100 < ${percent} drop`,
            ),
        iptables: (/** @type {string} */ h) =>
            lan.on(
                h,
                "iptables-legacy",
                "-A",
                "INPUT",
                "-i",
                "home",
                "-m",
                "statistic",
                "--mode",
                "random",
                "--probability",
                String(percent / 100),
                "-j",
                "DROP",
            ),
    };
    for (const [name, way] of Object.entries(ways)) {
        try {
            for (const host of hosts) way(host);
            return name;
        } catch {
            // the next one
        }
    }
    return "";
}

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
    await waitFor(async () => !(await running()), { what: "the scan of the start to end" });
    // As every container comes: the end of a cable, with nothing but a link-local address.
    const seen = changes();
    lan.on("a", "ip", "link", "add", "end0", "type", "veth", "peer", "name", "end1");
    lan.on("a", "ip", "link", "set", "end0", "master", "bridge0", "up");
    lan.on("a", "ip", "link", "set", "end1", "up");
    await waitFor(() => changes() > seen, { what: "the change", interval: 10, detail: a.log });
    assert.equal(await running(), false);
    lan.on("a", "ip", "address", "add", "10.88.0.1/24", "broadcast", "+", "dev", "bridge0");
    await waitFor(running, { what: "the scan of a new network", interval: 10, detail: a.log });
});

test(
    "changes of interfaces that are lost in a flood of them do not end the watching",
    { skip },
    async (t) => {
        const lan = new Lan(t);
        for (const network of ["home", "first", "second"]) lan.network(network);
        lan.host("a", { home: "10.77.0.1/24" });
        const a = await lan.start("a", { args: QUIET });
        const changes = () => a.log().match(/interfaces have changed/g)?.length ?? 0;
        // While it stands still, the kernel has more to tell than it keeps for one who does not listen.
        process.kill(a.pid, "SIGSTOP");
        const flood =
            "seq 2 250 | sed 's/.*/address add 127.9.9.&\\/32 dev lo\\naddress del 127.9.9.&\\/32 dev lo/'";
        for (let i = 0; i < 4; i++) lan.on("a", "sh", "-c", `${flood} | ip -batch -`);
        const before = changes();
        lan.plug("a", "first", "10.88.0.1/24");
        process.kill(a.pid, "SIGCONT");
        await waitFor(() => changes() > before, { what: "the first change", detail: a.log });
        const seen = changes();
        lan.plug("a", "second", "10.99.0.1/24");
        await waitFor(() => changes() > seen, { what: "the second change", detail: a.log });
    },
);

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

test("a flood of datagrams from one address costs the others nothing", { skip }, async (t) => {
    const lan = new Lan(t);
    oneNetwork(lan, ["a", "b", "flood"]);
    const a = await lan.start("a", { args: BEACON_ONLY });
    const seconds = 5;
    const before = cpu(a.pid);
    const start = performance.now();
    const sent = flood(lan, "flood", "10.77.0.1", 10_000, seconds);
    await sleep(500);
    const b = await lan.start("b", { args: BEACON_ONLY });
    const found = performance.now();
    await a.waitForHosts(["b"], 4000);
    const foundIn = performance.now() - found;
    // A call is a process of its own here, and one or two of them wait long for a busy machine; a flood that costs anything
    // costs every call.
    const calls = [];
    while (performance.now() - start < seconds * 1000) {
        const at = performance.now();
        await a.api("/status");
        calls.push(performance.now() - at);
    }
    const slow = calls.sort((x, y) => x - y)[Math.floor(calls.length * 0.8)];
    const used = cpu(a.pid) - before;
    t.diagnostic(
        `${await sent} datagrams; b found in ${foundIn.toFixed(0)} ms, four of five calls with curl within ${slow.toFixed(0)} ms, ` +
            `${((100 * used) / seconds).toFixed(0)} % of a core`,
    );
    assert.ok((await sent) >= 8000 * seconds, `only ${await sent} datagrams were sent`);
    assert.ok(foundIn <= 2500, `b was found after ${foundIn} ms`);
    assert.ok(slow < 500, `one of five calls took ${slow} ms or more`);
    assert.ok(used / seconds < 0.25, `${used} s of ${seconds} s`);
    assert.ok((await a.hosts()).length <= 1 + 1, "ids that nobody answers for are no hosts");
    await b.waitForHosts(["a"], 4000);
});

/** CPU seconds that a process has used. @param {number} pid */
function cpu(pid) {
    const stat = execFileSync("cat", [`/proc/${pid}/stat`]).toString();
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / 100;
}

/**
 * Sends well-formed beacons with ever new ids; how many it managed.
 * @param {Lan} lan @param {string} host @param {string} to @param {number} perSecond @param {number} seconds
 * @returns {Promise<number>}
 */
function flood(lan, host, to, perSecond, seconds) {
    const program = `
        const socket = require("dgram").createSocket("udp4");
        let sent = 0, queued = 0;
        const start = process.hrtime.bigint();
        const timer = setInterval(() => {
            const passed = Number(process.hrtime.bigint() - start) / 1e9;
            if (passed >= ${seconds}) {
                clearInterval(timer);
                console.log(sent);
                socket.close();
                return;
            }
            for (; queued < passed * ${perSecond}; queued++) {
                const id = queued.toString(16).padStart(32, "0");
                socket.send(JSON.stringify({ hostpair: 1, id, name: "x", port: 9000, instance: id, reply: false }), 9000, "${to}",
                    (error) => { if (!error) sent++; });
            }
        }, 2);`;
    const child = spawn("ip", ["netns", "exec", lan.namespaceOf(host), process.execPath, "-e", program], {
        stdio: ["ignore", "pipe", "inherit"],
    });
    let out = "";
    child.stdout.on("data", (text) => (out += text));
    return new Promise((done) => child.on("close", () => done(Number(out))));
}

test("hostile names are shown as text", { skip }, async (t) => {
    const lan = new Lan(t);
    oneNetwork(lan, ["a", "evil"]);
    const names = [
        `<img src=x onerror=alert(1)>`,
        `"; DROP TABLE host; --`,
        `\u001b[2J\u0007bell\u0000`,
        `שלום \u202egnp.exe`,
        "x".repeat(255),
        "é".repeat(200),
        "\ud83d\ude00 & \u0085",
    ];
    const program = `
        const names = ${JSON.stringify(names)};
        names.forEach((name, i) => require("http").createServer((req, res) => {
            const id = (i + 1).toString(16).padStart(32, "e");
            if (req.url === "/list") { res.setHeader("content-type", "application/x-ndjson"); res.end(""); return; }
            res.setHeader("content-type", "application/json");
            res.end(JSON.stringify({ id, name, version: "9", protocol: 1, time: new Date().toISOString(), files: 1, bytes: 1 }));
        }).listen(9000 + i, "10.77.0.2", () => console.log("up")));`;
    const server = spawn("ip", ["netns", "exec", lan.namespaceOf("evil"), process.execPath, "-e", program], {
        stdio: ["ignore", "pipe", "inherit"],
    });
    t.after(() => server.kill());
    let up = "";
    server.stdout.on("data", (text) => (up += text));
    await waitFor(() => up.split("up").length - 1 === names.length, { what: "the servers" });
    const a = await lan.start("a", { args: QUIET });
    for (let i = 0; i < names.length; i++) {
        const reply = await a.api("/hosts", { json: { address: `10.77.0.2:${9000 + i}` } });
        assert.equal(reply.status, 201, reply.text);
        const { name } = reply.json;
        assert.ok(Buffer.byteLength(name) <= 255, name);
        assert.doesNotMatch(name, /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/u);
    }
    const hosts = await a.hosts();
    const shown = hosts.map((h) => h.name);
    assert.ok(shown.includes(names[0]) && shown.includes(names[1]), "markup stays what it is: text");
    assert.ok(shown.some((name) => name.startsWith("שלום ")));
    assert.ok(shown.includes("x".repeat(255)));
    assert.doesNotMatch(a.log(), /\u001b|\u0007|\u202e/u, "no escape sequence reaches the log");
});

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
            detail: async () => ({ host: await a.find("b"), log: a.log().slice(-1500) }),
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
            detail: async () => ({ host: await a.find("b"), log: a.log().slice(-1500) }),
        });
        t.diagnostic(`file ${i} seen after ${Math.round(performance.now() - from)} ms`);
    }
    const page = await a.api(`/hosts/${id}/files`);
    assert.equal(page.json.files.length, 3);
});

/** The file that a container's runtime leaves, in a /run of its own. */
const IN_CONTAINER = [
    "unshare",
    "--mount",
    "--propagation",
    "private",
    "sh",
    "-c",
    'mount -t tmpfs none /run && touch /run/.containerenv && exec "$0" "$@"',
];

test(
    "a container on a bridge says once that others cannot reach it, and names --advertise",
    { skip },
    async (t) => {
        const lan = new Lan(t);
        oneNetwork(lan, ["inside", "told", "card", "plain", "public"]);
        const notices = async (/** @type {import("./lan.mjs").LanHost} */ h) =>
            (await h.api("/status")).json.notices;

        const inside = await lan.start("inside", { args: QUIET, wrap: IN_CONTAINER });
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
        await waitFor(async () => (await notices(card)).length === 1, { what: "the notice" });
        assert.equal(card.log().match(/cannot reach it/g)?.length, 1);

        const plain = await lan.start("plain", { args: QUIET });
        const signs = existsSync("/.dockerenv") || existsSync("/run/.containerenv") || process.env.container;
        assert.equal((await notices(plain)).length, signs ? 1 : 0, "as this machine is no container, or is");
        lan.on("public", "ip", "address", "add", "203.0.113.5/24", "dev", "home");
        const routed = await lan.start("public", { args: QUIET, wrap: IN_CONTAINER });
        assert.deepEqual(await notices(routed), [], "with an address that others may reach");
    },
);
