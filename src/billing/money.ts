/** Between the ledger's micro-USD and the cents of payment processors. */

export const MICRO_USD_PER_CENT = 10_000;
