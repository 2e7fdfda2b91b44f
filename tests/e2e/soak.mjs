// @ts-check
// A day of use on three hosts, in minutes: rounds of all that people, guests, programs and bad networks do (soak-uses.mjs), in a
// random order, much of it at once. Between two rounds nothing runs, and what each host still has is measured: memory,
// descriptors, threads, the database, the files in its data folder. Once it is warm none of that may grow.

import assert from "node:assert/strict";
import {
    existsSync,
    mkdirSync,
    readFileSync,
    readdirSync,
    readlinkSync,
    statSync,
    writeFileSync,
} from "node:fs";
import { join } from "node:path";

import {
    MiB,
    addHost,
    defaultBin,
    makeBytes,
    makeFile,
    sleep,
    startHostpair,
    tempDir,
    waitFor,
} from "./harness.mjs";
import { randomOf } from "./crash.mjs";
import { hashed, listed, pathsBelow } from "./hosts.mjs";
import { decide, inbox, offer } from "./inbox.mjs";
import { ALBUM, LARGE, hiddenBelow, usesAlone, usesOfRound } from "./soak-uses.mjs";
import { startWire } from "./soak-wire.mjs";
import { give, listen } from "./web.mjs";

/**
 * @typedef {import("./harness.mjs").Hostpair} Hostpair
 * @typedef {import("./harness.mjs").TestContext} TestContext
 * @typedef {import("./soak-uses.mjs").World} World
 *
 * @typedef {Record<keyof typeof FIGURES, number>} Measured
 */

/** Without sanitizers, where there is one. */
export const plainBin = process.env.HOSTPAIR_PLAIN_BIN || defaultBin;

const KiB = 1024;
const RATE = 64 * MiB; // of each link, bytes a second
const BESIDE = 4; // uses at a time
const REST_MS = 5000; // the longest wait until a host does nothing more
/** Offers that are over and remembered (HP_INBOX_KEPT). */
const REMEMBERED = 200;

/** So many rounds make a host warm in their first third. */
const WARM_ROUNDS = 30;

/**
 * What is measured: how much more the last third of the rounds may have than the second, by their medians: `more`, or the part `of`
 * the second third. `cold` is for a host that was started anew on the way and for a run of few rounds: what is kept up to a
 * limit, such as the journal of the database, is filling then.
 */
const FIGURES = {
    memory: { more: 3 * MiB, of: 0.05, cold: 16 * MiB, unit: MiB, text: "MiB of memory (RssAnon)" },
    resident: { more: 3 * MiB, of: 0.05, cold: 16 * MiB, unit: MiB, text: "MiB resident (VmRSS)" },
    descriptors: { more: 4, of: 0, cold: 8, unit: 1, text: "descriptors" },
    files: { more: 0, of: 0, cold: 0, unit: 1, text: "of them of files on a disk" },
    threads: { more: 0, of: 0, cold: 0, unit: 1, text: "threads" },
    database: { more: 256 * KiB, of: 0.05, cold: 256 * KiB, unit: KiB, text: "KiB of database" },
    journal: { more: 256 * KiB, of: 0.05, cold: 5 * MiB, unit: KiB, text: "KiB of its journal (-wal)" },
    data: { more: 0, of: 0, cold: 0, unit: 1, text: "files in the data folder" },
};
const names = /** @type {Array<keyof typeof FIGURES>} */ (Object.keys(FIGURES));

/**
 * The allocator gives what is free back to the system, else a host's memory would be the most that it ever had at once, and a leak
 * would hide below that.
 */
export const GIVES_BACK = { MALLOC_MMAP_THRESHOLD_: "131072", MALLOC_TRIM_THRESHOLD_: "131072" };

/** What logs say of lines that the soak breaks, and of the machine. */
const PROVOKED = [/running as root/, /the file list of host \w+ was not fetched/];

