/** One page of a list. */
export interface Page<T> {
	data: T[];
	/** The cursor of the next page; null or missing on the last one. */
	next_cursor?: string | null;
}

/**
 * A list that is read page by page. `for await` yields every item and fetches pages as needed.
 *
 * @example
 * ```ts
 * for await (const job of client.jobs.list({ limit: 50 })) console.log(job.id, job.status);
 * ```
 */
export class Paged<T, P extends Page<T> = Page<T>> implements AsyncIterable<T> {
	/**
	 * Fetches one page: the first, or the one that a `next_cursor` names.
	 *
	 * @example
	 * ```ts
	 * const jobs = client.jobs.list({ limit: 2 });
	 * const first = await jobs.page();
	 * console.log(first.data.length, "jobs on the first page");
	 * if (first.next_cursor) console.log((await jobs.page(first.next_cursor)).data.length, "more");
	 * ```
	 */
	readonly page: (cursor?: string) => Promise<P>;

	/** @internal */
	constructor(page: (cursor?: string) => Promise<P>) {
		this.page = page;
	}

	async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
		let cursor: string | null | undefined;
		do {
			const page = await this.page(cursor ?? undefined);
			yield* page.data;
			cursor = page.next_cursor;
		} while (cursor);
	}
}
