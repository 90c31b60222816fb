/** The API's reference, which Scalar draws in the browser, and the guides: static files. */
import { newRouter } from "../http/router.ts";
import { file, NOTHING } from "./page.ts";

export const docs = newRouter();

/** Scalar writes styles inline, some without a nonce. It reaches this API and nothing else. */
const POLICY =
	`${NOTHING}; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; ` +
	"connect-src 'self'; frame-ancestors 'none'";

docs.get("/", (c) => file(c, "/docs/", POLICY));
docs.get("/guides/:name{[a-z]+}", (c) =>
	file(c, `/docs/guides/${c.req.param("name")}.md`, NOTHING),
);
docs.get("/:name{[a-z]+\\.(css|js)}", (c) =>
	file(c, `/docs/${c.req.param("name")}`, NOTHING),
);
