/**
 * Creates a job from a request, in three steps: resolve what the request names, admit the job in
 * the Account, start it in the Job. The response begins only after all three.
 */
import type { Context } from "hono";
import type {
	Admitted,
	JobHook,
	JobImage,
	JobName,
	Prepared,
	PresentedQuote,
} from "../contract/account.ts";
import type { JobView, Message } from "../contract/job.ts";
import { sha256 } from "../crypto.ts";
import { config } from "../env.ts";
import { ApiError, unwrap } from "../errors.ts";
import { type Caller, unwrapForCaller } from "../http/authenticate.ts";
import { timed } from "../http/request-log.ts";
import type { App } from "../http/router.ts";
import { newJobId } from "../ids.ts";
import { measure } from "../metrics/measure.ts";
import { defaultModel, modelOf, type ServedModel } from "../models.ts";
import { jobOf } from "../objects.ts";
import type { Quote } from "../pricing/quote.ts";
import { continueConversation, questionsOf } from "./conversation.ts";
import {
	discardUploads,
	type ImageRead,
	readImages,
	storeInline,
} from "./images.ts";
import { checkQuoted, presentedQuote, underQuote } from "./presented-quote.ts";
import { priceRangeOf, priceRangesOf, sizeOf } from "./price-range.ts";
import {
	checkFits,
	deadlineTimes,
	type JobInput,
	requestHash,
	samplingFor,
} from "./request.ts";
import { jobHook } from "./webhook-address.ts";

export interface CreatedJob {
	/** The job as it is now. */
	view: JobView;
	/** Whether the job existed: under this name, or from the call that this one repeats. */
	repeat: boolean;
}

/** A request with all that it names looked up. Nothing is written yet. */
interface ResolvedRequest {
	/** With the prices of the quote, where the request presents one. */
	model: ServedModel;
	quote: Quote | null;
	/** Null where the job exists: it has its conversation, unless it never started. */
	messages: Message[] | null;
	images: ImageRead[] | null;
	webhook: JobHook | null;
	requestHash: string;
	/** The result of the Account's `prepare`; null where it was not called. */
	prepared: Extract<Prepared, { ok: true }> | null;
}

/** How a repeat finds the job of an earlier call. */
interface CallNames extends JobName {
	/** Null where the caller names the job. */
	call: string | null;
	/** Set where the caller marks the call as a repeat. */
	repeats: string | null;
}

export async function createJob(
	c: Context<App>,
	caller: Caller,
	sent: JobInput,
	name: JobName,
): Promise<CreatedJob> {
	const { models } = config(c.env);
	const quote = await presentedQuote(c, caller, sent);
	const input = quote ? underQuote(sent, quote) : sent;
	const served =
		input.model === null ? defaultModel(models) : modelOf(models, input.model);
	const model = quote ? { ...served, prices: quote.prices } : served;
	const names = await callNames(c, caller, input, name);
	const counted = countAdmission(c, model.id);
	const { request, admitted } = await counted(async () => {
		const request = await resolve(c, caller, input, names, { model, quote });
		const admitted = await admit(c, caller, input, names, request);
		return { request, admitted, answer: admitted.result };
	});
	const repeat = admitted.result === "same";
	const job = jobOf(c.env, caller.id, admitted.jobId);
	const before = repeat ? await timed(c, "start", job.repeated()) : null;
	// The earlier call's client hung up, which canceled the job. This call gets a new one.
	if (before?.canceled && names.repeats)
		return createJob(c, caller, { ...sent, isRepeat: false }, name);
	// A repeat also starts a job that the earlier call admitted and did not start.
	const view =
		before?.view ?? (await start(c, caller, input, request, admitted));
	return { view, repeat };
}

/**
 * Looks up all that a request names. Calls the Account's `prepare` only where its result decides
 * what to read next: inline images, an earlier conversation, or uploads that a quote is about.
 * Otherwise admission checks all at once.
 * @param expected the quote, and the model that it or the request names, or else the default model
 */
async function resolve(
	c: Context<App>,
	caller: Caller,
	input: JobInput,
	names: CallNames,
	{ model: expected, quote }: Pick<ResolvedRequest, "model" | "quote">,
): Promise<ResolvedRequest> {
	const { models, EGRESS_ALLOW } = config(c.env);
	const { turns, fields, previousJob } = input;
	const takesOverModel = input.model === null && previousJob !== null;
	// Turns that cannot fit by themselves are refused before any RPC or fetch.
	if (!takesOverModel) checkFits(turns.messages, expected, fields);
	const { origin } = new URL(c.req.url);
	const webhook = input.webhook
		? await jobHook(caller.id, input.webhook, origin, EGRESS_ALLOW)
		: null;
	const resolved = {
		quote,
		webhook,
		requestHash: await requestHash(input.hashInput),
	};
	const hasInlineImages = turns.images.some(({ source }) => "url" in source);
	if (!hasInlineImages && previousJob === null && !quote) {
		const messages = continueConversation(null, turns.messages);
		return {
			...resolved,
			model: expected,
			messages,
			images: null,
			prepared: null,
		};
	}
	const preparation = caller.account.prepare({
		credential: caller.credential,
		jobId: names.jobId,
		idempotencyKey: names.idempotencyKey,
		repeats: names.repeats,
		price: priceRangeOf(input, turns.messages, expected),
		quote: presented(quote),
		uploads: namedUploads(input),
		previous: previousJob
			? {
					job: previousJob,
					prices: takesOverModel
						? priceRangesOf(input, turns.messages, models)
						: null,
				}
			: null,
		hasWebhook: webhook !== null,
	});
	const prepared = unwrapForCaller(c, await timed(c, "auth", preparation));
	if (quote && prepared.jobId === null)
		await checkQuoted(quote, input, expected, prepared.images);
	const model =
		takesOverModel && prepared.previousModel
			? modelOf(models, prepared.previousModel)
			: expected;
	const messages = prepared.jobId ? null : await conversation(c, caller, input);
	// The conversation that the turns continue counts too.
	if (messages && previousJob) checkFits(messages, model, fields);
	const reading = readImages(c, turns.images, prepared.images);
	const images = await timed(c, "images", reading);
	return { ...resolved, model, messages, images, prepared };
}

