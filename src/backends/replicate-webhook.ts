/** Reads the signed webhooks in which Replicate reports the status of a prediction. */
import { validateWebhook } from "replicate";
import { z } from "zod";

/** A message further from the present than this is refused, because it may be a replay. */
const TOLERANCE_S = 300;

const PredictionStatus = z.object({
	id: z.string().min(1),
	status: z.string(),
});

/**
 * The prediction's id and status; null unless Replicate signed the message within the tolerance.
 */
export async function readWebhook(
	headers: Headers,
	body: string,
	secret: string,
	now: number,
): Promise<z.infer<typeof PredictionStatus> | null> {
	const id = headers.get("webhook-id");
	const timestamp = headers.get("webhook-timestamp");
	const signature = headers.get("webhook-signature");
	if (!id || !timestamp || !signature || !body) return null;
	// `validateWebhook` checks the signature, not the timestamp.
	if (!(Math.abs(now / 1000 - Number(timestamp)) <= TOLERANCE_S)) return null;
	if (!(await validateWebhook({ id, timestamp, signature, body, secret })))
		return null;
	return PredictionStatus.safeParse(JSON.parse(body)).data ?? null;
}
