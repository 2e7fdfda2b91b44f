// @ts-check
// The quick start of README.md, as printed, on bare Debian releases: a root that holds git and nothing that hostpair
// needs. Then the Debian package, made there, in a second root: installed, run by a real systemd, upgraded, removed, purged.
// The network is this machine's, and only the package clients use it; systemd runs in a container without one.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { GiveUp, checkout, limitFile, request, tempDir, waitFor } from "./harness.mjs";
import { RELEASES, bareRoot, whyNoRoot } from "./roots.mjs";
import { systemdOn } from "./systemd.mjs";

limitFile(45); // it fetches and builds much

/** The packages made, by release. @type {Record<string, string>} */
const packages = {};
const kept = tempDir();

/** The commands of README.md's quick start. */
function quickStart() {
    const readme = readFileSync(join(checkout, "README.md"), "utf8");
    const block = /^## Quick start\n[^]*?^```sh\n([^]*?)^```$/m.exec(readme);
    assert.ok(block, "README.md has a quick start");
    return block[1].trim().split("\n");
}

for (const [title, release] of Object.entries(RELEASES))
    test(
        `the quick start works on a bare ${title}`,
        { skip: whyNoRoot(), timeout: 20 * 60_000 },
        async (t) => {
            const commands = quickStart();
            assert.deepEqual(commands, ["git clone URL hostpair", "hostpair/server/run"], "two commands");

            const started = performance.now();
            const seconds = () => ((performance.now() - started) / 1000).toFixed(0);
            const root = await bareRoot(t, release);
            t.diagnostic(`the bare root: ${seconds()} s`);
            mkdirSync(join(root.path, "srv"), { recursive: true });
            const clone = ["clone", "--quiet", "--bare", "--no-hardlinks", checkout];
            execFileSync("git", [...clone, join(root.path, "srv/hostpair.git")]);
            for (const program of ["gcc", "cmake", "node", "npm"])
                assert.notEqual(root.output(`which ${program}`).status, 0, `${program} is not there yet`);

            // As printed, but for the address, which README.md cannot know, and the options that keep it off the network.
            const options =
                "--no-scan --no-beacon --peer-listen 127.0.0.1:0 --dashboard-listen 127.0.0.1:0 --port-file /root/ports.json";
            const child = root.start(
                `cd\n${commands[0].replace("URL", "/srv/hostpair.git")}\nexec ${commands[1]} ${options}\n`,
            );
            let running = true;
            child.exited.then(() => (running = false));
            const ports = await waitFor(
                () => {
                    if (!running) throw new GiveUp(`server/run ended:\n${root.tail()}`);
                    return JSON.parse(readFileSync(join(root.path, "root/ports.json"), "utf8"));
                },
                { timeout: 18 * 60_000, interval: 200, what: "the port file", detail: root.tail },
            );
            t.diagnostic(`installed, built and started: ${seconds()} s`);
            const hello = await request(`http://127.0.0.1:${ports.peer}/hostpair`);
            assert.equal(hello.status, 200);
            assert.match(String(hello.headers["hostpair-id"]), /^[0-9a-f]{32}$/);
            const page = await request(`http://127.0.0.1:${ports.dashboard}/`);
            assert.equal(page.status, 200);
            assert.match(page.text, /<html/i);
            child.kill("SIGTERM");
            assert.deepEqual(await child.exited, { code: 0, signal: null }, root.tail());

            // Nothing was installed over the release's own files, and a second run builds nothing anew.
            assert.equal(root.output("find /usr/local -newer /srv/hostpair.git/HEAD -type f").stdout, "");
            assert.equal(root.output("cd /root/hostpair && git status --porcelain").stdout, "");

            await root.run(
                "cd /root/hostpair && docker/install-deps build package && cmake --build build --target package",
            );
            t.diagnostic(`the package: ${seconds()} s`);
            const [name] = readdirSync(join(root.path, "root/hostpair/build")).filter((f) =>
                f.endsWith(".deb"),
            );
            packages[release] = join(kept, `${release}.deb`);
            copyFileSync(join(root.path, "root/hostpair/build", name), packages[release]);
            t.diagnostic(`${name}: ${statSync(packages[release]).size} bytes`);
            if (release !== "bookworm") return;
            // Built again, in another checkout and later, it is the same.
            await root.run(
                "git clone -q /srv/hostpair.git /opt/again && cd /opt/again && " +
                    "cmake -S . -B build -G Ninja -DHP_TESTS=OFF && cmake --build build --target package",
            );
            const again = readFileSync(join(root.path, "opt/again/build", name));
            assert.ok(again.equals(readFileSync(packages[release])), "two packages of one commit are equal");
            t.diagnostic(`the package again: ${seconds()} s`);
        },
    );

