/**
 * Looks up all IP addresses of a name.
 * @returns an empty list if the name does not exist
 * @throws if the lookup fails
 */
export type Resolver = (name: string, signal: AbortSignal) => Promise<string[]>;

const TYPES = { A: 1, AAAA: 28 } as const;
const NXDOMAIN = 3;

interface DnsAnswer {
	Status: number;
	Answer?: { type: number; data: string }[];
}

/** Resolves over a DNS-over-HTTPS server with a JSON API. */
export const dnsOverHttps =
	(endpoint: string): Resolver =>
	async (name, signal) => {
		const answers = await Promise.all(
			Object.entries(TYPES).map(async ([type, number]) => {
				const url = new URL(endpoint);
				url.searchParams.set("name", name);
				url.searchParams.set("type", type);
				const response = await fetch(url, {
					headers: { Accept: "application/dns-json" },
					signal,
				});
				if (!response.ok) {
					await response.body?.cancel();
					throw new Error(`resolver answered ${response.status}`);
				}
				const { Status, Answer = [] } = await response.json<DnsAnswer>();
				if (Status !== 0 && Status !== NXDOMAIN)
					throw new Error(`resolver status ${Status}`);
				return Answer.filter((answer) => answer.type === number).map(
					({ data }) => data,
				);
			}),
		);
		return answers.flat();
	};
