/** Accounts of a run, with credit and a key. */

export interface KnownAccount {
	id: string;
	key: string;
}

/**
 * @param url of the edge
 * @param credit micro-USD
 */
export async function openAccount(
	url: string,
	adminSecret: string,
	name: string,
	credit: number,
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
	await post(`/${id}/credits`, { id: "first", amount: credit });
	const { key } = await post(`/${id}/keys`, { name: "chaos" });
	return { id, key };
}
