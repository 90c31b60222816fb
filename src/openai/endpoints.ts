/** OpenAI's endpoints under `/v1`, those that this API has and those that it has not. */

const SUPPORTED = ["chat", "files"];

export const UNSUPPORTED = [
	"assistants",
	"audio",
	"batches",
	"completions",
	"conversations",
	"embeddings",
	"images",
	"moderations",
	"responses",
	"threads",
] as const;

const pathsOf = (names: readonly string[]): RegExp =>
	new RegExp(`^/v1/(${names.join("|")})(/|$)`);

export const SUPPORTED_PATHS = pathsOf(SUPPORTED);
const ALL_PATHS = pathsOf([...SUPPORTED, ...UNSUPPORTED]);

/** Whether a path belongs to OpenAI's API alone, so that its errors have OpenAI's shape. */
export const isOpenAIPath = (path: string): boolean => ALL_PATHS.test(path);

/** Whether a path is `/v1/models`, whose errors have the members of both shapes. */
export const isModelPath = (path: string): boolean =>
	path.startsWith("/v1/models");
