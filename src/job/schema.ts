/** A job's table, version by version. A step that shipped never changes; a new one goes to the end. */
import { EventLog } from "./log.ts";

export const STEPS: readonly ((sql: SqlStorage) => void)[] = [EventLog.create];
