/** A job's table, version by version: see `migrate`. */
import type { Step } from "../durable/migrate.ts";
import { EventLog } from "./log.ts";

export const STEPS: readonly Step[] = [EventLog.create];
