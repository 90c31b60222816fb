/** Liveness of the edge itself; it calls no other part. */
import { newRouter } from "../http/router.ts";

export const health = newRouter();

health.get("/healthz", (c) => c.json({ status: "ok" }));
