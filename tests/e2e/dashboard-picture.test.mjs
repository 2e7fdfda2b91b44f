// @ts-check
// The README's picture: the dashboard of a real host that downloads from three others, in light and in dark.
//
// HP_E2E_SCREENSHOTS=1 writes it to web/ for the README. Without that it is made all the same, and looked at by numbers.
// The hosts have addresses as in a home, in a network of their own that ends with the test. Where the system does not
// allow that they share 127.0.0.1. A machine with the fonts "Noto Sans" and "Noto Sans CJK" gives the best picture.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { deflateSync } from "node:zlib";

import { closeBrowser, openDashboard, skip } from "./browser.mjs";
import {
    MiB,
    addHost,
    checkout,
    download,
    getDownload,
    makeFile,
    startHostpair,
    waitFor,
    waitState,
} from "./harness.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */
/** @typedef {import("./harness.mjs").TestContext} TestContext */

const WIDTH = 1280;
const HEIGHT = 840;
/** Points of the picture for one of the page. */
const SCALE = 1.5;
const MAX_BYTES = 200_000;
const THEMES = /** @type {const} */ (["light", "dark"]);

const FILM = "Sintel (2010) 4K.mkv";

/** What each host shares: the last number of its address, and sizes by path. */
const HOSTS = {
    "attic-nas": {
        at: 21,
        up_limit_bps: 9_000_000,
        files: {
            [FILM]: 216 * MiB,
            "debian-13.1.0-amd64-netinst.iso": 48 * MiB,
            "Open Goldberg Variations/01 Aria.flac": 5 * MiB,
            "Open Goldberg Variations/02 Variatio 1.flac": 3 * MiB,
            "Open Goldberg Variations/03 Variatio 2.flac": 4 * MiB,
        },
    },
    林的笔记本: { at: 22, up_limit_bps: 6_000_000, files: { [FILM]: 216 * MiB, "论文-最终版.pdf": 3 * MiB } },
    "kitchen-pc": {
        at: 23,
        up_limit_bps: 5_000_000,
        files: {
            [FILM]: 216 * MiB,
            "Field recordings 2026.flac": 60 * MiB,
            ...Object.fromEntries(
                Array.from({ length: 24 }, (_, i) => [
                    `Lofoten 2026/DSC_0${412 + i}.jpg`,
                    (4 + (i % 3)) * MiB,
                ]),
            ),
        },
    },
    "old-laptop": { at: 24, up_limit_bps: 0, files: { "thesis-backup.zip": 30 * MiB } },
};

if (process.env.HP_E2E_PICTURE) {
    await inside(process.env.HP_E2E_PICTURE);
} else {
    test("makes the README's picture from real hosts", { skip, timeout: 180_000 }, async (t) => {
        const readme = readFileSync(join(checkout, "README.md"), "utf8");
        const kept = Boolean(process.env.HP_E2E_SCREENSHOTS);
        const folder = kept ? join(checkout, "web") : mkdtempSync(join(tmpdir(), "hostpair-e2e-"));
        if (!kept) t.after(() => rmSync(folder, { recursive: true, force: true }));
        await apart(folder);
        for (const theme of THEMES) {
            const name = `screenshot-${theme}.png`;
            assert.ok(readme.includes(`web/${name}`), `README.md does not show web/${name}`);
            for (const path of [join(folder, name), join(checkout, "web", name)]) {
                const bytes = readFileSync(path);
                const size = `${bytes.readUInt32BE(16)}x${bytes.readUInt32BE(20)}`;
                assert.equal(size, `${WIDTH * SCALE}x${HEIGHT * SCALE}`, path);
                assert.ok(statSync(path).size <= MAX_BYTES, `${path} has ${statSync(path).size} bytes`);
            }
        }
    });
}

/** Runs this file again in a network of its own, to make the pictures. @param {string} folder */
async function apart(folder) {
    const self = fileURLToPath(import.meta.url);
    const own = spawnSync("unshare", ["-rn", "ip", "link", "set", "lo", "up"]).status === 0;
    const setUp =
        "ip link set lo up && ip link add lan type veth peer name end && ip link set end up && ip link set lan up && " +
        'for n in 20 21 22 23 24; do ip addr add "192.168.1.$n/24" dev lan; done && exec "$@"';
    const [program, ...args] = own
        ? ["unshare", "-rn", "sh", "-c", setUp, "sh", process.execPath, self]
        : [process.execPath, self];
    const env = {
        ...process.env,
        HP_E2E_PICTURE: folder,
        HP_E2E_OWN_NETWORK: own ? "1" : "",
        NODE_TEST_CONTEXT: undefined,
    };
    await new Promise((done, fail) => {
        const child = spawn(program ?? "", args, { env, stdio: ["ignore", "pipe", "pipe"] });
        let said = "";
        for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (said += text));
        child.on("error", fail);
        child.on("close", (code) =>
            code === 0 ? done(undefined) : fail(new Error(`the picture was not made (${code}): ${said}`)),
        );
    });
}

