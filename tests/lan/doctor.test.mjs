// @ts-check
// What the doctor says of networks on which something is wrong: closed ports in one direction and in both, names that do
// not exist, keys that two hosts have, clocks that differ; and that nobody can make a host connect elsewhere.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { MiB, defaultBin, makeBytes, tempDir, waitFor } from "../e2e/harness.mjs";
import { IN_CONTAINER, Lan, whyNot } from "./lan.mjs";

const skip = whyNot() || (existsSync("/usr/sbin/nft") ? false : "nft is not installed");
const BEACON_ONLY = ["--no-scan"];

/** @typedef {import("./lan.mjs").LanHost} LanHost */

/** @param {{ after(fn: () => unknown): unknown }} t @param {string[]} names */
function home(t, ...names) {
    const lan = new Lan(t);
    lan.network("home");
    names.forEach((name, i) => lan.host(name, { home: `10.77.0.${i + 1}/24` }));
    return lan;
}

/** `hostpair doctor` on a machine, as root. @param {Lan} lan @param {LanHost} h @param {string[]} args
 * @returns {Promise<{ code: number, stdout: string, stderr: string, findings: any[] }>} */
const doctor = (lan, h, ...args) =>
    new Promise((done, fail) => {
        const command = ["netns", "exec", lan.namespaceOf(h.host), defaultBin, "--data", h.dataDir];
        execFile(
            "ip",
            [...command, "doctor", "--json", ...args],
            { timeout: 60_000, env: { ...process.env, ASAN_OPTIONS: "detect_leaks=1" } },
            (error, stdout, stderr) => {
                if (error && typeof error.code !== "number") return fail(error);
                let findings = [];
                try {
                    findings = JSON.parse(stdout).findings;
                } catch {
                    return fail(new Error(`no JSON: ${stdout} ${stderr}`));
                }
                done({ code: Number(error?.code ?? 0), stdout, stderr, findings });
            },
        );
    });

/** @param {{ findings: any[], stdout: string }} said @param {string} slug */
function finding(said, slug) {
    const found = said.findings.find((one) => one.slug === slug);
    assert.ok(found, `${slug} in ${said.stdout}`);
    return found;
}

/** @param {{ findings: any[] }} said */
const slugs = (said) => said.findings.map((one) => one.slug);

/** Closes a port for what comes in. @param {Lan} lan @param {string} host @param {string} rule */
function drop(lan, host, rule) {
    lan.on(host, "nft", "add", "table", "inet", "filter");
    lan.on(host, "nft", "add", "chain", "inet", "filter", "input", "{ type filter hook input priority 0; }");
    lan.on(host, "nft", "add", "rule", "inet", "filter", "input", ...rule.split(" "));
}

test(
    "two hosts with nothing wrong: every step is told, with the speed and the way back",
    { skip, timeout: 120_000 },
    async (t) => {
        const lan = home(t, "a", "attic");
        const root = tempDir(t);
        mkdirSync(join(root, "share"), { recursive: true });
        writeFileSync(join(root, "share", "film.bin"), makeBytes(10 * MiB, 1));
        const a = await lan.start("a", { args: BEACON_ONLY });
        await lan.start("attic", { root, args: BEACON_ONLY });
        const attic = await waitFor(() => a.find("attic"), { what: "the attic" });
        for (const name of ["attic", attic.id, "10.77.0.2", "http://10.77.0.2:9000/"]) {
            const said = await doctor(lan, a, name);
            assert.equal(said.code, 0, said.stdout);
            for (const slug of [
                "interface",
                "filter-none",
                "route",
                "connects",
                "answers",
                "list",
                "back-works",
            ])
                finding(said, slug);
            assert.equal(finding(said, "answers").data.id, attic.id, said.stdout);
            assert.equal(finding(said, "route").data.interface, "home", said.stdout);
            assert.equal(finding(said, "list").data.files, 1, said.stdout);
            assert.equal(finding(said, "speed").data.bytes, 8 * MiB, said.stdout);
            // A host that is known is asked at the address that answered first, which may be the link's own.
            const own = finding(said, "back-works").data.own;
            if (name.includes("10.77.0.2")) assert.equal(own, "10.77.0.1:9000", said.stdout);
            else assert.match(own, /^(10\.77\.0\.1|\[fe80::[0-9a-f:]+%home\]):9000$/, said.stdout);
            const interface_ = finding(said, "interface").data;
            assert.ok(interface_.beacons_sent > 0 && interface_.beacons_heard > 0, said.stdout);
            assert.equal(interface_.network, "10.77.0.1/24");
        }
    },
);

