// Puts the page together.

import * as account from "./account.js";
import { askForToken } from "./actions.js";
import * as activity from "./activity.js";
import { takeTokenFromAddress } from "./api.js";
import * as books from "./books.js";
import * as header from "./header.js";
import * as health from "./health.js";
import * as jobs from "./jobs.js";
import * as limits from "./limits.js";
import { connect, on, watch } from "./live.js";
import * as market from "./market.js";
import * as strategies from "./strategies.js";

takeTokenFromAddress();
for (const part of [header, account, health, strategies, market, limits, books, activity, jobs]) part.mount();
on("denied", (problem) => askForToken(problem.startsWith("expected a valid token") ? "" : problem));
watch();
connect();
