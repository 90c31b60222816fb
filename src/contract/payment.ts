/** What the Worker tells an Account of a card payment. Amounts are micro-USD. */
export type PaymentEvent =
	/** The payment arrived. `customer`: whom the processor keeps the card for, if it was saved. */
	| { type: "paid"; amount: number; customer?: string }
	/** So much was given back in all. */
	| { type: "refunded"; total: number }
	/** The payer's bank disputes so much. */
	| { type: "disputed"; dispute: string; amount: number }
	/** The bank has decided. */
	| { type: "dispute_closed"; dispute: string; amount: number; won: boolean };