/** @param {number} at the last number of an address */
function listen(at) {
    return process.env.HP_E2E_OWN_NETWORK ? ["--peer-listen", `192.168.1.${at}:9000`] : [];
}

/** Starts the hosts, the downloads, and takes the pictures. @param {string} folder */
async function inside(folder) {
    /** @type {(() => unknown)[]} */
    const ends = [];
    /** @type {TestContext & { name: string }} */
    const t = { after: (end) => ends.unshift(end), name: "picture" };
    try {
        const me = await startHostpair({ t, name: "studio", args: listen(20) });
        await makeFile(join(me.shareDir, "Showreel 2026.mp4"), 30 * MiB, 3);
        await makeFile(join(me.shareDir, "Posters.zip"), 12 * MiB, 4);
        /** @type {Record<string, { h: Hostpair, id: string }>} */
        const others = {};
        for (const [name, { at, files }] of Object.entries(HOSTS)) {
            const h = await startHostpair({ t, name, args: listen(at) });
            // The same path is the same content on each of them.
            for (const [path, size] of Object.entries(files))
                await makeFile(join(h.shareDir, path), size, seedOf(path));
            others[name] = { h, id: "" };
        }
        for (const [name, other] of Object.entries(others)) {
            await hashed(other.h);
            const { at } = HOSTS[/** @type {keyof typeof HOSTS} */ (name)];
            const address = process.env.HP_E2E_OWN_NETWORK ? `192.168.1.${at}:9000` : other.h.peerPort;
            other.id = (await addHost(me, address)).id;
            await waitFor(async () => (await me.api(`/hosts/${other.id}`)).json.listed, { what: "a list" });
        }
        const pages = await Promise.all(
            THEMES.map((colorScheme) =>
                // @ts-expect-error what openDashboard uses of a test's context is there
                openDashboard(t, me, "#/downloads", {
                    width: WIDTH,
                    height: HEIGHT,
                    colorScheme,
                    scale: SCALE,
                    expected: /./,
                }),
            ),
        );
        const film = await order(me, others);
        for (const page of pages) {
            await page.evaluate((id) => (location.hash = `#/downloads/${id}`), film.id);
            await page.locator(".chunk-map").waitFor();
            await page.mouse.move(0, 0);
        }
        await waitState(me, film.id, (d) => d.done_bytes > 0.55 * d.size && d.sources.length === 3);
        for (const [index, page] of pages.entries()) {
            await page.locator("[data-download].current", { hasText: "from 3 hosts" }).waitFor();
            const shot = await page.screenshot();
            assert.equal((await getDownload(me, film.id)).state, "running", "it was over before the picture");
            writeFileSync(join(folder, `screenshot-${THEMES[index]}.png`), await smaller(page, shot));
        }
    } finally {
        for (const end of ends) await end();
        await closeBrowser();
    }
}

/** @param {string} path */
function seedOf(path) {
    return [...path].reduce((sum, sign) => (sum * 31 + sign.charCodeAt(0)) % 1_000_003, 7);
}

/** @param {Hostpair} h */
function hashed(h) {
    return waitFor(
        async () => {
            const { files, bytes, hashed_bytes } = (await h.api("/status")).json.share;
            return files > 0 && bytes === hashed_bytes;
        },
        { what: "all shared files hashed", timeout: 60_000 },
    );
}

/**
 * Downloads as they stand in a list after an afternoon, the oldest first; resolves to the last, the film.
 * @param {Hostpair} me
 * @param {Record<string, { h: Hostpair, id: string }>} others
 */