for (const [title, release] of Object.entries(RELEASES))
    test(
        `the Debian package comes and goes on a bare ${title}`,
        { skip: whyNoRoot(), timeout: 15 * 60_000 },
        async (t) => {
            if (packages[release] === undefined) return t.skip("it was not made");
            const root = await bareRoot(t, release);
            copyFileSync(packages[release], join(root.path, "srv/hostpair.deb"));
            await root.run(
                "apt-get update -q && apt-get install -y -q --no-install-recommends systemd dbus libpam-systemd ca-certificates curl",
            );
            const before = root.output("dpkg-query -W -f '${Package}\\n'").stdout;
            await root.run("apt-get install -y -q --no-install-recommends /srv/hostpair.deb");
            for (const path of [
                ...[
                    "bin/hostpair",
                    "share/man/man1/hostpair.1",
                    "share/bash-completion/completions/hostpair",
                ],
                ...["share/applications/hostpair.desktop", "lib/systemd/user/hostpair.service"],
            ])
                assert.ok(existsSync(join(root.path, "usr", path)), path);
            assert.match(root.output("hostpair --version").stdout, /^hostpair \d/);
            const inside = systemdOn(t, root.path);
            if (typeof inside === "string") t.diagnostic(`the units are not tried: ${inside}`);
            else await tryUnits(inside);
            await root.run(
                "apt-get purge -y -q hostpair && apt-get autoremove --purge -y -q && rm -rf /srv/*",
            );
            assert.equal(root.output("dpkg-query -W -f '${Package}\\n'").stdout, before);
            const found = root.output("find / -xdev -name '*hostpair*' -not -path '/proc/*'").stdout;
            const data =
                /^\/(var\/lib(\/private)?|(home\/anna|root)\/(\.local\/state|Public|Downloads))\/hostpair/;
            const left = found.split("\n").filter((path) => path !== "" && !data.test(path));
            assert.deepEqual(left, [], "nothing is left but the data");
        },
    );

/**
 * The hub as a service: it answers on all its ports, keeps its key for itself and over a restart, and comes back by itself
 * unless it is wrongly set up. The machine's hostpair is left in a group there.
 * @param {(script: string) => { status: number | null, output: string }} inside
 * @param {(script: string) => string} ok @param {(script: string) => Promise<unknown>} until
 */
async function tryHub(inside, ok, until) {
    const fingerprint = () =>
        /fingerprint ([0-9a-f]{64})/.exec(ok("journalctl -u hostpair-hub -n 1 -g fingerprint -o cat"))?.[1];
    const answers = "curl -fsS http://127.0.0.1:9010/healthz";
    const udp = (/** @type {number} */ port) => port.toString(16).toUpperCase();
    await until(answers);
    for (const port of [9010, 9011]) ok(`grep -q ':${udp(port)} ' /proc/net/udp /proc/net/udp6`);
    const first = fingerprint();
    assert.ok(first, "the journal names its fingerprint");
    assert.equal(ok("stat -Lc %a /var/lib/hostpair-hub/identity.pem").trim(), "600");
    assert.notEqual(inside("runuser -u anna -- ls /var/lib/hostpair-hub/").status, 0);
    assert.match(
        ok("hostpair group create --hub 127.0.0.1 friends"),
        /^hostpair:\/\/join\/127\.0\.0\.1:9010\//,
    );
    await until("hostpair group | grep -w connected");

    ok("systemctl restart hostpair-hub");
    await until(answers);
    assert.equal(fingerprint(), first, "its key stays");
    ok("systemctl kill -s KILL hostpair-hub");
    await until(`[ "$(systemctl show -P NRestarts hostpair-hub)" = 1 ] && ${answers}`);
    await until("hostpair group | grep -w connected");

    const dropIn = "/etc/systemd/system/hostpair-hub.service.d";
    ok(
        `mkdir -p ${dropIn} && printf '[Service]\nEnvironment=HOSTPAIR_HUB_RELAY_LIMIT=much\n' >${dropIn}/limit.conf && ` +
            "systemctl daemon-reload && systemctl reset-failed hostpair-hub; systemctl restart hostpair-hub",
    );
    await until("systemctl is-failed --quiet hostpair-hub");
    assert.equal(
        ok("systemctl show -P NRestarts hostpair-hub").trim(),
        "0",
        "a bad option is not tried again",
    );
    assert.match(ok("journalctl -u hostpair-hub -n 20 -o cat"), /--relay-limit: "much" is not a rate/);
    ok(`rm -r ${dropIn} && systemctl daemon-reload && systemctl start hostpair-hub`);
    await until(answers);
}

