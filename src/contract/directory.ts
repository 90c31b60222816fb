/** What the Directory receives and returns over RPC. */

/** Who somebody is at an OpenID provider. */
export interface Person {
	issuer: string;
	/** Unique at the issuer, and never given to anybody else. */
	subject: string;
}

/** An account as the Directory lists it. */
export interface DirectoryEntry {
	id: string;
	name: string;
	/** Milliseconds since 1970. */
	createdAt: number;
	/** Whose account it is; null for one that operators made. */
	person: Person | null;
	/** Micro-USD of credit that its first sign-in gave it. */
	welcome: number;
}

export interface DirectoryQuery {
	/** A part of the name, or the start of the id or subject; empty for all. */
	text: string;
	/** From the page before. */
	cursor: string | null;
	limit: number;
}

export interface DirectoryPage {
	entries: DirectoryEntry[];
	nextCursor: string | null;
}

/** A write of an operator's. */
export interface Act {
	method: string;
	path: string;
	/** The caller's address, where the platform tells it. */
	ip: string | null;
	requestId: string;
}

export interface ActView extends Act {
	seq: number;
	/** Milliseconds since 1970. */
	at: number;
	/** Of the response; null where none was sent: it is open whether the act was done. */
	status: number | null;
	/** What was asked for, as JSON text. */
	body: string | null;
}

export interface ActPage {
	acts: ActView[];
	nextCursor: string | null;
}
