// The main job: two hostpairs in two home networks, behind two routers, with a hub on the internet between them. One makes a
// group, the other joins with the invite; each sees the other, browses, downloads and writes.
import assert from "node:assert/strict";
import test from "node:test";
import { waitFor } from "../e2e/harness.mjs";
import { Homes, MiB, fetchFile, offer, reaches } from "./homes.mjs";
import { whyNoNat } from "./nat.mjs";

const skip = whyNoNat() || undefined;

test("two homes behind two routers share directly", { skip, timeout: 180_000 }, async (t) => {
    const lab = new Homes(t);
    await lab.up({ a: "preserving", b: "preserving-reject" });
    const { a, b } = await lab.pair();
    offer(a, "film.bin", 12 * MiB);
    offer(a, "small.txt", 3000);
    await reaches(b, a, "direct");
    await waitFor(() => b.api(`/hosts/${a.id}/files`).files?.length === 2, {
        timeout: 90_000,
        what: "the list",
        detail: () => JSON.stringify(b.api(`/hosts/${a.id}`)),
    });
    await fetchFile(b, a, "film.bin");
    await fetchFile(b, a, "small.txt");
    assert.match(b.run("hosts"), /anna/);
    b.run("send", "anna", "It works");
    await waitFor(() => a.api("/messages").messages.some((/** @type {any} */ m) => m.text === "It works"), {
        what: "the message",
    });
});

test(
    "a download goes on when a router forgets, and without the hub",
    { skip, timeout: 240_000 },
    async (t) => {
        const lab = new Homes(t, { a: { rate: 40, queue: 300 } });
        await lab.up({ a: "preserving", b: "preserving" });
        const { a, b } = await lab.pair();
        offer(a, "film.bin", 24 * MiB);
        await reaches(b, a, "direct");
        await fetchFile(b, a, "film.bin", async () => lab.flush("b"));
        offer(a, "second.bin", 16 * MiB);
        await reaches(b, a, "direct");
        await fetchFile(b, a, "second.bin", async () => lab.hub?.stop());
        // The router forgot the connection to the hub as well: nothing tells b that it is over but that TCP asks.
        await waitFor(() => b.api("/groups").groups[0].state !== "connected", {
            timeout: 60_000,
            what: "the hub to be missed",
            detail: () => JSON.stringify(b.api("/groups")) + b.log(),
        });
        await lab.startHub();
        await waitFor(() => b.api("/groups").groups[0].state === "connected", {
            timeout: 90_000,
            what: "the hub to be back",
        });
    },
);

test(
    "two routers that change every port share through the relay, and say why",
    { skip, timeout: 180_000 },
    async (t) => {
        const lab = new Homes(t);
        await lab.up({ a: "random", b: "fully-random" });
        const { a, b } = await lab.pair();
        offer(b, "photo.bin", 6 * MiB);
        await reaches(a, b, "relayed");
        await fetchFile(a, b, "photo.bin");
        await waitFor(() => a.api(`/hosts/${b.id}`).path_reason?.includes("both networks change ports"), {
            timeout: 20_000,
            what: "the reason",
            detail: () => JSON.stringify(a.api(`/hosts/${b.id}`)),
        });
        // Ben leaves the group while Anna reads from him: no connection that stands is an excuse.
        offer(b, "album.bin", 20 * MiB);
        const { id } = a.api("/downloads", { host: b.id, path: "album.bin", limit_bps: MiB });
        const readers = () =>
            b.api("/connections").connections.filter((/** @type {any} */ c) => c.host === a.id).length;
        await waitFor(() => a.api(`/downloads/${id}`).done_bytes > MiB && readers() > 0, {
            timeout: 30_000,
            what: "its first bytes",
            detail: a.log,
        });
        b.run("group", "leave", b.api("/groups").groups[0].name);
        await waitFor(() => readers() === 0, { what: "Anna to be cut off", detail: b.log });
        await waitFor(() => a.api(`/downloads/${id}`).reason?.startsWith("Waiting for a source"), {
            what: "her download to wait",
            detail: () => JSON.stringify(a.api(`/downloads/${id}`)),
        });
    },
);

test("a home without UDP shares through the relay", { skip, timeout: 180_000 }, async (t) => {
    const lab = new Homes(t);
    await lab.up({ a: "blocked", b: "dmz" });
    const { a, b } = await lab.pair();
    offer(b, "photo.bin", 3 * MiB);
    await reaches(a, b, "relayed");
    await fetchFile(a, b, "photo.bin");
    assert.ok(a.api(`/hosts/${b.id}`).path_reason, "a sentence says why");
});
