/**
 * One object per webhook of an account: reads the account's feed by a cursor of its own and delivers what the webhook
 * wants, each job's events in order, as often as it takes. Nobody waits for it: the account only tells it that there is
 * something to read, and how it fares goes back into the feed as events.
 */

import { DurableObject } from "cloudflare:workers";
import { ulid } from "ulid";
import type { FeedEvent, FeedPage } from "../contract/account.ts";
import type { DeliveryView, WebhookRef } from "../contract/endpoint.ts";
import { Alarm } from "../durable/alarm.ts";
import { ObjectStorage } from "../durable/storage.ts";
import { dnsOverHttps } from "../egress/resolver.ts";
import { config } from "../env.ts";
import { log } from "../log.ts";
import { accountOf } from "../objects.ts";
import { dataOf, eventId } from "../schema/feed-wire.ts";
import { newSecret } from "../webhook-secret.ts";
import { bodyOf } from "./body.ts";
import {
	Deliveries,
	type NewDelivery,
	type OpenDelivery,
} from "./deliveries.ts";
import { nextDue, ready } from "./order.ts";
import { resultOf, type TryOutcome } from "./result.ts";
import { STEPS } from "./schema.ts";
import { send } from "./send.ts";
import {
	type EndpointState,
	initialState,
	reporting,
	rotated,
	signing,
} from "./state.ts";

/** Deliveries of one webhook that are under way at once; a receiver that hangs holds so many, and only its own. */
const AT_ONCE = 5;
/** What is owed beyond this stays in the feed until some of it is through. */
const MOST_OPEN = 500;
const RETRY_MS = 30_000;
const SWEEP_EVERY_MS = 24 * 60 * 60_000;
/** One alarm works no longer than this before it hands over to the next: the platform ends one after 15 minutes. */
const WORK_MS = 5 * 60_000;
const TEST = "webhook.test";

export class Endpoint extends DurableObject<Env> {
	// Own properties are out of reach of RPC; tests replace them.
	/** Milliseconds since the epoch. */
	clock = (): number => Date.now();
	random = (): number => Math.random();

	readonly #storage: ObjectStorage;
	readonly #sql: SqlStorage;
	readonly #alarm: Alarm;
	readonly #deliveries: Deliveries;
	/** Null where no webhook is, or not any more. */
	#state: EndpointState | null = null;
	readonly #busy = new Map<number, Promise<void>>();
	#working = false;
	/** Ends the pause of the work that is going on. */
	#poke: () => void = () => {};
	/** Counts what makes a reading that is under way stale. */
	#news = 0;
	#moves = 0;
	/** The feed has more than there was room for. */
	#behind = false;