test(
    "a port that is closed here: others are seen, nobody sees this host, and it is told with the command that opens it",
    { skip, timeout: 180_000 },
    async (t) => {
        const lan = home(t, "a", "attic");
        drop(lan, "a", "tcp dport 9000 drop");
        const a = await lan.start("a", { args: BEACON_ONLY });
        await lan.start("attic", { args: BEACON_ONLY });
        await waitFor(() => a.find("attic"), { what: "the attic" });
        const command = "sudo nft insert rule inet filter input tcp dport 9000 accept";

        // By itself, on the page.
        const notice = await waitFor(
            async () =>
                (await a.api("/status")).json.notices.find(
                    (/** @type {any} */ n) => n.code === "not_reached",
                ),
            { timeout: 60_000, what: "the word that nobody connects", detail: () => a.log().slice(-3000) },
        );
        assert.match(notice.text, /^attic answers this host, but cannot connect to it/);

        const alone = await doctor(lan, a);
        assert.equal(alone.code, 1, alone.stdout);
        assert.equal(finding(alone, "filter-closed").command, command, alone.stdout);
        assert.equal(finding(alone, "filter-closed").data.where, "inet filter input");
        assert.equal(finding(alone, "nobody-connects").command, command, alone.stdout);

        const said = await doctor(lan, a, "attic");
        assert.equal(said.code, 1, said.stdout);
        finding(said, "answers");
        const back = finding(said, "back-blocked");
        assert.equal(back.data.reason, "timeout", said.stdout);
        assert.equal(back.command, command, said.stdout);
        assert.match(back.todo, /one-way/);

        // The command is right.
        lan.on("a", ...command.split(" ").slice(1));
        const after = await doctor(lan, a, "attic");
        assert.equal(after.code, 0, after.stdout);
        finding(after, "back-works");
        const { notices } = (await a.api("/status")).json;
        assert.deepEqual(
            notices.filter((/** @type {any} */ n) => n.code === "not_reached"),
            [],
        );
    },
);

test(
    "a port that is closed there: both ways are blocked, and the doctor there says how to open it",
    { skip, timeout: 120_000 },
    async (t) => {
        const lan = home(t, "a", "attic");
        drop(lan, "attic", "tcp dport 9000 drop");
        drop(lan, "a", "tcp dport 9000 reject");
        const a = await lan.start("a", { args: ["--no-scan", "--no-beacon"] });
        const attic = await lan.start("attic", { args: ["--no-scan", "--no-beacon"] });
        const said = await doctor(lan, a, "10.77.0.2");
        assert.equal(said.code, 1, said.stdout);
        const timeout = finding(said, "connect-timeout");
        assert.match(timeout.todo, /both ways are blocked/);
        assert.equal(timeout.command, "sudo hostpair doctor");
        assert.ok(!slugs(said).includes("back-blocked"), said.stdout);
        assert.equal(
            finding(await doctor(lan, attic), "filter-closed").command,
            "sudo nft insert rule inet filter input tcp dport 9000 accept",
        );
        // Rejected is not dropped.
        finding(await doctor(lan, attic, "10.77.0.1"), "connect-refused");
    },
);

test(
    "iptables is told by its own command, and a machine without the rule by none",
    { skip: skip || !existsSync("/usr/sbin/iptables"), timeout: 120_000 },
    async (t) => {
        const lan = home(t, "a");
        const a = await lan.start("a", { args: ["--no-scan", "--no-beacon"] });
        finding(await doctor(lan, a), "filter-none");
        lan.on("a", "iptables", "-P", "INPUT", "DROP");
        lan.on("a", "iptables", "-A", "INPUT", "-i", "lo", "-j", "ACCEPT");
        lan.on("a", "iptables", "-A", "INPUT", "-m", "conntrack", "--ctstate", "ESTABLISHED", "-j", "ACCEPT");
        const closed = finding(await doctor(lan, a), "filter-closed");
        assert.equal(closed.command, "sudo iptables -I INPUT -p tcp --dport 9000 -j ACCEPT");
        lan.on("a", ...closed.command.split(" ").slice(1));
        const open = await doctor(lan, a);
        assert.ok(!slugs(open).includes("filter-closed"), open.stdout);
        finding(open, "filter-closed-udp"); // beacons
    },
);