/** The machine's services and a user's own, through an upgrade. @param {(script: string) => { status: number | null, output: string }} inside */
async function tryUnits(inside) {
    const ok = (/** @type {string} */ script) => {
        const { status, output } = inside(script);
        assert.equal(status, 0, `${script}\n${output}`);
        return output;
    };
    const until = (/** @type {string} */ script) =>
        waitFor(() => inside(script).status === 0, {
            timeout: 120_000,
            interval: 300,
            what: script,
            detail: () => inside("journalctl -n 30 --no-pager").output,
        });
    await until("systemctl is-system-running | grep -E 'running|degraded'");

    // Hardened, with downloads that everybody can read and data that nobody else can.
    ok("systemctl enable --now hostpair hostpair-hub");
    await until("hostpair --check");
    ok("systemctl is-active hostpair hostpair-hub");
    ok("useradd -m anna && touch /var/lib/hostpair/downloads/film");
    ok("runuser -u anna -- cat /var/lib/hostpair/downloads/film");
    assert.notEqual(inside("runuser -u anna -- ls /var/lib/hostpair/data").status, 0);
    for (const unit of ["hostpair", "hostpair-hub"]) {
        const analysis = ok(`systemd-analyze security ${unit} --no-pager`);
        const exposure = Number(/level for hostpair(-hub)?\.service: ([\d.]+)/.exec(analysis)?.[2]);
        assert.ok(exposure < 2.5, `${unit}: exposure ${exposure}`);
    }
    await tryHub(inside, ok, until);

    const pid = ok("systemctl show -P MainPID hostpair hostpair-hub");
    ok(
        "cd /srv && dpkg-deb -R hostpair.deb new && sed -i 's/^Version: .*/&+1/' new/DEBIAN/control && " +
            "dpkg-deb -b new new.deb && dpkg -i new.deb",
    );
    const [oldHost, oldHub] = pid.split(/\s+/);
    const [newHost, newHub] = ok("systemctl show -P MainPID hostpair hostpair-hub").split(/\s+/);
    assert.notEqual(newHost, oldHost, "an upgrade starts it anew");
    assert.notEqual(newHub, oldHub, "and the hub");
    await until("hostpair --check");
    await until("hostpair group | grep -w connected");
    ok("systemctl disable --now hostpair");

    // Without IPv6 it listens on IPv4; without openat2 it does not start, and says why.
    const lacking = (/** @type {string} */ name, /** @type {string} */ what) =>
        `systemd-run --quiet --unit ${name} -E HOME=/root -p '${what}' hostpair`;
    ok(lacking("no-ipv6", "RestrictAddressFamilies=AF_INET AF_NETLINK AF_UNIX"));
    await until("hostpair --check && curl -sS http://127.0.0.1:9000/list");
    ok("systemctl stop no-ipv6");
    ok(lacking("no-openat2", "RestrictSUIDSGID=yes"));
    await until("! systemctl is-active --quiet no-openat2");
    assert.match(
        ok("journalctl -u no-openat2 --no-pager"),
        /does not let hostpair open files safely: openat2/,
    );

    ok("loginctl enable-linger anna");
    const user = "runuser -u anna -- env XDG_RUNTIME_DIR=/run/user/$(id -u anna) systemctl --user";
    await until(`${user} enable --now hostpair`);
    await until("runuser -u anna -- hostpair --check");
    ok("ls -d /home/anna/Public/hostpair /home/anna/Downloads/hostpair");
    ok(`${user} disable --now hostpair`);

    ok("systemctl enable --now hostpair && apt-get remove -y -q hostpair");
    assert.match(inside("systemctl is-active hostpair hostpair-hub").output, /^inactive\ninactive\n/);
}
