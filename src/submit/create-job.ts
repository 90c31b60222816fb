/** From a request to a job: admitted by the Account and claimed by the Job; no answer tells of a job before both are done. */

import type { Context } from "hono";
import type { Admitted } from "../contract/account.ts";
import type { JobView, Message } from "../contract/job.ts";
import { sha256 } from "../crypto.ts";
import { config } from "../env.ts";
import { ApiError, unwrap } from "../errors.ts";
import { type Caller, unwrapForCaller } from "../http/authenticate.ts";
import { timed } from "../http/request-log.ts";
import type { App } from "../http/router.ts";
import { newJobId } from "../ids.ts";
import { measure } from "../metrics/measure.ts";
import {
	defaultModel,
	modelOf,
	type ServedModel,
	type ServedModels,
} from "../models.ts";
import { jobOf } from "../objects.ts";
import { goOn } from "./conversation.ts";
import { discard, readImages, storeInline } from "./images.ts";
import {
	type Asked,
	bodyHash,
	checkFits,
	type Name,
	samplingFor,
	termsOf,
} from "./request.ts";
import { jobHook } from "./webhook-address.ts";

export interface Created {
	/** The job as it is now. */
	view: JobView;
	/** Whether it was there before: under this name, or made by the call that this one repeats. */
	repeat: boolean;
}

/** @param joins whether a call that says that it repeats one may have that one's job */
export async function createJob(
	c: Context<App>,
	caller: Caller,
	asked: Asked,
	name: Name,
	joins = true,
): Promise<Created> {
	const { models } = config(c.env);
	// Without a name of one it is the model of the job that it goes on from.
	const named = asked.model ? modelOf(models, asked.model) : null;
	const model = named ?? (asked.previousJob ? null : defaultModel(models));
	if (model) checkFits(asked.turns.messages, model, asked.fields);
	const terms = termsOf(c.req);
	const call =
		(name.jobId ?? name.idempotencyKey) ? null : await callOf(c, caller);
	const repeats = joins && isRepeat(c) ? call : null;
	const admission = admit(c, caller, asked, { ...name, call, repeats }, model);
	const known = model ?? defaultModel(models);
	const { admitted, messages } = await counted(c, known.id, admission);
	const job = jobOf(c.env, caller.id, admitted.jobId);
	const repeat = admitted.answer === "same";
	if (repeat) {
		const known = await timed(c, "start", job.repeated());
		// Its caller had hung up for good, and here is one that wants an answer.
		if (known?.canceled && repeats)
			return createJob(c, caller, asked, name, false);
		if (known) return { view: known.view, repeat };
	}
	const start = job.start({
		account: caller.id,
		id: admitted.jobId,
		model: admitted.model,
		messages: messages ?? (await conversation(c, caller, asked)),
		images: admitted.images,
		sampling: samplingFor(asked, models.get(admitted.model) ?? known),
		metadata: asked.metadata,
		cacheSalt: admitted.cacheSalt,
		createdAt: admitted.createdAt,
		maxPrice: admitted.maxPrice,
		expiresIn: asked.expiresIn,
		onDisconnect: asked.onDisconnect,
		...terms(Date.parse(admitted.createdAt)),
		trace: c.get("trace"),
	});
	return { view: unwrap(await timed(c, "start", start)).view, repeat };
}

/**
 * Images that came along are stored only for a name that is new, and taken back where the job is refused after all.
 * @param asked its model, where it does not depend on the job before
 * @returns with the conversation, unless the name was known
 */
async function admit(
	c: Context<App>,
	caller: Caller,
	asked: Asked,
	name: Name & { call: string | null; repeats: string | null },
	named: ServedModel | null,
): Promise<{
	answer: string;
	admitted: Extract<Admitted, { ok: true }>;
	messages: Message[] | null;
}> {
	const { account, credential } = caller;
	const { jobId, idempotencyKey, call, repeats } = name;
	const { models } = config(c.env);
	const { turns, previousJob } = asked;
	const { EGRESS_ALLOW } = config(c.env);
	const { origin } = new URL(c.req.url);
	const webhook = asked.webhook
		? await jobHook(caller.id, asked.webhook, origin, EGRESS_ALLOW)
		: null;
	const fields = turns.images.map(({ field }) => field);
	const uploads = turns.images.flatMap(({ source, field }) =>
		"upload" in source ? [{ id: source.upload, field }] : [],
	);
	const inquiry = account.inquire({
		credential,
		jobId,
		idempotencyKey,
		...(repeats && { repeats }),
		maxPrice: (named ?? defaultModel(models)).price,
		uploads: uploads.map(({ id }) => id),
		fields: uploads.map(({ field }) => field),
		previous: previousJob
			? { job: previousJob, prices: named ? null : pricesOf(models) }
			: null,
		webhook: webhook !== null,
	});
	const known = unwrapForCaller(c, await timed(c, "auth", inquiry));
	const model =
		named ??
		(known.previousModel
			? modelOf(models, known.previousModel)
			: defaultModel(models));
	const messages = known.jobId ? null : await conversation(c, caller, asked);
	if (messages) checkFits(messages, model, asked.fields);
	const reading = readImages(c, turns.images, known.images);
	const images = await timed(c, "images", reading);
	const hash = await bodyHash(
		asked.sent,
		images.map(({ sha256 }) => sha256),
	);
	const { ids, inline } = known.jobId
		? { ids: [], inline: [] }
		: await timed(c, "images", storeInline(c, caller, images));
	let kept = false;
	try {
		const admission = account.admit({
			credential,
			jobId: known.jobId ?? jobId ?? newJobId(Date.now()),
			idempotencyKey,
			...(call && { call }),
			...(repeats && { repeats }),
			bodyHash: hash,
			model: model.id,
			maxPrice: model.price,
			expiresIn: asked.expiresIn,
			images: ids,
			fields,
			inline,
			previousJob,
			webhook,
		});
		const admitted = unwrapForCaller(c, await timed(c, "admit", admission));
		kept = admitted.answer === "new";
		return { answer: admitted.answer, admitted, messages };
	} finally {
		if (!kept)
			await discard(
				caller,
				inline.map(({ id }) => id),
			);
	}
}

/** What a call is known by: its key, its route, and its body to the byte. */
const callOf = (c: Context<App>, { credential }: Caller): Promise<string> => {
	const secretHash =
		typeof credential === "string" ? credential : credential.secretHash;
	return sha256(`${secretHash} ${c.req.path} ${c.get("bodySha256")}`);
};

/** OpenAI's clients say so by themselves, on each try after the first. */
const isRepeat = (c: Context<App>): boolean =>
	/^[1-9]\d*$/.test(c.req.header("X-Stainless-Retry-Count") ?? "");

const pricesOf = (models: ServedModels): Record<string, number> =>
	Object.fromEntries(Array.from(models, ([id, { price }]) => [id, price]));

/**
 * All that the model is to read. The account knows the job that it goes on from.
 * @throws ApiError `job_gone` where that was erased meanwhile; `invalid_request`
 */
async function conversation(
	c: Context<App>,
	caller: Caller,
	{ turns, previousJob }: Asked,
): Promise<Message[]> {
	if (!previousJob) return goOn(null, turns.messages);
	const said = await timed(
		c,
		"read",
		jobOf(c.env, caller.id, previousJob).said(),
	);
	if (!said) throw new ApiError({ code: "job_gone", field: "previous_job" });
	return goOn(said, turns.messages);
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