/** @param {Hostpair} h @returns {Measured} */
export function measured(h) {
    const status = readFileSync(`/proc/${h.pid}/status`, "utf8");
    const number = (/** @type {string} */ name) =>
        Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1]);
    const open = readdirSync(`/proc/${h.pid}/fd`).map((fd) => {
        try {
            return readlinkSync(`/proc/${h.pid}/fd/${fd}`);
        } catch {
            return "gone";
        }
    });
    const size = (/** @type {string} */ name) => {
        const path = join(h.dataDir, name);
        return existsSync(path) ? statSync(path).size : 0;
    };
    // A sanitizer keeps what is freed, and has terabytes of addresses.
    const sanitized = number("VmSize") > 2 ** 40 / KiB;
    return {
        memory: sanitized ? 0 : number("RssAnon") * KiB,
        resident: sanitized ? 0 : number("VmRSS") * KiB,
        descriptors: open.length,
        files: open.filter((target) => target.startsWith("/") && !target.startsWith("/dev/")).length,
        threads: number("Threads"),
        database: size("hostpair.db"),
        journal: size("hostpair.db-wal"),
        data: pathsBelow(h.dataDir).length,
    };
}

/**
 * Waits until no host does anything more, and none has connections that were kept for later: those are closed, and curl finds
 * that out with the next request, at most once a second.
 * @param {World} w
 */
async function rested(w) {
    for (const h of w.hosts)
        await waitFor(async () => (await h.api("/downloads")).json.downloads.length === 0, {
            what: `${h.name} without downloads`,
            detail: async () => (await h.api("/downloads")).text,
        });
    for (const from of w.hosts) for (const to of w.hosts) if (from !== to) w.link(from, to).breakAll();
    for (const h of w.hosts)
        for (const { id } of (await h.api("/connections")).json.connections)
            await h.api(`/connections/${id}`, { method: "DELETE" });
    await sleep(1100);
    for (const from of w.hosts)
        for (const to of w.hosts) {
            if (from === to) continue;
            await from.api(`/hosts/${w.id(to)}/files/refresh`, { method: "POST" });
            await waitFor(
                async () => {
                    const host = (await from.api(`/hosts/${w.id(to)}`)).json;
                    return host.state === "online" && !host.listing;
                },
                { what: `the list of ${to.name} at ${from.name}`, timeout: 30_000 },
            );
        }
    const end = performance.now() + REST_MS;
    for (let last = "", same = 0; same < 2 && performance.now() < end;) {
        const now = JSON.stringify(w.hosts.map((h) => ({ ...measured(h), memory: 0, resident: 0 })));
        same = now === last ? same + 1 : 0;
        last = now;
        await sleep(50);
    }
}

/** @param {number[]} list */
const median = (list) => {
    const sorted = [...list].sort((x, y) => x - y);
    return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
};

/** @param {number} value @param {number} unit */
const shown = (value, unit) => (unit === 1 ? `${value}` : (value / unit).toFixed(1));

/** The medians of a figure in the three thirds of the rounds. @param {Measured[]} series @param {keyof typeof FIGURES} figure */
function thirds(series, figure) {
    const third = Math.floor(series.length / 3);
    const all = series.map((one) => one[figure]);
    return [all.slice(0, third), all.slice(third, -third), all.slice(-third)].map(median);
}

/**
 * What grew: a line for each figure of a host whose last third is above its second by more than may be.
 * @param {string} name of the host
 * @param {Measured[]} series
 * @param {boolean} warm
 */
function grown(name, series, warm) {
    const lines = [];
    for (const figure of names) {
        const { more, of, cold, unit, text } = FIGURES[figure];
        const [, before, after] = thirds(series, figure);
        const most = before + (warm ? Math.max(more, of * before) : cold);
        if (after > most)
            lines.push(
                `${name} has ${shown(after, unit)} ${text} in the last third of the rounds, ` +
                    `${shown(before, unit)} in the second (at most ${shown(most, unit)}): ` +
                    series.map((one) => shown(one[figure], unit)).join(" "),
            );
    }
    return lines;
}