/**
 * Admits the job. For a new job its inline images are stored first, and deleted where the Account
 * refuses the job.
 */
async function admit(
	c: Context<App>,
	caller: Caller,
	input: JobInput,
	names: CallNames,
	request: ResolvedRequest,
): Promise<Extract<Admitted, { ok: true }>> {
	const { account, credential } = caller;
	const { model, messages, images, webhook, requestHash, prepared } = request;
	const existingJob = prepared?.jobId ?? null;
	const stored =
		images && existingJob === null
			? await timed(c, "images", storeInline(c, caller, images))
			: { images: unstored(input, images), inline: [] };
	let isNew = false;
	try {
		const admission = account.admit({
			credential,
			jobId: existingJob ?? names.jobId ?? newJobId(Date.now()),
			idempotencyKey: names.idempotencyKey,
			callHash: names.call,
			repeats: names.repeats,
			isPrepared: prepared !== null,
			requestHash,
			task: input.task,
			model: model.id,
			prices: model.prices,
			quote: presented(request.quote),
			// A job that exists keeps its price, whatever conversation it has.
			...priceRangeOf(input, messages ?? input.turns.messages, model),
			expiresIn: input.expiresIn,
			images: stored.images,
			inline: stored.inline,
			previousJob: input.previousJob,
			webhook,
		});
		const admitted = unwrapForCaller(c, await timed(c, "admit", admission));
		isNew = admitted.result === "new";
		return admitted;
	} finally {
		if (!isNew)
			await discardUploads(
				caller,
				stored.inline.map(({ id }) => id),
			);
	}
}

/** Starts an admitted job. Repeating it changes nothing. */
async function start(
	c: Context<App>,
	caller: Caller,
	input: JobInput,
	request: ResolvedRequest,
	admitted: Extract<Admitted, { ok: true }>,
): Promise<JobView> {
	const model = config(c.env).models.get(admitted.model) ?? request.model;
	const messages = request.messages ?? (await conversation(c, caller, input));
	const { prompt } = sizeOf(input, messages, model);
	const started = jobOf(c.env, caller.id, admitted.jobId).start({
		account: caller.id,
		id: admitted.jobId,
		model: admitted.model,
		...questionsOf(messages, input.task, model),
		images: admitted.images,
		sampling: samplingFor(input, model),
		metadata: input.metadata,
		cacheSalt: admitted.cacheSalt,
		createdAt: admitted.createdAt,
		prices: admitted.prices ?? model.prices,
		maxPrice: admitted.maxPrice,
		mostPromptTokens: prompt.most,
		expiresIn: input.expiresIn,
		onDisconnect: input.onDisconnect,
		...deadlineTimes(input.deadlines, Date.parse(admitted.createdAt)),
		trace: c.get("trace"),
	});
	return unwrap(await timed(c, "start", started)).view;
}

/** The images of a request that stores none: uploads, or the images of a job that exists. */
function unstored(input: JobInput, images: ImageRead[] | null): JobImage[] {
	if (!images)
		return namedUploads(input).map((image) => ({ ...image, sha256: null }));
	return images.map(({ field, sha256 }) => ({ field, upload: null, sha256 }));
}

const presented = (quote: Quote | null): PresentedQuote | null =>
	quote && { id: quote.id, expiresAt: quote.expiresAt };

/** The uploads among the images of a request's own turns. */
export const namedUploads = ({ turns }: JobInput) =>
	turns.images.flatMap(({ source, field }) =>
		"upload" in source ? [{ upload: source.upload, field }] : [],
	);

/** Names a call that has no name by a hash of the key, the route and the body's bytes. */
async function callNames(
	c: Context<App>,
	{ credential }: Caller,
	{ isRepeat }: JobInput,
	name: JobName,
): Promise<CallNames> {
	if (name.jobId !== null || name.idempotencyKey !== null)
		return { ...name, call: null, repeats: null };
	const call = await sha256(
		`${credential.secretHash} ${c.req.path} ${c.get("bodySha256")}`,
	);
	return { ...name, call, repeats: isRepeat ? call : null };
}

/**
 * The whole conversation for the model.
 * @throws ApiError `job_gone` where the job that this one continues was erased; `invalid_request`
 */
export async function conversation(
	c: Context<App>,
	caller: Caller,
	{ turns, previousJob }: JobInput,
): Promise<Message[]> {
	if (!previousJob) return continueConversation(null, turns.messages);
	const previous = jobOf(c.env, caller.id, previousJob);
	const transcript = await timed(c, "read", previous.transcript());
	if (!transcript)
		throw new ApiError({ code: "job_gone", field: "previous_job" });
	return continueConversation(transcript, turns.messages);
}

/** Counts an admission by its answer, or by the code of its failure. */
const countAdmission =
	(c: Context<App>, model: string) =>
	async <R extends { answer: string }>(work: () => Promise<R>): Promise<R> => {
		let answer = "internal_error";
		try {
			const result = await work();
			answer = result.answer;
			return result;
		} catch (error) {
			if (error instanceof ApiError) answer = error.failure.code;
			throw error;
		} finally {
			const labels = { model, answer };
			measure(c.env, c.executionCtx, [
				{ name: "admissions_total", labels, value: 1 },
			]);
		}
	};
