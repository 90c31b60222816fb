/**
 * What a usage costs: its parts, each exact, and the price, which is their sum rounded up once.
 *
 * Runs in the Worker and in the objects, as all of pricing/ does, and imports nothing from outside.
 */
import { type Item, PER, type Rates } from "./prices.ts";

/** How much of each item a job used. */
export type Usage = Readonly<Record<Item, number>>;

/** A line of a bill. */
export interface PricePart {
	item: Item;
	quantity: number;
	/** Micro-USD for `per` of them. */
	rate: number;
	per: number;
	/** `quantity` x `rate` / `per` in micro-USD, exact, with six decimals: `"4.700000"`. */
	amount: string;
}

export interface Bill {
	/** Micro-USD: the sum of the parts' amounts, rounded up. */
	price: number;
	parts: PricePart[];
}

/** A job that is not paid for. */
export const FREE: Bill = { price: 0, parts: [] };

/** Amounts are counted in millionths of a micro-USD, of which every amount is a whole number. */
export const MILLIONTHS = 1_000_000;

const ITEMS = Object.keys(PER) as Item[];

/** @throws RangeError on a quantity or an amount that is no safe integer from 0 */
export function billOf(rates: Rates, usage: Usage): Bill {
	const parts = ITEMS.map((item) => ({
		item,
		quantity: usage[item],
		rate: rates[item],
		per: PER[item],
		amount: decimal(amountOf(rates, item, usage[item])),
	}));
	return { price: priceOf(rates, usage), parts };
}

/** The price alone. @throws RangeError as `billOf` */
export function priceOf(rates: Rates, usage: Usage): number {
	const sum = ITEMS.reduce(
		(sum, item) => sum + amountOf(rates, item, usage[item]),
		0,
	);
	const rest = safe(sum) % MILLIONTHS;
	return (sum - rest) / MILLIONTHS + (rest > 0 ? 1 : 0);
}

/** In millionths of a micro-USD. @throws RangeError as `billOf` */
export const amountOf = (rates: Rates, item: Item, quantity: number): number =>
	safe(safe(quantity) * rates[item] * (MILLIONTHS / PER[item]));

function decimal(millionths: number): string {
	const rest = millionths % MILLIONTHS;
	const whole = (millionths - rest) / MILLIONTHS;
	return `${whole}.${String(rest).padStart(6, "0")}`;
}

function safe(amount: number): number {
	if (!Number.isSafeInteger(amount) || amount < 0)
		throw new RangeError(`${amount} is no amount`);
	return amount;
}
