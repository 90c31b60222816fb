/** From a request to a job: admitted by the Account and claimed by the Job; no answer tells of a job before both are done. */
import type { Context } from "hono";
import type { Admitted } from "../account/contract.ts";
import { answered, type Caller } from "../caller.ts";
import { config } from "../env.ts";
import { ApiError, unwrap } from "../errors.ts";
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
import { measure } from "../metrics/measure.ts";
import { defaultModel, modelOf } from "../models.ts";
import { timed } from "../request.ts";
import type { App } from "../router.ts";
import type { JobRequest } from "../schema/job.ts";

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
	const admission = admit(c, caller, request, name, model);
	const admitted = await counted(c, model.id, admission);
	const start = jobStub(c, caller, admitted.jobId).start({
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
		trace: c.get("trace"),
	});
	return {
		view: unwrap(await timed(c, "start", start)).view,
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
	const inquiry = account.inquire({
		secretHash,
		jobId,
		idempotencyKey,
		maxPrice: model.price,
		uploads: uploads.map(({ id }) => id),
		fields: uploads.map(({ field }) => field),
	});
	const known = answered(c, await timed(c, "auth", inquiry));
	const reading = readImages(c, request.images, known.images);
	const images = await timed(c, "images", reading);
	const hash = await bodyHash(
		await c.req.json(),
		images.map(({ sha256 }) => sha256),
	);
	const { ids, inline } = known.jobId
		? { ids: [], inline: [] }
		: await timed(c, "images", storeInline(c, caller, images));
	let kept = false;
	try {
		const admission = account.admit({
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
		});
		const admitted = answered(c, await timed(c, "admit", admission));
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

/** Counts an admission by its answer, or by the code of the refusal. */
async function counted<R extends { answer: string }>(
	c: Context<App>,
	model: string,
	admission: Promise<R>,
): Promise<R> {
	let answer = "internal_error";
	try {
		const admitted = await admission;
		answer = admitted.answer;
		return admitted;
	} catch (error) {
		if (error instanceof ApiError) answer = error.failure.code;
		throw error;
	} finally {
		const labels = { model, answer };
		const one = { name: "admissions_total", labels, value: 1 } as const;
		measure(c.env, c.executionCtx, [one]);
	}
}
