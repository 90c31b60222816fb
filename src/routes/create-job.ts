/** From a request to a job: admitted by the Account and claimed by the Job; no answer tells of a job before both are done. */
import type { Context } from "hono";
import type { Admitted } from "../account/contract.ts";
import { answered, type Caller } from "../caller.ts";
import { config } from "../env.ts";
import { unwrap } from "../errors.ts";
import { newJobId } from "../ids.ts";
import {
	discard,
	fieldsOf,
	readImages,
	storeInline,
} from "../images/intake.ts";
import type { JobView } from "../job/contract.ts";
import {
	bodyHash,
	checkFits,
	type Name,
	promptOf,
	samplingOf,
	termsOf,
} from "../job/request.ts";
import { defaultModel, modelOf } from "../models.ts";
import type { App } from "../router.ts";
import type { JobRequest } from "../schema/job.ts";
import { traceOf } from "../trace.ts";

/** @returns the job as it is now, and whether its name was known before */
export async function createJob(
	c: Context<App>,
	caller: Caller,
	request: JobRequest,
	name: Name,
): Promise<{ view: JobView; repeat: boolean }> {
	const { models } = config(c.env);
	const model = request.model
		? modelOf(models, request.model)
		: defaultModel(models);
	checkFits(request, model);
	const terms = termsOf(c.req);
	const admitted = await admit(c, caller, request, name, model);
	const started = await jobStub(c, caller, admitted.jobId).start({
		account: caller.id,
		id: admitted.jobId,
		model: admitted.model,
		prompt: promptOf(request),
		images: admitted.images,
		sampling: samplingOf(request),
		metadata: request.metadata,
		cacheSalt: admitted.cacheSalt,
		createdAt: admitted.createdAt,
		maxPrice: admitted.maxPrice,
		expiresIn: request.expires_in,
		onDisconnect: request.on_disconnect,
		...terms(Date.parse(admitted.createdAt)),
		trace: traceOf(c.req.header("traceparent")),
	});
	return {
		view: unwrap(started).view,
		repeat: admitted.answer === "same",
	};
}

export const jobStub = (c: Context<App>, caller: Caller, id: string) =>
	c.env.JOB.get(c.env.JOB.idFromName(`${caller.id}/${id}`));

/** Images that came along are stored only for a name that is new, and taken back where the job is refused after all. */
async function admit(
	c: Context<App>,
	caller: Caller,
	request: JobRequest,
	{ jobId, idempotencyKey }: Name,
	model: { id: string; price: number },
): Promise<Extract<Admitted, { ok: true }>> {
	const { account, secretHash } = caller;
	const fields = fieldsOf(request.images);
	const uploads = request.images.flatMap((source, n) =>
		"upload" in source
			? [{ id: source.upload, field: fields[n] as string }]
			: [],
	);
	const known = answered(
		c,
		await account.inquire({
			secretHash,
			jobId,
			idempotencyKey,
			maxPrice: model.price,
			uploads: uploads.map(({ id }) => id),
			fields: uploads.map(({ field }) => field),
		}),
	);
	const images = await readImages(c, request.images, known.images);
	const hash = await bodyHash(
		await c.req.json(),
		images.map(({ sha256 }) => sha256),
	);
	const { ids, inline } = known.jobId
		? { ids: [], inline: [] }
		: await storeInline(c, caller, images);
	let kept = false;
	try {
		const admitted = answered(
			c,
			await account.admit({
				secretHash,
				jobId: known.jobId ?? jobId ?? newJobId(Date.now()),
				idempotencyKey,
				bodyHash: hash,
				model: model.id,
				maxPrice: model.price,
				expiresIn: request.expires_in,
				images: ids,
				fields,
				inline,
			}),
		);
		kept = admitted.answer === "new";
		return admitted;
	} finally {
		if (!kept)
			await discard(
				caller,
				inline.map(({ id }) => id),
			);
	}
}