/**
 * Three hosts that know each other through links, with what they share.
 * @param {TestContext} t
 * @returns {Promise<World>}
 */
async function begin(t) {
    /** @type {Hostpair[]} */
    const hosts = [];
    for (const name of ["a", "b", "c"])
        hosts.push(await startHostpair({ t, name, bin: plainBin, env: GIVES_BACK }));
    const counts = [];
    for (const [i, h] of hosts.entries()) {
        for (const [j, { name }] of hosts.entries()) {
            // The third host downloads nothing that both others have.
            if (i === j || j === 2) continue;
            await makeFile(join(h.shareDir, `films/for ${name}.bin`), LARGE, 10 + j);
            for (let k = 0; k < ALBUM.small; k++)
                await makeFile(
                    join(h.shareDir, `album for ${name}/${k % 7}/${k}.dat`),
                    4096 + k,
                    1000 * j + k,
                );
            for (let k = 0; k < ALBUM.large; k++)
                await makeFile(
                    join(h.shareDir, `album for ${name}/large ${k}.bin`),
                    3 * MiB + k,
                    20 + 3 * j + k,
                );
        }
        for (let k = 0; k < 30; k++)
            await makeFile(join(h.shareDir, `papers/${k}.txt`), 500 + k, 5000 * (i + 1) + k);
        writeFileSync(join(h.shareDir, "note.txt"), `a note of ${h.name}`);
        await makeFile(join(h.shareDir, "own.bin"), 8 * MiB, 30 + i);
        counts.push(pathsBelow(h.shareDir).length);
    }
    for (const [i, h] of hosts.entries()) await hashed(h, counts[i]);

    /** @type {Map<string, import("./soak-wire.mjs").Wire>} */
    const links = new Map();
    /** @type {Map<Hostpair, string>} */
    const ids = new Map();
    for (const from of hosts)
        for (const [i, to] of hosts.entries()) {
            if (from === to) continue;
            const link = await startWire({ t, to: to.peerPort, rate: RATE });
            links.set(`${from.name} ${to.name}`, link);
            const { id } = await addHost(from, link.port);
            ids.set(to, id);
            await listed(from, id, counts[i]);
        }

    const webFile = makeBytes(4 * MiB, 77);
    const web = await listen(t, (req, res) => {
        if (!req.url?.startsWith("/breaks") || req.headers.range) return void give(req, res, webFile);
        res.writeHead(200, { ETag: '"1"', "Content-Length": webFile.length, "Accept-Ranges": "bytes" });
        res.write(webFile.subarray(0, MiB), () => res.destroy());
    });
    const folders = join(tempDir(t), "in place");
    mkdirSync(folders);

    let numbers = 0;
    /** @type {Record<string, number>} */
    const done = {};
    return {
        t,
        hosts,
        id: (h) => ids.get(h) ?? "",
        link: (from, to) => {
            const link = links.get(`${from.name} ${to.name}`);
            assert.ok(link);
            return link;
        },
        web,
        webFile,
        folders,
        counts: done,
        count: (what, times = 1) => void (done[what] = (done[what] ?? 0) + times),
        next: () => ++numbers,
        pairings: new Map(),
    };
}

/** So many offers that are over that each further one takes the place of an older one. @param {Hostpair} h */
async function filled(h) {
    for (let i = 0; i < REMEMBERED; i++) {
        assert.equal(
            (await offer(h, [{ name: "unwanted.txt", size: 5 }], { name: `nobody ${i}` })).status,
            202,
        );
        await decide(h, (await inbox(h))[0].id, "decline");
    }
}

/**
 * Runs uses, so many at a time, each with random numbers of its own: what one does is the same whatever the others do.
 * @param {World} w
 * @param {import("./soak-uses.mjs").Use[]} uses
 * @param {number} seed
 * @param {(text: string) => void} say
 */