	constructor(ctx: DurableObjectState, env: Env) {
		super(ctx, env);
		this.#storage = new ObjectStorage(ctx, {
			object: "endpoint",
			steps: STEPS,
			// The state changes in memory inside the write.
			resetOnFailure: true,
			afterWrite: () => this.#arm(),
		});
		this.#sql = this.#storage.sql;
		this.#alarm = new Alarm(ctx.storage, () => this.clock());
		this.#deliveries = new Deliveries(this.#sql);
		if (!this.#storage.exists) return;
		const { state } = this.#sql
			.exec<{ state: string }>("SELECT state FROM endpoint")
			.one();
		this.#state = JSON.parse(state);
		ctx.blockConcurrencyWhile(async () => {
			await this.#alarm.load();
			this.#arm();
		});
	}

	// For the Account.

	/** There may be something to read: an event, or a change of the webhook. Returns before it is read. */
	async tell(whose: WebhookRef): Promise<void> {
		const state = this.#claimed(whose);
		this.#news++;
		this.#save({ ...state, readAt: this.clock() });
		this.#poke();
	}

	/** Whether anything is still owed. */
	async idle(): Promise<boolean> {
		return this.#state === null || this.#deliveries.open().length === 0;
	}

	// For the Worker, once the account knows the webhook.

	/** @returns the secret that signs */
	async secret(whose: WebhookRef): Promise<string> {
		const { secrets } = this.#claimed(whose);
		return secrets[0]?.secret as string;
	}

	/** @returns the new secret; the old one signs too for a day */
	async rotate(whose: WebhookRef): Promise<string> {
		const state = this.#claimed(whose);
		const secret = newSecret();
		const secrets = rotated(state.secrets, secret, this.clock());
		this.#save({ ...state, secrets });
		return secret;
	}

	/** Milliseconds since 1970. */
	async lastSuccess(): Promise<number | null> {
		return this.#state?.lastSuccessAt ?? null;
	}

	/** Tries once, now, whatever else is owed; also where the webhook is disabled. */
	async sendTest(whose: WebhookRef): Promise<DeliveryView | null> {
		const state = this.#claimed(whose);
		await this.#read();
		if (!this.#state?.webhook) return null;
		const at = this.clock();
		const event = `evt_${state.account}_test_${ulid(at)}`;
		const timestamp = new Date(at).toISOString();
		const data = { webhook: state.id };
		const body = JSON.stringify({ type: TEST, timestamp, data });
		const { tried, durationMs } = await this.#send(event, body);
		const id = this.#state.made + 1;
		const succeeded = { failingSince: null, lastSuccessAt: this.clock() };
		this.#storage.write(() => {
			const now = this.#known();
			this.#deliveries.addTest(
				id,
				{ event, type: TEST },
				{ at, durationMs, ...tried },
			);
			this.#put({
				...now,
				...(tried.error === null && succeeded),
				made: id,
				sweepAt: now.sweepAt ?? at + SWEEP_EVERY_MS,
			});
		});
		return this.#deliveries.find(id);
	}

	/** Newest first. */
	async deliveries(
		before: number | null,
		limit: number,
	): Promise<{ deliveries: DeliveryView[]; next: number | null }> {
		if (!this.#state) return { deliveries: [], next: null };
		const page = this.#deliveries.page(before, limit + 1);
		const deliveries = page.slice(0, limit);
		const last = deliveries.at(-1);
		return { deliveries, next: page.length > limit && last ? last.id : null };
	}

	/** Delivers an event once more, beside its job's others; one that is still owed is tried now. */
	async redeliver(
		whose: WebhookRef,
		event: FeedEvent,
	): Promise<DeliveryView | null> {
		this.#claimed(whose);
		await this.#read();
		const state = this.#known();
		if (!state.webhook) return null;
		const now = this.clock();
		const made = { ...this.#deliveryOf(event, state), line: null };
		const owed = this.#deliveries.openOf(made.event);
		const id = owed ?? state.made + 1;
		this.#storage.write(() => {
			if (owed !== null) this.#deliveries.postpone(owed, now);
			else {
				this.#deliveries.add(id, made, now);
				const sweepAt = state.sweepAt ?? now + SWEEP_EVERY_MS;
				this.#put({ ...state, made: id, sweepAt });
			}
		});
		this.#poke();
		return this.#deliveries.find(id);
	}

	/** Goes on after that event, whatever was delivered; what is owed from before it stays owed. */
	async rewind(whose: WebhookRef, after: number): Promise<void> {
		this.#claimed(whose);
		this.#moves++;
		this.#news++;
		this.#storage.write(() => {
			this.#deliveries.dropAfter(after);
			this.#put({ ...this.#known(), cursor: after, readAt: this.clock() });
		});
		this.#poke();
	}

	/** Works until nothing is due, then sets the time for what is due next. */
	override async alarm(): Promise<void> {
		this.#alarm.onFired();
		if (!this.#state || this.#working) return;
		this.#working = true;
		try {
			await this.#work();
		} catch (error) {
			log("alarm_failed", { object: "endpoint", cause: String(error) });
		} finally {
			this.#working = false;
			this.#arm();
		}
	}

	async #work(): Promise<void> {
		const until = Date.now() + WORK_MS;
		// The account's secrets may have changed since a job's webhook last read.
		if (this.#state?.webhook?.scope === "job") await this.#read();
		for (;;) {
			await this.#readIfDue();
			this.#sweepIfDue();
			const over = Date.now() >= until;
			if (!over) for (const open of this.#ready()) this.#start(open);
			if (this.#busy.size === 0 && (over || !this.#isDue())) return;
			const poked = new Promise<void>((resolve) => {
				this.#poke = resolve;
			});
			// Whoever told of something while this was reading told nobody.
			if (!over && this.#isDue()) continue;
			await Promise.race([poked, ...this.#busy.values()]);
		}
	}

	#enabled(): boolean {
		return this.#state?.webhook?.status === "enabled";
	}

	#ready(): OpenDelivery[] {
		if (!this.#enabled()) return [];
		const busy = new Set(this.#busy.keys());
		return ready(this.#deliveries.open(), busy, AT_ONCE, this.clock());
	}

	/** Whether there is something to do that is not under way. */
	#isDue(): boolean {
		const now = this.clock();
		return (this.#state?.readAt ?? now + 1) <= now || this.#ready().length > 0;
	}

	// Reading the feed.

	async #readIfDue(): Promise<void> {
		const room = this.#deliveriesOpen() <= MOST_OPEN / 2;
		const at = this.#behind && room ? 0 : this.#state?.readAt;
		if (at === null || at === undefined || at > this.clock()) return;
		try {
			await this.#read();
		} catch (error) {
			log("feed_unread", { object: "endpoint", cause: String(error) });
			if (this.#state)
				this.#save({ ...this.#state, readAt: this.clock() + RETRY_MS });
		}
	}

	/** To the feed's end, as far as there is room. What there is to report goes first: it may have disabled the webhook. */
	async #read(): Promise<void> {
		await this.#report();
		for (;;) {
			const state = this.#state;
			if (!state) return;
			const [news, moves] = [this.#news, this.#moves];
			const reading: FeedPage = await this.#account().readFor(
				state.id,
				state.cursor,
			);
			if (moves !== this.#moves || !this.#state) continue;
			// Another reading, for a call, was faster.
			if (this.#state.cursor !== state.cursor) continue;
			const atEnd = this.#take(reading) && news === this.#news;
			if (!this.#state) return;
			this.#behind =
				reading.upTo < reading.lastSeq && this.#deliveriesOpen() >= MOST_OPEN;
			if (!atEnd && !this.#behind) continue;
			const readAt = this.#behind ? this.clock() + RETRY_MS : null;
			if (this.#state.readAt !== readAt) this.#save({ ...this.#state, readAt });
			return;
		}
	}

	/** @returns whether that was all */
	#take({ webhook, secrets, events, upTo, lastSeq }: FeedPage): boolean {
		const before = this.#known();
		if (!webhook) {
			this.#forget();
			return true;
		}
		const now = this.clock();
		const was = before.webhook;
		const enabled = was?.status === "disabled" && webhook.status === "enabled";
		const moved = was !== null && was.url !== webhook.url;
		const state: EndpointState = {
			...before,
			...(enabled && { failingSince: null }),
			webhook,
			accountSecrets: secrets,
			cursor: upTo,
			made: before.made + events.length,
			sweepAt:
				before.sweepAt ?? (events.length > 0 ? now + SWEEP_EVERY_MS : null),
		};
		this.#storage.write(() => {
			if (enabled || moved) this.#deliveries.restart(now);
			for (const [n, event] of events.entries())
				this.#deliveries.add(
					before.made + n + 1,
					this.#deliveryOf(event, state),
					now,
				);
			this.#deliveries.trim(state.made);
			if (JSON.stringify(state) !== JSON.stringify(before)) this.#put(state);
		});
		return upTo >= lastSeq || webhook.status === "disabled";
	}

	#deliveryOf(
		event: FeedEvent,
		{ account, webhook }: EndpointState,
	): NewDelivery {
		const data = dataOf(event, webhook?.origin ?? "");
		return {
			event: eventId(account, event.seq),
			type: event.type,
			seq: event.seq,
			line: "model" in event.data ? event.data.id : null,
			createdAt: event.at,
			data: JSON.stringify(data),
		};
	}

	/** Said again until it was heard; numbered, so that it counts once. */
	async #report(): Promise<void> {
		const reports = this.#state?.reports ?? [];
		const last = reports.at(-1)?.n;
		if (!this.#state || last === undefined) return;
		await this.#account().report(this.#state.id, reports);
		const state = this.#known();
		const left = state.reports.filter(({ n }) => n > last);
		this.#save({ ...state, reports: left });
	}

	#account() {
		const { account } = this.#known();
		return accountOf(this.env, account);
	}

	// Delivering.

	#start(open: OpenDelivery): void {
		const done = this.#deliver(open)
			.catch((error) => {
				log("delivery_postponed", { cause: String(error) });
				const later = this.clock() + RETRY_MS;
				if (this.#state)
					this.#storage.write(() => this.#deliveries.postpone(open.id, later));
			})
			.finally(() => this.#busy.delete(open.id));
		this.#busy.set(open.id, done);
	}

	async #deliver({ id, event, type }: OpenDelivery): Promise<void> {
		const content = this.#deliveries.content(id);
		const { account, webhook } = this.#known();
		if (!content || !webhook) return;
		let { body } = content;
		if (body === null) {
			const { origin } = webhook;
			body = await bodyOf(this.env, { account, origin }, type, content);
			if (body === null) throw new Error("the job has not noted its end");
			if (!this.#state) return;
			const fixed = body;
			this.#storage.write(() => this.#deliveries.fix(id, fixed));
		}
		const at = this.clock();
		const { tried, durationMs } = await this.#send(event, body);
		if (this.#state) this.#tried({ id, event, type }, at, durationMs, tried);
	}

	async #send(
		id: string,
		body: string,
	): Promise<{ tried: TryOutcome; durationMs: number }> {
		const { DNS_URL, EGRESS_ALLOW, WEBHOOK_TIMEOUT_MS } = config(this.env);
		const state = this.#known();
		const began = performance.now();
		const tried = await send(
			state.webhook?.url ?? "",
			{ id, body },
			signing(state, this.clock()),
			{ resolve: dnsOverHttps(DNS_URL), allow: EGRESS_ALLOW },
			this.clock(),
			WEBHOOK_TIMEOUT_MS,
		);
		return { tried, durationMs: Math.round(performance.now() - began) };
	}

	/** What a try means, written with what has to be told of it. */
	#tried(
		{ id, event, type }: Pick<OpenDelivery, "id" | "event" | "type">,
		at: number,
		durationMs: number,
		tried: TryOutcome,
	): void {
		const now = this.clock();
		const known = this.#deliveries.find(id);
		// Dropped by a rewind, or through already.
		if (!known || known.nextAt === null) return;
		let state = this.#known();
		const attempt = known.attempt + 1;
		const verdict = resultOf(state, attempt, tried, this.random(), now);
		state = { ...state, ...verdict.health };
		const webhook = state.id;
		// What tells of a webhook is not told of in turn: two that fail would keep each other busy for ever.
		if (verdict.status === "gave_up" && !type.startsWith("webhook."))
			state = reporting(state, {
				type: "webhook.gave_up",
				data: {
					...{ webhook, event, attempts: attempt },
					reason: tried.error ?? "",
				},
			});
		const { disable } = verdict;
		if (disable && state.webhook?.status === "enabled") {
			state = reporting(state, {
				type: "webhook.disabled",
				data: { webhook, reason: disable },
			});
			state.webhook = state.webhook && {
				...state.webhook,
				...{ status: "disabled", reason: disable },
			};
		}
		if (state.reports.length > 0) state = { ...state, readAt: now };
		this.#storage.write(() => {
			const { status, nextAt } = verdict;
			const { httpStatus, error } = tried;
			this.#deliveries.tried(id, {
				...{ status, attempt, at, httpStatus, error, durationMs, nextAt },
			});
			this.#put(state);
		});
	}

	#sweepIfDue(): void {
		const state = this.#state;
		const now = this.clock();
		if (!state?.sweepAt || state.sweepAt > now) return;
		this.#storage.write(() => {
			const more = this.#deliveries.sweep(state.made, now);
			this.#put({ ...state, sweepAt: more ? now + SWEEP_EVERY_MS : null });
		});
	}

	// What is kept.

	/** Makes the tables, with a first secret, where there are none; arms an alarm that is missing. */
	#claimed(whose: WebhookRef): EndpointState {
		this.#alarm.renew();
		if (!this.#state) {
			const state = initialState(whose, newSecret());
			this.#storage.create(() =>
				this.#sql.exec(
					"INSERT INTO endpoint VALUES (?)",
					JSON.stringify(state),
				),
			);
			this.#state = state;
		}
		return this.#known();
	}

	/** The webhook was deleted. */
	#forget(): void {
		this.#state = null;
		this.#storage.clear();
		this.#alarm.clear();
	}

	#known(): EndpointState {
		if (!this.#state) throw new Error("there is no webhook here");
		return this.#state;
	}

	#deliveriesOpen(): number {
		return this.#state ? this.#deliveries.open().length : 0;
	}

	#save(state: EndpointState): void {
		this.#storage.write(() => this.#put(state));
	}

	/** Inside a transaction. */
	#put(state: EndpointState): void {
		this.#state = state;
		this.#sql.exec("UPDATE endpoint SET state = ?", JSON.stringify(state));
	}

	/**
	 * Sets the alarm to the earliest due time; one that fires too early finds nothing due. While the
	 * alarm works it is not set: the work itself sees what is due then.
	 */
	#arm(): void {
		if (this.#working || !this.#state) return;
		const { readAt, sweepAt } = this.#state;
		const next = this.#enabled()
			? nextDue(this.#deliveries.open(), new Set(this.#busy.keys()))
			: null;
		const times = [readAt, sweepAt, next].filter((at) => at !== null);
		if (times.length === 0) return;
		this.#alarm.bringForward(Math.min(...times));
	}
}
