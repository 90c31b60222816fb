import { encodeTime, ulid } from "ulid";

/** A new job id: a ULID, so that ids sort by time. */
export const newJobId = (now: number): string => ulid(now);

/** No job id made from then on sorts before it. */
export const firstJobId = (time: number): string =>
	encodeTime(time, 10).padEnd(26, "0");

/** A new upload id. */
export const newUploadId = (now: number): string => `img_${ulid(now)}`;

/** A new request id, one per HTTP request, in every response and log line. */
export const newRequestId = (now: number): string => `req_${ulid(now)}`;

/** The form of a job id, client-made or ours. */
export const JOB_ID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;

/** The form of an upload id. */
export const UPLOAD_ID = /^img_[0-7][0-9A-HJKMNP-TV-Z]{25}$/;
