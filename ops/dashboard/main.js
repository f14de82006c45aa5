// Puts the page together.

import { askForToken } from "./actions.js";
import { takeTokenFromAddress } from "./api.js";
import { keepConfigs } from "./configs.js";
import * as header from "./header.js";
import { always, connect, watch } from "./live.js";
import * as backtests from "./page_backtests.js";
import * as live from "./page_live.js";
import * as models from "./page_models.js";
import * as overview from "./page_overview.js";
import * as risk from "./page_risk.js";
import * as settings from "./page_settings.js";
import * as strategies from "./page_strategies.js";
import { route } from "./router.js";

takeTokenFromAddress();
keepConfigs();
header.mount();
always("denied", (problem) => askForToken(problem.startsWith("expected a valid token") ? "" : problem));
route({ overview, live, backtests, models, strategies, risk, settings });
watch();
connect();
