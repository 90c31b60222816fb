/** The Worker's entry: the app, and the object classes that wrangler binds. */
import { app } from "./app.ts";

export { Account } from "./account/account.ts";
export { Collector } from "./collector/collector.ts";
export { Directory } from "./directory/directory.ts";
export { Endpoint } from "./endpoint/endpoint.ts";
export { Job } from "./job/job.ts";
export { Pool } from "./pool/pool.ts";

export default app;
