/** Random numbers of one seed. */
export class Random {
	#state: number;

	constructor(seed: number) {
		this.#state = (seed * 2_654_435_761) >>> 0 || 1;
		for (let n = 0; n < 8; n++) this.uniform();
	}

	/** In [0, 1). */
	uniform(): number {
		this.#state = (this.#state + 0x6d2b79f5) >>> 0;
		let mixed = this.#state;
		mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
		mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
	}

	exponential(mean: number): number {
		return -mean * Math.log(1 - this.uniform());
	}

	normal(): number {
		const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
		return radius * Math.cos(2 * Math.PI * this.uniform());
	}

	/** @param spread standard deviation of the logarithm */
	logNormal(mean: number, spread: number): number {
		return mean * Math.exp(spread * this.normal() - spread ** 2 / 2);
	}

	/** An index, by weight. */
	pick(weights: readonly number[]): number {
		let left = this.uniform() * weights.reduce((a, b) => a + b, 0);
		for (const [n, weight] of weights.entries()) {
			if (left < weight) return n;
			left -= weight;
		}
		return weights.length - 1;
	}
}
