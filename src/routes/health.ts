import { newRouter } from "../http/router.ts";

/** Liveness of the edge itself; it asks nobody. */
export const health = newRouter();

health.get("/healthz", (c) => c.json({ status: "ok" }));
