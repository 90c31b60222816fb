import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
	change,
	checkHolder,
	checkPermission,
	checkRotation,
	grant,
	isAdmin,
	type KnownSecret,
	MAX_SECRETS,
	type Reach,
	type UsedKey,
} from "../../src/account/key-rules.ts";
import type { Credential } from "../../src/contract/account.ts";
import { FAILURES } from "../../src/failures.ts";
import {
	defaultScopes,
	PAGE_SCOPES,
	SCOPES,
	type Scope,
} from "../../src/scopes.ts";

const HOME = "https://app.example.com";
const NOW = 1_000;

interface Case {
	key: UsedKey;
	call: Pick<Credential, "origin" | "ip" | "scope">;
	account: { suspendedAt: number | null };
	reach: Reach;
	now: number;
}

/** A call that is let in. */
const GOOD: Case = {
	key: {
		scopes: SCOPES,
		origins: null,
		ipRanges: null,
		expiresAt: null,
		spendLimits: null,
		revokedAt: null,
		suspendedAt: null,
		secretExpiresAt: null,
	},
	call: { origin: null, ip: null, scope: "jobs:read" },
	account: { suspendedAt: null },
	reach: "own",
	now: NOW,
};

/** What can be wrong with a call, in the order in which a caller is told. */
const FAULTS: [code: string, spoil: (good: Case) => Case][] = [
	["revoked_key", (c) => ({ ...c, key: { ...c.key, revokedAt: 1 } })],
	["key_expired", (c) => ({ ...c, key: { ...c.key, expiresAt: c.now } })],
	[
		"origin_not_allowed",
		(c) => ({
			...c,
			key: { ...c.key, origins: [HOME] },
			call: { ...c.call, origin: "https://evil.example" },
		}),
	],
	[
		"ip_not_allowed",
		(c) => ({
			...c,
			key: { ...c.key, ipRanges: ["203.0.113.0/24"] },
			call: { ...c.call, ip: "192.0.2.1" },
		}),
	],
	["key_suspended", (c) => ({ ...c, key: { ...c.key, suspendedAt: 1 } })],
	["account_suspended", (c) => ({ ...c, account: { suspendedAt: 1 } })],
	[
		"bound_key",
		(c) => ({
			...c,
			key: { ...c.key, origins: [HOME] },
			reach: "account",
		}),
	],
	[
		"origin_required",
		(c) => ({ ...c, key: { ...c.key, origins: c.key.origins ?? [HOME] } }),
	],
	[
		"scope_missing",
		(c) => ({
			...c,
			key: {
				...c.key,
				scopes: SCOPES.filter((scope) => scope !== c.call.scope),
			},
		}),
	],
];
const ORDER = FAULTS.map(([code]) => code);

/** What a call is told: a code, or that it is let in. */
function answer({ key, call, account, reach, now }: Case) {
	const holder = checkHolder(key, call, account, now);
	const result = holder.ok ? checkPermission(key, call, reach) : holder;
	return result.ok ? "ok" : result.failure;
}
const codeOf = (of: Case): string => {
	const told = answer(of);
	return told === "ok" ? told : told.code;
};

const scopes = fc.subarray([...SCOPES], { minLength: 1 });
const time = fc.option(fc.integer({ min: 0, max: 2 * NOW }));
const key: fc.Arbitrary<UsedKey> = fc.record({
	scopes,
	origins: fc.option(fc.constant([HOME])),
	ipRanges: fc.option(
		fc.constantFrom(["203.0.113.0/24"], ["2001:db8::/32", "10.0.0.0/8"]),
	),
	expiresAt: time,
	spendLimits: fc.constant(null),
	revokedAt: time,
	suspendedAt: time,
	secretExpiresAt: time,
});
const anyCase: fc.Arbitrary<Case> = fc.record({
	key,
	call: fc.record({
		origin: fc.option(fc.constantFrom(HOME, "https://evil.example")),
		ip: fc.option(
			fc.constantFrom("203.0.113.7", "2001:db8::7", "10.1.2.3", "192.0.2.1"),
		),
		scope: fc.constantFrom(...SCOPES),
	}),
	account: fc.record({ suspendedAt: time }),
	reach: fc.constantFrom<Reach>("own", "account"),
	now: fc.integer({ min: 0, max: 2 * NOW }),
});