async function order(me, others) {
    /** @param {string} name */
    const id = (name) => others[name]?.id;
    for (const what of [
        { host: id("林的笔记本"), path: "论文-最终版.pdf" },
        { host: id("attic-nas"), path: "debian-13.1.0-amd64-netinst.iso" },
        { host: id("attic-nas"), folder: "Open Goldberg Variations" },
    ])
        await waitState(me, (await download(me, what)).id, "done");
    for (const [name, { up_limit_bps }] of Object.entries(HOSTS))
        await others[name]?.h.api("/settings", { method: "PATCH", json: { up_limit_bps } });

    const recordings = await download(me, { host: id("kitchen-pc"), path: "Field recordings 2026.flac" });
    await waitState(me, recordings.id, (d) => d.done_bytes > 14 * MiB);
    await me.api(`/downloads/${recordings.id}`, { method: "PATCH", json: { state: "paused" } });
    await others["old-laptop"]?.h.kill9();
    await download(me, { host: id("old-laptop"), path: "thesis-backup.zip" });
    await waitFor(async () => (await me.api(`/hosts/${id("old-laptop")}`)).json.state === "offline", {
        what: "old-laptop to be offline",
        timeout: 30_000,
    });
    await download(me, { host: id("kitchen-pc"), folder: "Lofoten 2026" });
    return await download(me, { host: id("attic-nas"), path: FILM });
}

/**
 * The same picture with 256 colours: a page has few, and the shades at the edges of letters bear it.
 * @param {import("playwright-core").Page} page which decodes the picture
 * @param {Buffer} png
 */
async function smaller(page, png) {
    const { width, height, palette, pixels } = await page.evaluate(toPalette, png.toString("base64"));
    const indices = Buffer.from(pixels, "base64");
    const rows = Buffer.alloc(height * (width + 1));
    for (let y = 0; y < height; y++) indices.copy(rows, y * (width + 1) + 1, y * width, (y + 1) * width);
    const head = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 8, 3, 0, 0, 0]);
    head.writeUInt32BE(width, 0);
    head.writeUInt32BE(height, 4);
    /** @param {string} type @param {Buffer} data */
    const part = (type, data) => {
        const whole = Buffer.concat([Buffer.alloc(4), Buffer.from(type), data, Buffer.alloc(4)]);
        whole.writeUInt32BE(data.length, 0);
        whole.writeUInt32BE(crc(whole.subarray(4, 8 + data.length)), 8 + data.length);
        return whole;
    };
    return Buffer.concat([
        png.subarray(0, 8),
        part("IHDR", head),
        part("PLTE", Buffer.from(palette.flat())),
        part("IDAT", deflateSync(rows, { level: 9, memLevel: 9 })),
        part("IEND", Buffer.alloc(0)),
    ]);
}

/** CRC-32 as PNG has it. @param {Buffer} bytes */
function crc(bytes) {
    let sum = ~0;
    for (const byte of bytes) {
        sum ^= byte;
        for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
    }
    return ~sum >>> 0;
}

/** In the page: the commonest colours as they are, the others as means of near ones. @param {string} png in base64 */
async function toPalette(png) {
    const image = new Image();
    image.src = `data:image/png;base64,${png}`;
    await image.decode();
    const { width, height } = image;
    const canvas = new OffscreenCanvas(width, height);
    const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.drawImage(image, 0, 0);
    const points = new Uint32Array(context.getImageData(0, 0, width, height).data.buffer);
    /** @type {Map<number, number>} */
    const counts = new Map();
    for (const point of points) counts.set(point, (counts.get(point) ?? 0) + 1);
    const ranked = [...counts].sort((a, b) => b[1] - a[1]);
    /** @param {number} colour @returns {[number, number, number]} */
    const parts = (colour) => [colour & 255, (colour >> 8) & 255, (colour >> 16) & 255];
    const palette = ranked.slice(0, 128).map(([colour]) => parts(colour));
    /** @type {Map<string, [number, number, number, number]>} */
    const groups = new Map();
    for (const [colour, count] of ranked.slice(128)) {
        const rgb = parts(colour);
        const key = rgb.map((value) => value >> 4).join();
        const sum = groups.get(key) ?? [0, 0, 0, 0];
        rgb.forEach((value, i) => (sum[i] = (sum[i] ?? 0) + value * count));
        sum[3] += count;
        groups.set(key, sum);
    }
    for (const [r, g, b, n] of [...groups.values()].sort((a, b) => b[3] - a[3]).slice(0, 128))
        palette.push([Math.round(r / n), Math.round(g / n), Math.round(b / n)]);
    /** @type {Map<number, number>} */
    const nearest = new Map();
    for (const [colour] of ranked) {
        const [r, g, b] = parts(colour);
        let best = 0;
        let least = Infinity;
        palette.forEach(([pr, pg, pb], index) => {
            const far = 2 * (r - pr) ** 2 + 4 * (g - pg) ** 2 + 3 * (b - pb) ** 2;
            if (far < least) [best, least] = [index, far];
        });
        nearest.set(colour, best);
    }
    let text = "";
    for (const point of points) text += String.fromCharCode(nearest.get(point) ?? 0);
    return { width, height, palette, pixels: btoa(text) };
}
