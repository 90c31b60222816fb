// @ts-check
/** The photo that the conversation is about, and its upload. */
import { refuseKey } from "./account.js";
import { expectAnew } from "./expected-price.js";
import { call, Problem, problemOf } from "./http.js";
import { storedKey } from "./key.js";
import { announce, element, say } from "./page.js";
import { showPhoto } from "./photo.js";
import { upload } from "./upload.js";

/**
 * @typedef {object} Photo
 * @property {File} file
 * @property {AbortController} stop
 * @property {string | null} id of its finished upload
 * @property {Promise<void> | null} sending settles, never rejects
 */
/** @type {Photo | null} */
let photo = null;

const line = element("photo-line", HTMLElement);
const words = element("photo-words", HTMLElement);
const trouble = element("photo-problem", HTMLElement);
const progress = element("progress", HTMLProgressElement);

export const hasPhoto = () => photo !== null;

/** @returns {{ upload: string, name: string } | null} the photo, once it is sent */
export const sentPhoto = () =>
	photo?.id ? { upload: photo.id, name: photo.file.name } : null;

/** @param {File} file @param {string | null} [id] of its upload, where it was sent before */
export function choosePhoto(file, id = null) {
	photo?.stop.abort();
	photo = { file, stop: new AbortController(), id, sending: null };
	showPhoto(file);
	say(trouble, "");
	line.hidden = false;
	words.textContent =
		storedKey() === null
			? `${file.name} · sent once there is a key`
			: `${file.name} · ${size(file.size)}`;
	line.toggleAttribute("data-sent", id !== null);
	if (id === null) send(photo);
	expectAnew();
}

/** Brings a photo back whose upload is known. @param {string} id @param {string} name */
export async function bringBackPhoto(id, name) {
	try {
		const key = storedKey() ?? "";
		const response = await call(`/v1/files/${id}/content`, key);
		const bytes = await response.blob();
		choosePhoto(new File([bytes], name, { type: bytes.type }), id);
	} catch (error) {
		const problem = problemOf(error);
		if (problem.status === 401) refuseKey(problem.message);
		say(trouble, `${problem.message} Choose the photo again to ask on.`);
	}
}

/**
 * The upload of the photo, which is sent if it is not yet.
 * @returns {Promise<string | null>} null if that failed, or another photo was chosen
 */
export async function uploadedPhoto() {
	if (photo === null) return null;
	const chosen = photo;
	if (chosen.id === null) {
		say(trouble, "");
		send(chosen);
		await chosen.sending;
	}
	return chosen === photo ? chosen.id : null;
}

/** The API no longer has the upload, or it belongs to another account: the next job sends it. */
export function forgetUpload() {
	if (photo === null) return;
	photo.id = null;
	photo.sending = null;
}

/** Sends the photo again, now. */
export function sendPhotoAgain() {
	if (photo) choosePhoto(photo.file);
}

/** @param {number} bytes */
const size = (bytes) =>
	bytes < 1024 * 1024
		? `${Math.max(1, Math.round(bytes / 1024))} KB`
		: `${(bytes / 1024 / 1024).toFixed(1)} MB`;

/**
 * Uploads the photo as soon as it is chosen, so that the question does not wait for it.
 * @param {Photo} chosen
 */
function send(chosen) {
	const key = storedKey();
	if (key === null || chosen.sending !== null) return;
	chosen.sending = (async () => {
		progress.value = 0;
		progress.hidden = false;
		line.removeAttribute("data-sent");
		try {
			const done = await upload(chosen.file, key, {
				signal: chosen.stop.signal,
				onProgress: (share) => {
					if (photo !== chosen) return;
					progress.value = share;
					words.textContent = `${chosen.file.name} · sending, ${Math.round(share * 100)} %`;
				},
			});
			if (photo !== chosen) return;
			chosen.id = done.id;
			words.textContent = [
				chosen.file.name,
				size(chosen.file.size),
				done.width && `${done.width} × ${done.height}`,
			]
				.filter(Boolean)
				.join(" · ");
			line.toggleAttribute("data-sent", true);
			announce(`${chosen.file.name} is sent`);
			expectAnew();
		} catch (error) {
			if (photo !== chosen) return;
			chosen.sending = null;
			failed(problemOf(error));
		} finally {
			if (photo === chosen || photo === null) progress.hidden = true;
		}
	})();
}

/** @param {Problem} problem */
function failed(problem) {
	words.textContent = `${photo?.file.name} · not sent`;
	if (problem.status === 401) return refuseKey(problem.message);
	say(
		trouble,
		[problem.message, problem.requestId].filter(Boolean).join(" · "),
	);
	// If the photo itself is at fault, the user must choose another one; otherwise the next question
	// sends it again.
	const atFault =
		(problem.status >= 400 && problem.status < 500 && problem.status !== 429) ||
		problem.code.startsWith("image_");
	if (!atFault) return;
	photo = null;
	showPhoto(null);
	line.hidden = true;
}
