/**
 * The Endpoint, one object per webhook of an account. It reads the account's feed with a cursor of
 * its own and sends the webhook the events that it wants: those of one job in order, each until the
 * receiver accepts it or the last try fails. The account only notifies the Endpoint that there is
 * something to read and waits for nothing. What becomes of the webhook goes back into the feed as
 * events.
 */
import { DurableObject } from "cloudflare:workers";
import { ulid } from "ulid";
import type { FeedEvent, FeedPage } from "../contract/account.ts";
import type { DeliveryView, WebhookRef } from "../contract/endpoint.ts";
import { Alarm } from "../durable/alarm.ts";
import { dnsOverHttps } from "../egress/resolver.ts";
import { config } from "../env.ts";
import { logLine } from "../log.ts";
import { accountOf } from "../objects.ts";
import { newWebhookSecret } from "../webhook-secret.ts";
import { bodyOf } from "./body.ts";
import { newDelivery, type OpenDelivery } from "./deliveries.ts";
import { nextDue, readyToSend } from "./order.ts";
import { resultOf, type TryOutcome } from "./result.ts";
import { send } from "./send.ts";
import {
	afterPage,
	afterSweep,
	afterTry,
	type EndpointState,
	signingSecrets,
	withDelivery,
	withSecret,
} from "./state.ts";
import { EndpointStore } from "./store.ts";

/** Deliveries of one webhook that are sent at once: a receiver that hangs holds up only its own. */
const MAX_SENDING = 5;
/** With this many open deliveries, further events stay in the feed until some are through. */
const MAX_OPEN = 500;
const RETRY_MS = 30_000;
/**
 * One alarm works no longer than this, then the next one goes on: the platform ends one after 15
 * minutes.
 */
const WORK_MS = 5 * 60_000;
const TEST = "webhook.test";

export class Endpoint extends DurableObject<Env> {
	// RPC does not reach own properties; tests replace them.
	/** Milliseconds since 1970. */
	clock = (): number => Date.now();
	random = (): number => Math.random();

	readonly #store: EndpointStore;
	readonly #alarm: Alarm;
	/** Deliveries that are being sent, by their ids. */
	readonly #sending = new Map<number, Promise<void>>();
	#working = false;
	/** Ends the wait of the work in progress. */
	#wake: () => void = () => {};
	/**
	 * Counts what happened since a read of the feed began: the page that it gets may be out of date.
	 */
	#notifications = 0;
	#rewinds = 0;
	/** The feed has more events than there was room for. */
	#behind = false;

	constructor(ctx: DurableObjectState, env: Env) {
		super(ctx, env);
		this.#store = new EndpointStore(ctx, () => this.#arm());
		this.#alarm = new Alarm(ctx.storage, () => this.clock());
		if (!this.#store.state) return;
		ctx.blockConcurrencyWhile(async () => {
			await this.#alarm.load();
			this.#arm();
		});
	}

	// For the Account.

	/** There may be an event, or a change of the webhook, to read. Returns before it is read. */
	async notify(ref: WebhookRef): Promise<void> {
		const state = this.#open(ref);
		this.#notifications++;
		this.#store.save({ ...state, readAt: this.clock() });
		this.#wake();
	}

	/** Whether no delivery is open. */
	async idle(): Promise<boolean> {
		return this.#store.openCount() === 0;
	}

	// For the Worker, once the account has found the webhook.

	/** @returns the secret that signs */
	async secret(ref: WebhookRef): Promise<string> {
		const { secrets } = this.#open(ref);
		return secrets[0]?.secret as string;
	}

	/** @returns the new secret; the old one signs too for a day */
	async rotate(ref: WebhookRef): Promise<string> {
		const secret = newWebhookSecret();
		this.#store.save(withSecret(this.#open(ref), secret, this.clock()));
		return secret;
	}

	/** Milliseconds since 1970. */
	async lastSuccess(): Promise<number | null> {
		return this.#store.state?.lastSuccessAt ?? null;
	}

	/** Sends a test now, whatever is open, and once only; also where the webhook is disabled. */
	async sendTest(ref: WebhookRef): Promise<DeliveryView | null> {
		this.#open(ref);
		await this.#read();
		if (!this.#store.state?.webhook) return null;
		const { account, id: webhook } = this.#store.state;
		const at = this.clock();
		const event = `evt_${account}_test_${ulid(at)}`;
		const body = JSON.stringify({
			type: TEST,
			timestamp: new Date(at).toISOString(),
			data: { webhook },
		});
		const { outcome, durationMs } = await this.#send(event, body);
		const id = this.#store.require().lastDelivery + 1;
		this.#store.write(() => {
			const test = { event, type: TEST, at, durationMs, ...outcome };
			this.#store.deliveries.addTest(id, test);
			const state = withDelivery(this.#store.require(), id, at);
			const healthy = { failingSince: null, lastSuccessAt: this.clock() };
			this.#store.put(
				outcome.error === null ? { ...state, ...healthy } : state,
			);
		});
		return this.#store.deliveries.find(id);
	}

