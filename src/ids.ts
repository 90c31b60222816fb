/**
 * Ids of jobs, uploads and requests: ULIDs, so that they sort by the time at which they were made.
 */
import { encodeTime, ulid } from "ulid";

export const newJobId = (now: number): string => ulid(now);

/** The lower bound, in sort order, of all job ids made at or after this time. */
export const firstJobId = (time: number): string =>
	encodeTime(time, 10).padEnd(26, "0");

export const newUploadId = (now: number): string => `img_${ulid(now)}`;

/** Each HTTP request has one; its response and its log line carry it. */
export const newRequestId = (now: number): string => `req_${ulid(now)}`;

/** The form of a job id, whether the caller made it or this API. */
export const JOB_ID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;

export const UPLOAD_ID = /^img_[0-7][0-9A-HJKMNP-TV-Z]{25}$/;
