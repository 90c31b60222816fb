export interface Page<T> {
	data: T[];
	/** What to ask the next page with; null or missing on the last. */
	next_cursor?: string | null;
}

/** A list of any length: `for await` goes over all of it, page by page; `page()` answers one. */
export class Paged<T, P extends Page<T> = Page<T>> implements AsyncIterable<T> {
	/** One page: the first, or the one that a `next_cursor` names. */
	readonly page: (cursor?: string) => Promise<P>;

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