	/** Newest first. */
	async deliveries(
		before: number | null,
		limit: number,
	): Promise<{ deliveries: DeliveryView[]; next: number | null }> {
		if (!this.#store.state) return { deliveries: [], next: null };
		const page = this.#store.deliveries.page(before, limit + 1);
		const deliveries = page.slice(0, limit);
		const last = deliveries.at(-1);
		return { deliveries, next: page.length > limit && last ? last.id : null };
	}

	/** Delivers an event once more, out of its job's line. An open delivery of it is tried now. */
	async redeliver(
		ref: WebhookRef,
		event: FeedEvent,
	): Promise<DeliveryView | null> {
		this.#open(ref);
		await this.#read();
		const state = this.#store.require();
		if (!state.webhook) return null;
		const now = this.clock();
		const delivery = { ...newDelivery(event, state), line: null };
		const open = this.#store.deliveries.findOpen(delivery.event);
		const id = open ?? state.lastDelivery + 1;
		this.#store.write(() => {
			if (open !== null) this.#store.deliveries.postpone(open, now);
			else {
				this.#store.deliveries.add(id, delivery, now);
				this.#store.put(withDelivery(state, id, now));
			}
		});
		this.#wake();
		return this.#store.deliveries.find(id);
	}

	/** Delivers all events after that one again. Open deliveries of events before it stay open. */
	async rewind(ref: WebhookRef, after: number): Promise<void> {
		this.#open(ref);
		this.#rewinds++;
		this.#notifications++;
		this.#store.write(() => {
			this.#store.deliveries.deleteOpenAfter(after);
			this.#store.put({
				...this.#store.require(),
				cursor: after,
				readAt: this.clock(),
			});
		});
		this.#wake();
	}

	/** Works until nothing is due. */
	override async alarm(): Promise<void> {
		this.#alarm.onFired();
		if (!this.#store.state || this.#working) return;
		this.#working = true;
		try {
			await this.#work();
		} catch (error) {
			logLine("alarm_failed", { object: "endpoint", cause: String(error) });
		} finally {
			this.#working = false;
			this.#arm();
		}
	}

	async #work(): Promise<void> {
		const until = Date.now() + WORK_MS;
		// The account's secrets may have changed since the last read for a job's webhook.
		if (this.#store.state?.webhook?.scope === "job") await this.#read();
		for (;;) {
			await this.#readIfDue();
			this.#sweepIfDue();
			const over = Date.now() >= until;
			if (!over) for (const open of this.#readyToSend()) this.#start(open);
			if (this.#sending.size === 0 && (over || !this.#isDue())) return;
			const woken = new Promise<void>((resolve) => {
				this.#wake = resolve;
			});
			// A call that came while this was reading woke nobody.
			if (!over && this.#isDue()) continue;
			await Promise.race([woken, ...this.#sending.values()]);
		}
	}

	#readyToSend(): OpenDelivery[] {
		if (!this.#isEnabled()) return [];
		const sending = new Set(this.#sending.keys());
		const open = this.#store.deliveries.open();
		return readyToSend(open, sending, MAX_SENDING, this.clock());
	}

	/** Whether there is something to do that is not in progress. */
	#isDue(): boolean {
		const now = this.clock();
		return (
			(this.#store.state?.readAt ?? now + 1) <= now ||
			this.#readyToSend().length > 0
		);
	}

	#isEnabled(): boolean {
		return this.#store.state?.webhook?.status === "enabled";
	}

	// Reading the feed.

	async #readIfDue(): Promise<void> {
		const hasRoom = this.#store.openCount() <= MAX_OPEN / 2;
		const at = this.#behind && hasRoom ? 0 : this.#store.state?.readAt;
		if (at === null || at === undefined || at > this.clock()) return;
		try {
			await this.#read();
		} catch (error) {
			logLine("feed_unread", { object: "endpoint", cause: String(error) });
			if (this.#store.state)
				this.#store.save({
					...this.#store.state,
					readAt: this.clock() + RETRY_MS,
				});
		}
	}

	/**
	 * Sends the reports, which may disable the webhook; then reads the feed as far as there is room.
	 */
	async #read(): Promise<void> {
		await this.#sendReports();
		for (;;) {
			const state = this.#store.state;
			if (!state) return;
			const [notifications, rewinds] = [this.#notifications, this.#rewinds];
			const page: FeedPage = await this.#account().readFor(
				state.id,
				state.cursor,
			);
			if (rewinds !== this.#rewinds || !this.#store.state) continue;
			// Another read, for a call, was faster.
			if (this.#store.state.cursor !== state.cursor) continue;
			const whole = this.#addPage(page);
			if (!this.#store.state) return;
			const atEnd = whole && notifications === this.#notifications;
			this.#behind =
				page.upTo < page.lastSeq && this.#store.openCount() >= MAX_OPEN;
			if (!atEnd && !this.#behind) continue;
			const readAt = this.#behind ? this.clock() + RETRY_MS : null;
			if (this.#store.state.readAt !== readAt)
				this.#store.save({ ...this.#store.state, readAt });
			return;
		}
	}

	/** @returns whether the page was the last */
	#addPage(page: FeedPage): boolean {
		const { webhook, events, upTo, lastSeq } = page;
		if (!webhook) {
			this.#store.clear();
			this.#alarm.clear();
			return true;
		}
		const before = this.#store.require();
		const now = this.clock();
		const { state, restart } = afterPage(before, webhook, page, now);
		this.#store.write(() => {
			if (restart) this.#store.deliveries.restart(now);
			let id = before.lastDelivery;
			for (const event of events)
				this.#store.deliveries.add(++id, newDelivery(event, state), now);
			this.#store.deliveries.trim(id);
			if (JSON.stringify(state) !== JSON.stringify(before))
				this.#store.put(state);
		});
		return upTo >= lastSeq || webhook.status === "disabled";
	}

	/** Sends reports until the account acknowledges them. Each is numbered, and counts once. */
	async #sendReports(): Promise<void> {
		const reports = this.#store.state?.reports ?? [];
		const last = reports.at(-1)?.n;
		if (!this.#store.state || last === undefined) return;
		await this.#account().report(this.#store.state.id, reports);
		const state = this.#store.require();
		const left = state.reports.filter(({ n }) => n > last);
		this.#store.save({ ...state, reports: left });
	}

	#account() {
		return accountOf(this.env, this.#store.require().account);
	}

	// Delivering.

	#start(open: OpenDelivery): void {
		const done = this.#deliver(open)
			.catch((error) => {
				logLine("delivery_postponed", { cause: String(error) });
				const later = this.clock() + RETRY_MS;
				if (this.#store.state)
					this.#store.write(() =>
						this.#store.deliveries.postpone(open.id, later),
					);
			})
			.finally(() => this.#sending.delete(open.id));
		this.#sending.set(open.id, done);
	}

	async #deliver(delivery: OpenDelivery): Promise<void> {
		const { id, event, type } = delivery;
		const content = this.#store.deliveries.content(id);
		const { account, webhook } = this.#store.require();
		if (!content || !webhook) return;
		let { body } = content;
		if (body === null) {
			const { origin } = webhook;
			const made = await bodyOf(this.env, { account, origin }, type, content);
			if (made === null) throw new Error("the job has not noted its end");
			if (!this.#store.state) return;
			this.#store.write(() => this.#store.deliveries.setBody(id, made));
			body = made;
		}
		const at = this.clock();
		const { outcome, durationMs } = await this.#send(event, body);
		if (this.#store.state)
			this.#recordTry(delivery, { at, durationMs }, outcome);
	}

	async #send(
		id: string,
		body: string,
	): Promise<{ outcome: TryOutcome; durationMs: number }> {
		const { DNS_URL, EGRESS_ALLOW, WEBHOOK_TIMEOUT_MS } = config(this.env);
		const state = this.#store.require();
		const began = performance.now();
		const outcome = await send(
			state.webhook?.url ?? "",
			{ id, body },
			signingSecrets(state, this.clock()),
			{ resolve: dnsOverHttps(DNS_URL), allow: EGRESS_ALLOW },
			this.clock(),
			WEBHOOK_TIMEOUT_MS,
		);
		return { outcome, durationMs: Math.round(performance.now() - began) };
	}

	#recordTry(
		delivery: OpenDelivery,
		times: { at: number; durationMs: number },
		outcome: TryOutcome,
	): void {
		const row = this.#store.deliveries.find(delivery.id);
		// A rewind deleted it, or another try ended it.
		if (!row || row.nextAt === null) return;
		const now = this.clock();
		const state = this.#store.require();
		const tries = row.tries + 1;
		const result = resultOf(state, tries, outcome, this.random(), now);
		const { status, nextAt } = result;
		const { httpStatus, error } = outcome;
		this.#store.write(() => {
			this.#store.deliveries.recordTry(delivery.id, {
				...times,
				status,
				tries,
				httpStatus,
				error,
				nextAt,
			});
			this.#store.put(afterTry(state, delivery, { tries, error }, result, now));
		});
	}

	#sweepIfDue(): void {
		const state = this.#store.state;
		const now = this.clock();
		if (!state?.sweepAt || state.sweepAt > now) return;
		this.#store.write(() => {
			const empty = this.#store.deliveries.sweep(state.lastDelivery, now);
			this.#store.put(afterSweep(state, empty, now));
		});
	}

	/** The state, for a call. */
	#open(ref: WebhookRef): EndpointState {
		this.#alarm.renew();
		return this.#store.open(ref);
	}

	/**
	 * Sets the alarm to the earliest due time; one that fires too early finds nothing due. While an
	 * alarm works it sets none: the work itself sees what becomes due.
	 */
	#arm(): void {
		if (this.#working || !this.#store.state) return;
		const { readAt, sweepAt } = this.#store.state;
		const sendAt = this.#isEnabled()
			? nextDue(this.#store.deliveries.open(), new Set(this.#sending.keys()))
			: null;
		const times = [readAt, sweepAt, sendAt].filter((at) => at !== null);
		if (times.length > 0) this.#alarm.bringForward(Math.min(...times));
	}
}