async function run(w, uses, seed, say) {
    const waiting = uses.map((use, i) => ({ ...use, random: randomOf(seed + i) }));
    /** @type {unknown[]} */
    const failures = [];
    const worker = async () => {
        for (let use = waiting.shift(); use && !failures.length; use = waiting.shift()) {
            const start = performance.now();
            try {
                await use.run(w, use.random);
            } catch (error) {
                if (error instanceof Error) error.message = `${use.name}: ${error.message}`;
                failures.push(error);
            }
            say(`    ${use.name} ${Math.round(performance.now() - start)} ms`);
        }
    };
    await Promise.all(Array.from({ length: BESIDE }, worker));
    if (failures.length) throw failures[0];
}

/** Lines of warnings and errors that nobody provoked. @param {Hostpair} h */
const complaints = (h) =>
    h
        .stderr()
        .split("\n")
        .filter((line) => /\b(error|warn)\b/.test(line) && !PROVOKED.some((known) => known.test(line)));

/**
 * @param {TestContext} t
 * @param {{ minutes: number, seed: number, say?: (text: string) => void }} options
 * @returns {Promise<string[]>} what was done, and the figures
 */
export async function soak(t, { minutes, seed, say = () => {} }) {
    const w = await begin(t);
    if (minutes > 2) for (const h of w.hosts) await filled(h);
    const random = randomOf(seed);
    const start = performance.now();
    const end = start + minutes * 60_000;
    /** @type {Measured[][]} */
    const series = w.hosts.map(() => []);
    let rounds = 0;
    /** @type {Set<string>} */
    const complained = new Set();
    while (performance.now() < end || rounds < 6) {
        const began = performance.now();
        await run(w, usesOfRound(w, random), seed + 1000 * rounds, say);
        await run(w, usesAlone(random, rounds), seed + 1000 * rounds + 500, say);
        await rested(w);
        for (const [i, h] of w.hosts.entries()) {
            for (const folder of [h.downloadsDir, h.shareDir])
                await waitFor(() => hiddenBelow(folder).length === 0, {
                    what: `${h.name} without hidden files`,
                    detail: () => `${hiddenBelow(folder)}
${h.stderr().slice(-6000)}`,
                });
            for (const line of complaints(h)) complained.add(`${h.name}: ${line}`);
            series[i].push(measured(h));
        }
        rounds++;
        const line = w.hosts.map((h, i) =>
            names.map((f) => shown(series[i][rounds - 1][f], FIGURES[f].unit)).join(" "),
        );
        say(`round ${rounds}, ${((performance.now() - began) / 1000).toFixed(1)} s: ${line.join(" | ")}`);
    }
    const seconds = Math.round((performance.now() - start) / 1000);
    for (const h of w.hosts) {
        const left = readdirSync(h.downloadsDir).filter((name) => name !== "Received");
        assert.deepEqual(left, [], `${h.name}: all was removed`);
        await h.stop();
    }
    assert.deepEqual([...complained], [], "what logs complain about");
    // The third host was started anew on the way.
    const grew = w.hosts.flatMap((h, i) => grown(h.name, series[i], i < 2 && rounds >= WARM_ROUNDS));
    assert.deepEqual(grew, [], `seed ${seed}, ${rounds} rounds`);
    const counted = Object.entries(w.counts)
        .sort()
        .map(([what, times]) => `${times} ${what}`);
    return [
        `${rounds} rounds in ${seconds} s: ${counted.join(", ")}`,
        ...w.hosts.map((h, i) => {
            const each = names.map((figure) => {
                const { unit, text } = FIGURES[figure];
                return `${thirds(series[i], figure)
                    .map((value) => shown(value, unit))
                    .join(", ")} ${text}`;
            });
            return `${h.name}, medians of each third: ${each.join("; ")}`;
        }),
    ];
}