describe("a call with a key", () => {
	it("is let in where nothing is wrong, and told each fault by a code of its own", () => {
		expect(codeOf(GOOD)).toBe("ok");
		expect(new Set(ORDER).size).toBe(ORDER.length);
		for (const [code, spoil] of FAULTS) {
			expect(codeOf(spoil(GOOD))).toBe(code);
			expect(FAILURES).toHaveProperty(code);
		}
	});

	it("with several faults is told the first, in an order that stays", () => {
		fc.assert(
			fc.property(fc.subarray(FAULTS, { minLength: 1 }), (faults) => {
				const codes = faults.map(([code]) => code);
				const spoiled = faults.reduce((good, [, spoil]) => spoil(good), GOOD);
				expect(codeOf(spoiled)).toBe(codes[0]);
			}),
		);
	});

	it("is let in only by a key that lives, from where it may, for what it may", () => {
		fc.assert(
			fc.property(anyCase, (each) => {
				const { key, call, account, reach, now } = each;
				const isOver = (at: number | null) => at !== null && at <= now;
				const good =
					key.revokedAt === null &&
					!isOver(key.expiresAt) &&
					!isOver(key.secretExpiresAt) &&
					key.suspendedAt === null &&
					account.suspendedAt === null &&
					(key.origins === null || (reach === "own" && call.origin === HOME)) &&
					(key.ipRanges === null ||
						(call.ip !== null &&
							(key.ipRanges.length === 1
								? call.ip === "203.0.113.7"
								: ["2001:db8::7", "10.1.2.3"].includes(call.ip)))) &&
					key.scopes.includes(call.scope);
				expect(codeOf(each) === "ok").toBe(good);
				expect(["ok", ...ORDER]).toContain(codeOf(each));
				expect(answer(each)).toEqual(answer(structuredClone(each)));
			}),
			{ numRuns: 2_000 },
		);
	});

	it("is told when its key or its secret ended, the earlier of both", () => {
		const told = (expiresAt: number | null, secretExpiresAt: number | null) =>
			answer({ ...GOOD, key: { ...GOOD.key, expiresAt, secretExpiresAt } });
		const at = (ms: number) => ({
			code: "key_expired",
			expired_at: new Date(ms).toISOString(),
		});
		expect(told(null, NOW)).toEqual(at(NOW));
		expect(told(NOW - 1, NOW - 2)).toEqual(at(NOW - 2));
		expect(told(NOW - 1, NOW + 1)).toEqual(at(NOW - 1));
		expect(told(NOW + 1, NOW + 1)).toBe("ok");
	});
});

describe("a new key", () => {
	it("never may do what its maker may not, nor more than a page may where it is for pages", () => {
		fc.assert(
			fc.property(
				scopes,
				fc.option(scopes, { nil: undefined }),
				fc.boolean(),
				(held, asked, isForPages) => {
					const wanted = isForPages
						? asked?.filter((scope) => PAGE_SCOPES.includes(scope))
						: asked;
					if (wanted?.length === 0) return;
					const granted = grant(
						{
							...(wanted && { scopes: wanted }),
							origins: isForPages ? [HOME] : null,
						},
						{ scopes: held },
						NOW,
					);
					if (granted.ok) {
						const { scopes } = granted.limits;
						expect(scopes.length).toBeGreaterThan(0);
						for (const scope of scopes) expect(held).toContain(scope);
						if (isForPages)
							for (const scope of scopes) expect(PAGE_SCOPES).toContain(scope);
						if (!wanted) expect(scopes).not.toContain("keys:admin");
					} else if (wanted)
						expect(granted.failure).toMatchObject({
							code: "scope_missing",
							field: "scopes",
							scope: wanted.find((scope) => !held.includes(scope)),
							scopes: held,
						});
					else
						expect(
							defaultScopes(isForPages).some((one) => held.includes(one)),
						).toBe(false);
				},
			),
		);
	});

	it("of an operator may do everything, and ends in time to come", () => {
		expect(grant({}, null, NOW)).toMatchObject({
			ok: true,
			limits: { scopes: SCOPES },
		});
		const ends = (expiresAt: number) => grant({ expiresAt }, null, NOW).ok;
		expect([ends(NOW), ends(NOW + 1)]).toEqual([false, true]);
	});
});

