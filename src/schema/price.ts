/** What a job costs, as every answer that names a price shows it. */
import { z } from "@hono/zod-openapi";
import { billOf } from "../pricing/bill.ts";
import {
	type Item,
	PER,
	PRICE_TABLE,
	type Prices as PricesOfModel,
} from "../pricing/prices.ts";

const ITEMS = Object.keys(PER) as [Item, ...Item[]];

const PricePart = z
	.object({
		item: z.enum(ITEMS),
		quantity: z.int(),
		rate: z.int().openapi({ description: "Micro-USD for `per` of them" }),
		per: z.int(),
		amount: z.string().openapi({
			description:
				"`quantity` x `rate` / `per` in micro-USD, exact, as a decimal with six places",
		}),
	})
	.openapi("PricePart");

export const PriceParts = z.array(PricePart);

/** The members of whatever is paid for. */
export const PAID = {
	price: z.int().openapi({ description: "Micro-USD" }),
	price_parts: PriceParts.openapi({
		description:
			"What `price` consists of: it is the sum of the amounts, rounded up once. Empty where " +
			"nothing is paid.",
	}),
};

interface Paid {
	price: number;
	price_parts: z.infer<typeof PricePart>[];
}

/** The answer of the other examples. */
const BILL = billOf(PRICE_TABLE.rates.nano, {
	prompt_tokens: 94,
	output_tokens: 11,
	images: 1,
});
export const PAID_EXAMPLE: Paid = {
	price: BILL.price,
	price_parts: BILL.parts,
};

const rate = (of: string) =>
	z.object({
		rate: z.int().openapi({ description: "Micro-USD for `per` of them" }),
		per: z.int().openapi({ description: of }),
	});

/** The price of a job that has ended when the response begins. */
export const PRICE_HEADERS = {
	"X-Job-Price": z
		.string()
		.optional()
		.openapi({
			description:
				"`price`, in micro-USD, if the job has ended when the response begins",
			example: String(BILL.price),
		}),
	"X-Job-Price-Parts": z
		.string()
		.optional()
		.openapi({
			description:
				"`price_parts` as a structured field (RFC 9651): a dictionary of quantities, each with " +
				"`rate`, `per` and `amount`. Absent where nothing is paid.",
			example: partsField(BILL.parts),
		}),
};

export const priceHeaders = ({ price, price_parts }: Paid) => ({
	"X-Job-Price": String(price),
	...(price_parts.length > 0 && {
		"X-Job-Price-Parts": partsField(price_parts),
	}),
});

function partsField(parts: Paid["price_parts"]): string {
	return parts
		.map(
			({ item, quantity, rate, per, amount }) =>
				`${item}=${quantity};rate=${rate};per=${per};amount="${amount}"`,
		)
		.join(", ");
}

/** What a model costs. */
export const Prices = z
	.object({
		version: z.string().openapi({
			description:
				"Names the price table. A job keeps the prices under which it was admitted.",
		}),
		prompt_tokens: rate("Prompt tokens, those of images included"),
		output_tokens: rate("Output tokens"),
		images: rate("Images"),
	})
	.openapi("Prices");

export const pricesWire = ({
	version,
	rates,
}: PricesOfModel): z.infer<typeof Prices> => {
	const rateOf = (item: Item) => ({ rate: rates[item], per: PER[item] });
	return {
		version,
		prompt_tokens: rateOf("prompt_tokens"),
		output_tokens: rateOf("output_tokens"),
		images: rateOf("images"),
	};
};
