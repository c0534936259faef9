/**
 * All commands of `ferryd` besides serving. A new command is a file of this directory and a line here.
 *
 * @module
 */

import type { Command } from "../command.ts";
import { cert } from "./cert.ts";
import { completions } from "./completions.ts";
import { doctor } from "./doctor.ts";
import { SERVE } from "../serve_spec.ts";
import { drain } from "./drain.ts";
import { kick } from "./kick.ts";
import { status } from "./status.ts";
import { tokenList } from "./token_list.ts";
import { tokenNew } from "./token_new.ts";
import { tokenRevoke } from "./token_revoke.ts";

/** The commands. */
export const COMMANDS: readonly Command[] = [
  tokenNew,
  tokenList,
  tokenRevoke,
  cert,
  doctor,
  status,
  kick,
  drain,
  completions(() => [SERVE, ...COMMANDS]),
];
