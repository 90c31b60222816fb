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
