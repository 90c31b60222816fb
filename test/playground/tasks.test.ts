/// <reference types="vite/types/importMeta.d.ts" />
import { expect, test } from "vitest";
import { TASKS } from "../../src/tasks.ts";

const path = "../../src/playground/public/tasks.js";
const shown = import.meta.glob<typeof TASKS>(
	"../../src/playground/public/tasks.js",
	{ import: "TASKS", eager: true },
);

test("the page asks in a follow-up what the API's tasks ask", () => {
	expect(shown[path]).toEqual(TASKS);
});
