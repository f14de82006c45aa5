// What each strategy is configured to be. It does not change while a daemon runs: asked once a session.

import { get } from "./api.js";
import { always, live } from "./live.js";

export const configs = new Map();
export const stateName = (strategy, state) => configs.get(strategy)?.regime_states[state]?.name ?? String(state);

let of = "";

export function keepConfigs() {
  always("begin", async () => {
    if (of === live.status.session) return;
    try {
      for (const row of await get("/v1/strategies")) configs.set(row.name, row);
      of = live.status.session;
    } catch { /* asked again when the stream begins again */ }
  });
}
