/** Accounts of a run, with credit and a key. */

export interface KnownAccount {
	id: string;
	key: string;
}

/** Micro-USD. */
const CREDIT = 100_000_000;

/** @param url of the edge */
export async function openAccount(
	url: string,
	adminSecret: string,
	name: string,
): Promise<KnownAccount> {
	const post = async (path: string, body: object) => {
		const answer = await fetch(`${url}/admin/accounts${path}`, {
			method: "POST",
			headers: {
				Authorization: `Bearer ${adminSecret}`,
				"Content-Type": "application/json",
			},
			body: JSON.stringify(body),
		});
		if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
		return answer.json<{ id: string; key: string }>();
	};
	const { id } = await post("", { name });
	await post(`/${id}/credits`, { id: "first", amount: CREDIT });
	const { key } = await post(`/${id}/keys`, { name: "chaos" });
	return { id, key };
}
