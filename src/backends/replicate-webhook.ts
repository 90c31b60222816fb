/** What Replicate tells of a prediction on its own accord, signed. */
import { validateWebhook } from "replicate";
import { z } from "zod";

/** A message older or newer than this may be somebody's copy. */
const TOLERANCE_S = 300;

const Told = z.object({ id: z.string().min(1), status: z.string() });

/** The prediction's id and status; null for what Replicate did not sign, or not now. */
export async function readWebhook(
	headers: Headers,
	body: string,
	secret: string,
	now: number,
): Promise<z.infer<typeof Told> | null> {
	const id = headers.get("webhook-id");
	const timestamp = headers.get("webhook-timestamp");
	const signature = headers.get("webhook-signature");
	if (!id || !timestamp || !signature || !body) return null;
	// The client's check knows no time.
	if (!(Math.abs(now / 1000 - Number(timestamp)) <= TOLERANCE_S)) return null;
	if (!(await validateWebhook({ id, timestamp, signature, body, secret })))
		return null;
	return Told.safeParse(JSON.parse(body)).data ?? null;
}