describe("a change of a key", () => {
	const wanted = fc.record(
		{
			scopes,
			origins: fc.constantFrom(null, [HOME], ["https://other.example"]),
			expiresAt: time,
		},
		{ requiredKeys: [] },
	);

	it("gives nothing that its maker lacks, makes no page's key a server's, and wakes none", () => {
		const answers = new Set<string>();
		fc.assert(
			fc.property(key, wanted, scopes, (each, changes, held) => {
				const changed = change(each, changes, { scopes: held }, NOW);
				answers.add(changed.ok ? "ok" : changed.failure.code);
				if (!changed.ok) return;
				const { limits } = changed;
				expect(each.revokedAt).toBeNull();
				for (const scope of [...each.scopes, ...limits.scopes])
					expect(held).toContain(scope);
				expect(limits.origins === null).toBe(each.origins === null);
				if (limits.origins)
					for (const scope of limits.scopes)
						expect(PAGE_SCOPES).toContain(scope);
				expect(limits.expiresAt ?? NOW + 1).toBeGreaterThan(NOW);
				expect(limits).toMatchObject(changes);
			}),
			{ numRuns: 3_000 },
		);
		expect([...answers].sort()).toEqual(
			["invalid_request", "key_ended", "ok", "scope_missing"].sort(),
		);
	});
});

describe("the last key that makes others", () => {
	it("is one that lives, is not suspended, sees the whole account and has keys:admin", () => {
		fc.assert(
			fc.property(key, (each) => {
				const call = { origin: null, ip: null, scope: "keys:admin" as Scope };
				const makes = codeOf({
					...GOOD,
					key: { ...each, secretExpiresAt: null, ipRanges: null },
					call,
					reach: "account",
				});
				expect(isAdmin(each, NOW)).toBe(makes === "ok");
			}),
		);
	});
});

describe("the rotation of a key", () => {
	const secret = fc.record<KnownSecret>({
		expiresAt: fc.option(fc.integer({ min: 0, max: 2 * NOW })),
		name: fc.option(fc.constantFrom("a", "b")),
		grace: fc.constantFrom(0, 60),
	});

	it("is new under a new name, a repeat under an old one, and never past the limit", () => {
		fc.assert(
			fc.property(
				fc.array(secret, { maxLength: 14 }),
				fc.option(fc.constantFrom("a", "b", "c")),
				fc.constantFrom(0, 60),
				(secrets, name, grace) => {
					const checked = checkRotation(
						GOOD.key,
						secrets,
						GOOD.key,
						{ name, grace },
						NOW,
					);
					const before =
						name !== null && secrets.find((each) => each.name === name);
					const live = secrets.filter(
						({ expiresAt }) => expiresAt === null || expiresAt > NOW,
					);
					if (before)
						expect(checked).toMatchObject(
							before.grace === grace
								? { ok: true, answer: "repeat" }
								: { failure: { code: "idempotency_conflict" } },
						);
					else if (grace === 0 || live.length < MAX_SECRETS)
						expect(checked).toEqual({ ok: true, answer: "new" });
					else
						expect(checked).toMatchObject({
							failure: { code: "too_many_secrets" },
						});
				},
			),
		);
	});

	it("is for whoever may do all that the key may", () => {
		fc.assert(
			fc.property(scopes, scopes, (own, others) => {
				const checked = checkRotation(
					{ ...GOOD.key, scopes: others },
					[],
					{ scopes: own },
					{ name: null, grace: 0 },
					NOW,
				);
				expect(checked.ok).toBe(others.every((scope) => own.includes(scope)));
			}),
		);
	});
});
