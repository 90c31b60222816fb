import { newRouter } from "../router.ts";

/** The playground; its files are static. */
export const page = newRouter();

page.get("/", (c) => c.env.ASSETS.fetch(c.req.raw));
