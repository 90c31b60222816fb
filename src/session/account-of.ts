/**
 * The account that somebody signs in to.
 *
 * Runs in the Worker, as all of session/ does.
 */
import { newAccountId } from "../api-key.ts";
import type { Person } from "../contract/directory.ts";
import { unwrap } from "../errors.ts";
import { accountOf, directoryOf } from "../objects.ts";

/** The credit that a first sign-in gives has this id, so that an account gets it once. */
const WELCOME = "welcome";

/**
 * The account of this person, made at the first sign-in. Each step may be repeated, so that a
 * sign-in that broke off is completed by the next.
 * @param welcome micro-USD of credit for a new account
 */
export async function accountOfPerson(
	env: Env,
	person: Person,
	name: string,
	welcome: number,
): Promise<string> {
	const fresh = { id: newAccountId(), name, welcome };
	const entry = await directoryOf(env).accountOf(person, fresh);
	const account = accountOf(env, entry.id);
	unwrap(await account.create({ id: entry.id, name: entry.name }));
	if (entry.welcome > 0)
		unwrap(await account.credit({ id: WELCOME, amount: entry.welcome }));
	return entry.id;
}
