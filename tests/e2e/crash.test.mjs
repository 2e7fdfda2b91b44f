// @ts-check
// A folder from three hosts, kill -9 at random. HP_E2E_KILLS sets how often (default 8), HP_E2E_SEED the random moments.

import { test } from "node:test";

import { crash } from "./crash.mjs";

const kills = Number(process.env.HP_E2E_KILLS || 8);
const seed = Number(process.env.HP_E2E_SEED || Math.floor(Math.random() * 1e6));

test(
    `a folder from three hosts is equal after ${kills} times kill -9`,
    { timeout: 90_000 + kills * 6000 },
    async (t) => {
        t.diagnostic(`seed ${seed}`);
        t.diagnostic(await crash(t, { kills, seed }));
    },
);
