/**
 * Between the ledger's micro-USD and the cents of payment processors.
 *
 * Runs in the Worker and in the Account, as all of billing/ does.
 */

export const MICRO_USD_PER_CENT = 10_000;