test(
    "a port that is closed for IPv6 alone is named, with the command that opens it",
    { skip, timeout: 120_000 },
    async (t) => {
        const lan = home(t, "a", "attic");
        const a = await lan.start("a", { args: ["--no-scan", "--no-beacon"] });
        finding(await doctor(lan, a), "filter-none");
        drop(lan, "a", "meta nfproto ipv6 tcp dport 9000 drop");
        const said = await doctor(lan, a);
        const closed = finding(said, "filter-closed-ipv6");
        assert.equal(
            closed.text,
            "The packet filter of this machine (nftables, inet filter input) keeps other hosts out over IPv6: " +
                "TCP port 9000 is closed on home.",
        );
        assert.equal(closed.command, "sudo nft insert rule inet filter input tcp dport 9000 accept");
        assert.equal(closed.severity, "note", "other hosts connect over IPv4");
        assert.ok(!slugs(said).includes("filter-closed"), said.stdout);
        assert.equal(said.code, 0, said.stdout);
        // The command is right.
        lan.on("a", ...closed.command.split(" ").slice(1));
        const after = slugs(await doctor(lan, a));
        assert.ok(!after.some((slug) => /^filter-(closed|some)/.test(slug)), after.join());
        lan.on("a", "nft", "flush", "chain", "inet", "filter", "input");
        lan.on("a", ..."nft add rule inet filter input meta nfproto ipv6 tcp dport 9000 drop".split(" "));
        await lan.start("attic", { args: ["--no-scan", "--no-beacon"] });
        const address = lan.on("attic", "ip", "-6", "-o", "address", "show", "dev", "home", "scope", "link");
        const at = `${address.match(/fe80::[0-9a-f:]+/)?.[0]}%home`;
        const blocked = await doctor(lan, a, at);
        const back = finding(blocked, "back-blocked");
        assert.match(back.data.own, /^\[fe80::/, blocked.stdout);
        assert.equal(back.command, closed.command, "the own filter is what keeps it out");
        finding(await doctor(lan, a, "10.77.0.2"), "back-works");
        // Of both families, it is told once.
        lan.on("a", "nft", "flush", "chain", "inet", "filter", "input");
        lan.on("a", "nft", "add", "rule", "inet", "filter", "input", "tcp", "dport", "9000", "drop");
        const both = slugs(await doctor(lan, a)).filter((slug) => slug.startsWith("filter-"));
        assert.deepEqual(both, ["filter-closed"]);
    },
);

test(
    "ip6tables is told by its own command",
    { skip: skip || !existsSync("/usr/sbin/ip6tables"), timeout: 120_000 },
    async (t) => {
        const lan = home(t, "a");
        const a = await lan.start("a", { args: ["--no-scan", "--no-beacon"] });
        lan.on("a", "ip6tables", "-A", "INPUT", "-p", "tcp", "--dport", "9000", "-j", "REJECT");
        const closed = finding(await doctor(lan, a), "filter-closed-ipv6");
        assert.equal(closed.command, "sudo ip6tables -I INPUT -p tcp --dport 9000 -j ACCEPT");
        assert.equal(closed.data.look, "sudo ip6tables-save");
        lan.on("a", ...closed.command.split(" ").slice(1));
        assert.ok(!slugs(await doctor(lan, a)).includes("filter-closed-ipv6"));
    },
);

/** A machine with a container on a bridge of its own behind NAT, and another machine. @param {{ after(fn: () => unknown): unknown }} t */
function containerOn(t) {
    const lan = home(t, "machine", "attic");
    lan.network("bridge");
    lan.plug("machine", "bridge", "172.18.0.1/16");
    lan.host("inside", { bridge: "172.18.0.2/16" });
    lan.on("inside", "ip", "route", "add", "default", "via", "172.18.0.1");
    lan.on("machine", "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward");
    lan.on("machine", "nft", "add", "table", "ip", "nat");
    lan.on(
        "machine",
        "nft",
        "add",
        "chain",
        "ip",
        "nat",
        "out",
        "{ type nat hook postrouting priority 100; }",
    );
    lan.on(
        "machine",
        "nft",
        "add",
        "chain",
        "ip",
        "nat",
        "in",
        "{ type nat hook prerouting priority -100; }",
    );
    const rule = ["nft", "add", "rule", "ip", "nat"];
    lan.on("machine", ...rule, "out", "ip", "saddr", "172.18.0.0/16", "oifname", "home", "masquerade");
    return {
        lan,
        /** As `--publish PORT:PORT` does. @param {number} port */
        publish: (port) =>
            lan.on(
                "machine",
                ...[...rule, "in", "iifname", "home", "tcp", "dport", `${port}`],
                ...["dnat", "to", `172.18.0.2:${port}`],
            ),
    };
}

const ALONE = ["--no-scan", "--no-beacon"];

test(
    "a container whose port is not published is told how to publish it, and how the way back fails",
    { skip, timeout: 120_000 },
    async (t) => {
        const { lan } = containerOn(t);
        const inside = await lan.start("inside", { args: ALONE, wrap: IN_CONTAINER });
        await lan.start("attic", { args: ALONE });
        const alone = await doctor(lan, inside);
        const hidden = finding(alone, "container-hidden");
        assert.equal(hidden.severity, "note", "a guess as yet");
        assert.match(hidden.text, /^hostpair runs in a container on a network of its own/);
        assert.match(hidden.todo, /Publish its port .*--advertise ADDR:PORT \(HOSTPAIR_ADVERTISE\)/);
        assert.equal(alone.code, 0, alone.stdout);

        const said = await doctor(lan, inside, "10.77.0.2");
        assert.equal(said.code, 1, said.stdout);
        finding(said, "answers");
        const back = finding(said, "back-blocked");
        assert.equal(back.data.own, "10.77.0.1:9000", "where others see the container");
        assert.match(back.todo, /a container's network between the two/);
        // Now it is none.
        assert.equal(finding(await doctor(lan, inside), "container-hidden").severity, "problem");
    },
);

test(
    "a container whose port is published is reached, and the guess is taken back",
    { skip, timeout: 120_000 },
    async (t) => {
        const { lan, publish } = containerOn(t);
        publish(9000);
        const inside = await lan.start("inside", { args: ALONE, wrap: IN_CONTAINER });
        await lan.start("attic", { args: ALONE });
        finding(await doctor(lan, inside), "container-hidden");
        const said = await doctor(lan, inside, "10.77.0.2");
        assert.equal(finding(said, "back-works").data.own, "10.77.0.1:9000", said.stdout);
        assert.equal(said.code, 0, said.stdout);
        assert.ok(!slugs(said).includes("container-hidden"), said.stdout);
        assert.ok(!slugs(await doctor(lan, inside)).includes("container-hidden"), "it stays known");
    },
);

test(
    "a published port that leads to another program is told apart, and --advertise ends the guess",
    { skip, timeout: 120_000 },
    async (t) => {
        const { lan } = containerOn(t);
        const inside = await lan.start("inside", {
            args: [...ALONE, "--advertise", "10.77.0.1:9000"],
            wrap: IN_CONTAINER,
        });
        await lan.start("attic", { args: ALONE });
        assert.ok(!slugs(await doctor(lan, inside)).includes("container-hidden"));
        await lan.start("machine", { args: ALONE }); // has the machine's port 9000
        const said = await doctor(lan, inside, "10.77.0.2");
        const other = finding(said, "back-other");
        assert.equal(other.data.own, "10.77.0.1:9000", said.stdout);
        assert.match(other.todo, /Publish hostpair's port there, and name it with --advertise ADDR:PORT/);
        assert.equal(said.code, 1, said.stdout);
    },
);

test("a name that nobody has, and an address that no network has", { skip, timeout: 90_000 }, async (t) => {
    const lan = home(t, "a");
    const a = await lan.start("a", { args: ["--no-scan", "--no-beacon"] });
    const said = await doctor(lan, a, "nosuchhost.invalid");
    assert.equal(said.code, 1, said.stdout);
    assert.equal(finding(said, "name-unknown").data.name, "nosuchhost.invalid");
    finding(await doctor(lan, a, "10.99.0.1"), "no-route");
});

test("two hosts with one key", { skip, timeout: 150_000 }, async (t) => {
    const lan = home(t, "a", "attic", "copy");
    const roots = [tempDir(t), tempDir(t)];
    const a = await lan.start("a", { args: BEACON_ONLY });
    const attic = await lan.start("attic", { root: roots[0], args: BEACON_ONLY });
    await waitFor(() => a.find("attic"), { what: "the attic" });
    await attic.stop();
    mkdirSync(join(roots[1], "data"), { recursive: true });
    cpSync(join(roots[0], "data", "identity.pem"), join(roots[1], "data", "identity.pem"));
    await lan.start("attic", { root: roots[0], args: BEACON_ONLY });
    await lan.start("copy", { root: roots[1], name: "copy", args: BEACON_ONLY });
    const said = await waitFor(
        async () => {
            const now = await doctor(lan, a);
            return slugs(now).includes("same-key") && now;
        },
        { timeout: 100_000, interval: 1000, what: "two hosts with one key", detail: () => a.hosts() },
    );
    assert.equal(said.code, 1, said.stdout);
    assert.equal(finding(said, "same-key").command, "hostpair identity --new");
});

test(
    "a host is called back at its own address only, and not more often than six times a minute",
    { skip, timeout: 120_000 },
    async (t) => {
        const lan = home(t, "a", "attic", "victim");
        const a = await lan.start("a", { args: ["--no-scan", "--no-beacon"] });
        const attic = await lan.start("attic", { args: ["--no-scan", "--no-beacon"] });
        await lan.start("victim", { args: ["--no-scan", "--no-beacon"] });
        // Nobody asks by itself: neither knows the other.
        const pem = join(a.dataDir, "identity.pem");
        /** @param {unknown} body @param {string[]} [more] */
        const ask = (body, more = ["--cert", pem]) => {
            const curl = [
                "curl",
                "-sk",
                "-m",
                "15",
                "--http1.1",
                "-w",
                "\n%{http_code} %header{retry-after}",
            ];
            const out = lan.on(
                "a",
                ...[...curl, ...more, "-d", JSON.stringify(body), "https://10.77.0.2:9000/hostpair/callback"],
            );
            const cut = out.lastIndexOf("\n");
            const [status, retry] = out.slice(cut + 1).split(" ");
            return { status: Number(status), retry: Number(retry), text: out.slice(0, cut) };
        };
        const own = (await a.api("/status")).json.id;
        const good = ask({ port: 9000, later: "unknown fields are passed over" });
        assert.equal(good.status, 200, good.text);
        const { connected, address, id } = JSON.parse(good.text);
        assert.deepEqual({ connected, address, id }, { connected: true, address: "10.77.0.1", id: own });

        const before = attic.log().length;
        assert.equal(ask({ port: 9000, address: "10.77.0.3" }).status, 422, "another address");
        assert.equal(ask({ port: 9000 }, []).status, 403, "who proves nothing");
        for (const body of [{}, { port: 0 }, { port: 65536 }, { port: "9000" }])
            assert.equal(ask(body).status, 422, JSON.stringify(body));
        assert.equal(ask([]).status, 400);
        assert.ok(!attic.log().slice(before).includes("10.77.0.3"), attic.log().slice(before));

        // A port where nobody listens is told, and counts.
        const refused = ask({ port: 9001 });
        assert.equal(JSON.parse(refused.text).reason, "refused", refused.text);
        const answers = Array.from({ length: 8 }, () => ask({ port: 9000 }));
        const statuses = answers.map((one) => one.status);
        assert.deepEqual(statuses, [200, 200, 200, 200, 429, 429, 429, 429], JSON.stringify(answers));
        assert.ok(answers[7].retry > 0 && answers[7].retry <= 60, JSON.stringify(answers[7]));
    },
);
