// @ts-check
// The two hosts that the tests of the page's views share.

import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { MiB, addHost, download, makeFile, startHostpair, tempDir, waitFor, waitState } from "./harness.mjs";

/** A picture of one red point. */
export const PIXEL = Buffer.from(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==",
    "base64",
);

/** Starts a host with some files, and one that knows it and has downloaded one of them. */
export async function startStudio() {
    const share = tempDir();
    await makeFile(join(share, "Photos/one.bin"), MiB, 1);
    await makeFile(join(share, "clip.bin"), 3 * MiB, 2);
    writeFileSync(join(share, "notes.txt"), "first line\nsecond line\n");
    writeFileSync(join(share, "dot.png"), PIXEL);
    const a = await startHostpair({ name: "studio", share });
    const b = await startHostpair({ name: "workbench" });
    writeFileSync(join(b.shareDir, "mine.txt"), "mine\n");
    await waitFor(async () => (await a.api("/status")).json.share.files === 4, {
        what: "4 shared files",
    });
    const host = await addHost(b, a.peerPort);
    const done = await download(b, { host: host.id, path: "clip.bin" });
    await waitState(b, done.id, "done");
    return { a, b, host };
}
