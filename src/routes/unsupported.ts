/** OpenAI's endpoints that are not here say so, and name the one that is. */
import { ApiError } from "../errors.ts";
import { newRouter } from "../http/router.ts";
import { UNSUPPORTED } from "../openai/endpoints.ts";

export const unsupported = newRouter();

for (const name of UNSUPPORTED)
	for (const path of [`/${name}`, `/${name}/*`])
		unsupported.all(path, () => {
			throw new ApiError({ code: "unsupported_endpoint" });
		});
